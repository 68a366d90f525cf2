"""What the decoding bench compares with: ESPnet's search on the same parameters, Hugging Face's at the same sizes."""

import logging
from collections.abc import Callable

import torch

from tests.support import bench_sizes
from tests.support.bench_sizes import MEDIUM, Size

VOCABULARY, BEAM, TOKENS, FRAMES, THREADS = 4000, 5, 20, 300, 2
SIZE = {"attention_heads": 4, "linear_units": 2048}
Timed = Callable[[], int]  # decodes; returns the number of utterances


def tokens_of(frames: int) -> int:
    """20 tokens for 3 s."""
    return max(1, round(frames * TOKENS / FRAMES))


def espnet(model: torch.nn.Module, speech: list[torch.Tensor], least: float = TOKENS - 0.5) -> Timed:
    """One utterance at a time, as st_inference does, on the same parameters.

    With `least` below the limit: when they are equal ESPnet finds nothing, and decodes a second time.
    """
    search, encoder = espnet_search(model)

    def run() -> int:
        for x_TF in speech:
            espnet_decode(search, encoder, x_TF, least)
        return len(speech)

    return run


def espnet_search(model: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
    from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
    from espnet2.asr.encoder.transformer_encoder import TransformerEncoder

    from espnet_ext.espnet.nets import nets

    logging.disable(logging.WARNING)
    decoder = TransformerDecoder(VOCABULARY, 256, num_blocks=6, **SIZE).eval()
    encoder = TransformerEncoder(80, 256, num_blocks=12, input_layer="conv2d", **SIZE).eval()
    decoder.load_state_dict(model.decoder.state_dict())
    encoder.load_state_dict(model.encoder.state_dict())
    end = VOCABULARY - 1
    scorers = {"decoder": decoder, "length_bonus": nets("scorers.length_bonus").LengthBonus(VOCABULARY)}
    weights = {"decoder": 1.0, "length_bonus": 0.0}
    beam_search = nets("batch_beam_search").BatchBeamSearch
    search = beam_search(scorers, weights, BEAM, VOCABULARY, end, end, pre_beam_score_key="full")
    return search.eval(), encoder


def espnet_decode(search: torch.nn.Module, encoder: torch.nn.Module, x_TF: torch.Tensor, least: float) -> list[int]:
    with torch.no_grad():
        memory = encoder(x_TF[None], torch.tensor([len(x_TF)]))[0][0]
        frames = FRAMES // 4 - 1
        best = search(x=memory, maxlenratio=(TOKENS + 0.5) / frames, minlenratio=least / frames)[0]
    return [token for token in best.yseq.tolist() if token != VOCABULARY - 1]


def hugging_face(
    dtype: str,
    speech: list[torch.Tensor],
    batch: int,
    size: Size = MEDIUM,
    device: str = "cpu",
    attention: str | None = None,
) -> Timed:
    """`batch` utterances at a time; `attention` is their name of a kernel."""
    from transformers import LogitsProcessor, LogitsProcessorList

    torch.manual_seed(0)
    number = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    model = bench_sizes.hugging_face(size, attention).eval().to(device, number)

    class EndAt(LogitsProcessor):
        """The end, and only then, after as many tokens as an utterance is to have."""

        def __init__(self, lengths: list[int]) -> None:
            self.lengths = torch.tensor(lengths, device=device).repeat_interleave(BEAM)

        def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            end, last = model.generation_config.eos_token_id, self.lengths <= ids.size(1) - 1
            scores[~last, end] = -torch.inf
            scores[last] = -torch.inf
            scores[last, end] = 0.0
            return scores

    def run() -> int:
        for start in range(0, len(speech), batch):
            part = speech[start : start + batch]
            x = torch.nn.utils.rnn.pad_sequence(part, batch_first=True).to(device, number)
            mask = (torch.arange(x.size(1)) < torch.tensor([[len(p)] for p in part])).long().to(device)
            lengths = [tokens_of(len(p)) for p in part]
            processors = LogitsProcessorList([EndAt(lengths)])
            with torch.no_grad():
                model.generate(
                    input_features=x,
                    attention_mask=mask,
                    num_beams=BEAM,
                    max_new_tokens=max(lengths) + 1,
                    do_sample=False,
                    logits_processor=processors,
                )
        return len(speech)

    return run
