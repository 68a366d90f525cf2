"""The two-stage model, and the parameter counts of the systems at the size of the interactive paper."""

from argparse import Namespace
from typing import Any

import pytest
import torch

from espnet_ext.espnet.task import STTask
from espnet_ext.models.two_stage import Model
from espnet_ext.training.warm_start import init_parts
from tests.test_interactive import forced, inputs, make, memory_of
from tests.test_models import END, FIRST, TOKENS, batch_of, build, config_of


def test_a_translation_sees_the_whole_transcript_and_nothing_behind_it(tmp_path: Any) -> None:
    model = make(tmp_path, "two_stage")
    (tokens, rows), memory = inputs(((6, 4), (3, 5))), memory_of(model, 2)
    before = forced(model, memory, tokens, rows)
    for place in range(7):
        other = [tokens[0].clone(), tokens[1]]
        other[0][:, place] = FIRST + (tokens[0][:, place] + 1 - FIRST) % (END - FIRST)
        after = forced(model, memory, other, rows)
        changes = [(a - b).abs().amax(2) for a, b in zip(after, before, strict=True)]
        assert not changes[0][:, :place].any()
        assert bool((changes[1][0, : rows[1][0]] > 1e-6).all())
        assert bool((changes[1][1, : rows[1][1]] > 1e-6).all()) == (place < rows[0][1])  # later is padding


def test_the_second_stage_decodes_on_the_best_transcript(tmp_path: Any) -> None:
    """Its score is the teacher-forced one, given the transcript that was found."""
    model = make(tmp_path, "two_stage")
    batch, longest = batch_of(), 6
    options = {s: o.replace(beam=3, nbest=2, max_ratio=-longest) for s, o in model.search_options({}).items()}
    with torch.no_grad():
        found = model.decode(dict(list(batch.items())[:2]), options)
        memory = model.encode(batch["speech"], batch["speech_lengths"])
    for row in range(3):
        single = memory[0][row : row + 1, : memory[1][row]], memory[1][row : row + 1]
        transcript = found["asr"][row][0].tokens
        for hypothesis in found["st"][row]:
            written = [hypothesis.tokens, [*hypothesis.tokens, END]][len(hypothesis.tokens) < longest]
            tokens = [
                torch.tensor([[start, *side]]) for start, side in zip(model.starts.values(), [transcript, written])
            ]
            rows = [torch.tensor([side.size(1)]) for side in tokens]
            logp = forced(model, single, tokens, rows)[1][0].log_softmax(-1)
            wanted = sum(float(logp[i, token]) for i, token in enumerate(written))
            assert hypothesis.score == pytest.approx(wanted, abs=1e-4)


def test_both_decoders_have_one_table(tmp_path: Any) -> None:
    model = build("two_stage", tmp_path, model_conf={"share_decoder_input_output_embed": True})
    tables = [layer.weight for d in (model.decoder, model.extra_asr_decoder) for layer in (d.embed[0], d.output_layer)]
    assert all(table is tables[0] for table in tables)
    apart = build("two_stage", tmp_path, token_list=TOKENS[::-1], model_conf={"joint_embeddings": False})
    assert apart.decoder.embed[0].weight is not apart.extra_asr_decoder.embed[0].weight
    with pytest.raises(ValueError, match="set `subwords: joint`"):
        build("two_stage", tmp_path, token_list=TOKENS[::-1])


@pytest.mark.parametrize(
    ("name", "source", "table"),
    [
        ("interactive", "asr", {"encoder": "asr"}),
        ("interactive", "multitask", {"encoder": "multitask", "decoder": "multitask"}),
        ("two_stage", "asr", {"encoder": "asr", "extra_asr_decoder": "asr:decoder"}),
    ],
)
def test_parts_of_other_systems_fit(name: str, source: str, table: dict[str, str], tmp_path: Any) -> None:
    (tmp_path / source).mkdir()
    trained = STTask.build_model(Namespace(**config_of(source)))
    torch.save(trained.state_dict(), tmp_path / source / "model.pth")
    model = build(name, tmp_path)
    lines = list(init_parts(model, table, tmp_path / name))
    assert len(lines) == len(table) and not any("not there" in line for line in lines)
    own, theirs = model.state_dict(), trained.state_dict()
    for part, path in table.items():
        there = path.split(":")[-1] if ":" in path else part
        names = [key for key in own if key.startswith(part + ".")]
        assert names and all(torch.equal(own[key], theirs[there + key[len(part) :]]) for key in names)


SIZES = {"attention_heads": 8, "linear_units": 2048, "num_blocks": 6}
VOCABULARY = 30300  # joint; what the paper's totals imply with conv1d input
PAPER = {"e2e": 61.2, "multitask": 61.2, "interactive": 61.2, "two_stage": 92.7, "pipeline": 122.4}


def count(name: str, vocabulary: int) -> float:
    """Millions of parameters at the paper's size, without allocating them."""
    tokens = [*TOKENS[:-1], *(f"u{i}" for i in range(vocabulary - len(TOKENS))), TOKENS[-1]]
    model_conf: dict[str, Any] = {"share_decoder_input_output_embed": True}
    if name == "mt":
        model_conf["share_encoder_decoder_input_embed"] = True
    layer = "embed" if name == "mt" else "conv1d"
    conf = {"token_list": tokens, "src_token_list": tokens, "decoder_conf": SIZES, "model_conf": model_conf}
    conf["encoder_conf"] = {**SIZES, "output_size": 512, "input_layer": layer}
    if name == "asr":
        model_conf["asr_ctc_weight"] = 0.0
    with torch.device("meta"):
        model = STTask.build_model(Namespace(**config_of(name, **conf)))
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def test_parameters_at_the_papers_size() -> None:
    """1 : 1 : 1 : 1.5 : 2 as in its Table 4."""
    counts = {name: count(name, VOCABULARY) for name in PAPER if name != "pipeline"}
    counts["pipeline"] = count("asr", VOCABULARY) + count("mt", VOCABULARY)
    per_token = (count("e2e", VOCABULARY) - count("e2e", 1000)) / (VOCABULARY - 1000)
    implied = VOCABULARY + (PAPER["e2e"] - counts["e2e"]) / per_token
    print({name: f"{millions:.1f}M" for name, millions in counts.items()}, f"61.2M imply {implied:.0f} tokens")
    for name, millions in PAPER.items():
        assert counts[name] == pytest.approx(millions, rel=0.05)
        assert counts[name] / counts["e2e"] == pytest.approx(millions / PAPER["e2e"], rel=0.05)
    assert counts["interactive"] == counts["multitask"] == counts["e2e"]
    assert abs(implied - VOCABULARY) < 100


def test_the_first_stage_is_not_shared(tmp_path: Any) -> None:
    with pytest.raises(TypeError, match="shared_decoder"):
        Model(None, shared_decoder=True)
