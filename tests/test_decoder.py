"""The decoder: ESPnet's numbers, causality, and the cached step against teacher forcing."""

import pytest
import torch
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder as EspnetDecoder

from espnet_ext.nn.decoder import TransformerDecoder
from espnet_ext.nn.decoder_cache import CachedDecoder

SIZE = {"attention_heads": 4, "linear_units": 24, "num_blocks": 2}
VOCABULARY, WIDTH = 30, 16


def make(normalize_before: bool = True) -> TransformerDecoder:
    torch.manual_seed(1)
    return TransformerDecoder(VOCABULARY, WIDTH, normalize_before=normalize_before, **SIZE).eval()


def make_memory(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(len(lengths), max(lengths), WIDTH), torch.tensor(lengths)


@pytest.mark.parametrize("normalize_before", [True, False])
def test_equals_espnet_with_its_parameters(normalize_before: bool) -> None:
    ours = make(normalize_before)
    theirs = EspnetDecoder(VOCABULARY, WIDTH, normalize_before=normalize_before, **SIZE).eval()
    ours.load_state_dict(theirs.state_dict())
    memory, lengths = make_memory([20, 13, 5])
    tokens, token_lengths = torch.randint(0, VOCABULARY, (3, 9)), torch.tensor([9, 4, 6])
    logits, wanted = ours(memory, lengths, tokens, token_lengths), theirs(memory, lengths, tokens, token_lengths)[0]
    for row, length in enumerate(token_lengths):
        assert (logits[row, :length] - wanted[row, :length]).abs().max() < 1e-5


def test_refuses_what_it_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"input_layer 'linear'.*only 'embed', false and 0 are supported"):
        TransformerDecoder(VOCABULARY, WIDTH, input_layer="linear", **SIZE)


def test_a_row_sees_only_tokens_before_it() -> None:
    decoder, (memory, lengths) = make(), make_memory([12, 9])
    tokens = torch.randint(0, VOCABULARY, (2, 8))
    logits = decoder(memory, lengths, tokens)
    for row in range(8):
        changed = tokens.clone()
        changed[:, row] = (tokens[:, row] + 1) % VOCABULARY
        other = decoder(memory, lengths, changed)
        assert torch.equal(other[:, :row], logits[:, :row])
        assert (other[:, row:] - logits[:, row:]).abs().amax((0, 2)).min() > 1e-4


def test_padding_of_memory_and_tokens_changes_nothing() -> None:
    decoder, (memory, lengths) = make(), make_memory([12, 7])
    tokens = torch.randint(0, VOCABULARY, (2, 8))
    alone = decoder(memory[1:, :7], lengths[1:], tokens[1:, :5])
    memory[1, 7:], tokens[1, 5:] = 1e3, 0
    assert (decoder(memory, lengths, tokens)[1:, :5] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("hypotheses", [1, 3])
@pytest.mark.parametrize("normalize_before, few", [(True, 0), (True, 9), (False, 0)])
@torch.inference_mode()
def test_cached_steps_equal_teacher_forcing_at_every_row(
    hypotheses: int, normalize_before: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hypotheses change their parents at random at every step, and utterances leave; by either kind of attention."""
    monkeypatch.setattr("espnet_ext.nn.decoder_cache.FEW", few)
    monkeypatch.setattr("espnet_ext.nn.decoder_cache.FIRST_SLOTS", 20)
    decoder, (memory, lengths) = make(normalize_before), make_memory([20, 13, 5, 18])
    cache, steps = CachedDecoder(decoder, memory, lengths), 20 // hypotheses + 6
    tokens = torch.full((4, 1, 1), VOCABULARY - 1)
    for step in range(steps):
        logp = cache.step(tokens[:, :, -1])
        count = tokens.size(1)
        rows = tokens.flatten(0, 1)
        forced = decoder(memory.repeat_interleave(count, 0), lengths.repeat_interleave(count), rows)[:, -1]
        assert (logp.flatten(0, 1) - forced.log_softmax(-1)).abs().max() < 1e-5
        parents = torch.randint(0, count, (len(tokens), hypotheses))
        cache.reorder(parents)
        history = tokens.gather(1, parents[:, :, None].expand(-1, -1, tokens.size(2)))
        new = torch.randint(0, VOCABULARY, (len(tokens), hypotheses, 1))
        tokens = torch.cat([history, new], dim=2)
        if step in (4, 9):
            kept = torch.tensor([len(tokens) - 1, *range(1, len(tokens) - 1)])
            cache.keep(kept)
            tokens, memory, lengths = tokens[kept], memory[kept], lengths[kept]
    assert len(tokens) == 2


@torch.inference_mode()
def test_positions_beyond_the_table() -> None:
    decoder, (memory, lengths) = make(), make_memory([3])
    tokens = torch.randint(0, VOCABULARY, (1, 600))
    longer, shorter = decoder(memory, lengths, tokens), decoder(memory, lengths, tokens[:, :500])
    assert (longer[:, :500] - shorter).abs().max() < 1e-5
    assert not decoder.embed[1].table_LD.is_inference()  # training may follow
