"""Every system of espnet_ext/models is built, trained a step and decoded; every recipe's configuration builds."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from espnet_ext import models
from espnet_ext.data.tasks import READS
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.espnet.nets import nets
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.nn.loss import IGNORE, accuracy, smoothed_cross_entropy
from espnet_ext.search.options import Hypothesis, SearchOptions
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import read_config

ROOT = Path(__file__).parents[1]
SPECIAL = [f"<{task}_{lang}>" for lang in ("de", "en") for task in ("asr", "st", "mt")]
TOKENS = ["<blank>", "<unk>", *SPECIAL, *(f"t{i}" for i in range(20)), "<sos/eos>"]
END, FIRST = len(TOKENS) - 1, 2 + len(SPECIAL)
DECODER: dict[str, Any] = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2}
DECODER |= {"dropout_rate": 0.0, "positional_dropout_rate": 0.0}
CONF = {**DECODER, "output_size": 16}
ST = {"set": "train", "reads": "speech", "src": "en", "tgt": "de"}
TASKS = {"st": ST, "asr": {**ST, "tgt": "en"}, "mt": {**ST, "reads": "text"}}  # of systems that know tasks


def config_of(name: str, **more: Any) -> dict[str, Any]:
    layer = "embed" if models.find(name).inputs == ("src_text",) else "conv1d"
    config = {**default_config(), "model": name, "model_conf": {}, "subwords": "joint"}
    config |= {"token_list": TOKENS, "src_token_list": TOKENS, "src_lang": "en", "tgt_lang": "de"}
    config |= {"encoder_conf": {**CONF, "input_layer": layer}, "decoder_conf": DECODER}
    if models.find(name).knows_tasks:
        config["tasks"] = {n: t for n, t in TASKS.items() if READS[t["reads"]] in models.find(name).data_names}
    return {**config, **more}


def save(folder: Path, config: dict[str, Any]) -> Path:
    """An experiment as training leaves it, less its sub-words."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    torch.save(STTask.build_model(Namespace(**config)).state_dict(), folder / "model.pth")
    return folder


class Letters:
    """Sub-words of a pipeline's parts: token i is the i-th letter."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(i) for i in ids if FIRST <= i < END)


def build(name: str, tmp_path: Path, **more: Any) -> torch.nn.Module:
    torch.manual_seed(2)
    parts = models.find(name).composed_of
    for part in parts:
        save(tmp_path / part, config_of(part))
    paths = {part: f"../{part}" for part in parts}
    model = STTask.build_model(Namespace(**config_of(name, output_dir=str(tmp_path / name), **paths, **more)))
    if parts:
        model.written = model.read = Letters()
    return model


def batch_of(sizes: tuple[int, ...] = (5, 3, 1), frames: tuple[int, ...] = (70, 64, 33)) -> dict[str, torch.Tensor]:
    torch.manual_seed(6)
    batch = {"speech": torch.randn(len(frames), max(frames), 80), "speech_lengths": torch.tensor(frames)}
    for name in ("src_text", "text"):
        batch[name] = torch.randint(FIRST, END, (len(sizes), max(sizes)))
        for row, size in zip(batch[name], sizes, strict=True):
            row[size:] = IGNORE
        batch[f"{name}_lengths"] = torch.tensor(sizes)
    return batch


def read(model: torch.nn.Module, names: tuple[str, ...], batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: batch[key].clone() for name in names for key in (name, f"{name}_lengths")}


def training_batches(model: torch.nn.Module, whole: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """What the model trains on of a batch that has everything; one batch for each task that it knows."""
    if not model.tasks:
        return [read(model, model.data_names, whole)]
    tasks = [torch.full((len(whole["text"]),), number) for number in range(len(model.tasks))]
    names = [task.names for task in model.tasks.values()]
    return [{**read(model, of, whole), "task": task_B} for of, task_B in zip(names, tasks, strict=True)]


VARIANTS = {
    "asr": [{"asr_ctc_weight": 0.0}, {"asr_ctc_weight": 1.0}],
    "e2e": [{"asr_ctc_weight": 0.3, "st_ctc_weight": 0.2}, {"share_decoder_input_output_embed": True}],
    "mt": [{"share_decoder_input_output_embed": True, "share_encoder_decoder_input_embed": True}],
    "distill": [{"stop_gradient": "target", "temperature": 2.0}, {"direction": "kl1"}],
    "mtl": [{"shared_decoder": False}, {"joint_embeddings": True}],
    "mutual": [{"joint_embeddings": True, "share_decoder_input_output_embed": True}, {"asr_ctc_weight": 0.3}],
    "interactive": [
        {"wait_k": 0, "fusion": "gate", "asr_ctc_weight": 0.3},
        {"wait_k": "inf", "fusion": "tanh", "share_decoder_input_output_embed": True},
        {"shared_decoder": False, "own_attention": True},
    ],
    "interactive_film": [{"wait_k": 0, "fusion": "gate"}, {"shared_decoder": False}, {"inter_weight": 0.0}],
    "multitask": [{"shared_decoder": False, "asr_ctc_weight": 0.3, "st_ctc_weight": 0.3}],
    "pipeline": [{"asr_nbest": 2}],
    "speech_tasks": [{"asr_ctc_weight": 0.0}, {"share_decoder_input_output_embed": True}],
    "task_aware": [{"tcn": "explicit"}, {"tcn": "implicit"}, {"tcn": "explicit", "condition": "input"}],
    "two_stage": [{"joint_embeddings": False, "asr_ctc_weight": 0.3, "share_decoder_input_output_embed": True}],
}
CASES = [(name, conf) for name in models.NAMES for conf in [{}, *VARIANTS.get(name, [])]]


@pytest.mark.parametrize(("name", "conf"), CASES)
def test_a_step_and_a_search(name: str, conf: dict[str, Any], tmp_path: Path) -> None:
    model = build(name, tmp_path, model_conf=conf)
    batches = training_batches(model, batch_of())
    losses = []
    for batch in batches:
        before = {key: value.clone() for key, value in batch.items()}
        loss, stats, weight = model.train()(**batch)
        assert all(torch.equal(batch[key], before[key]) for key in batch), "forward changed its batch"
        loss.backward()
        losses.append(loss.detach())
        assert torch.isfinite(loss)
        assert weight.item() == 3
        assert all(torch.isfinite(value).all() for value in stats.values())
    learned = [(key, p.grad) for key, p in model.named_parameters() if p.requires_grad]
    missing = [key for key, gradient in learned if gradient is None or not torch.isfinite(gradient).all()]
    assert not missing
    torch.optim.SGD(model.parameters(), lr=1e-4).step()
    assert sum(model(**batch)[0] for batch in batches) < sum(losses)
    options = {s: o.replace(beam=2, nbest=2, max_length=8) for s, o in model.search_options({}).items()}
    with torch.no_grad():
        found = model.eval().decode(read(model, model.inputs, batch_of()), options)
    assert found.keys() == set(model.streams)
    for stream in model.streams:
        assert len(found[stream]) == 3
        for nbest in found[stream]:
            assert 1 <= len(nbest) <= 2
            assert all(len(hypothesis.tokens) <= 20 for hypothesis in nbest)
            assert [h.score for h in nbest] == sorted((h.score for h in nbest), reverse=True)


@pytest.mark.parametrize("name", models.NAMES)
def test_the_loss_does_not_depend_on_padding(name: str, tmp_path: Path) -> None:
    """The mean over utterances alone is the loss of the batch, and so are the scores found."""
    model = build(name, tmp_path).eval()
    whole, sizes, frames = batch_of(), (5, 3, 1), (70, 64, 33)
    options = {s: o.replace(beam=3, max_length=6) for s, o in model.search_options({}).items()}
    with torch.no_grad():
        together = [model(**batch)[0].item() for batch in training_batches(model, whole)]
        found = model.decode(read(model, model.inputs, whole), options)
        alone = []
        for i in range(3):
            one = {key: value[i : i + 1] for key, value in whole.items()}
            one["speech"] = one["speech"][:, : frames[i]]
            one |= {text: one[text][:, : sizes[i]] for text in ("src_text", "text")}
            alone.append([model(**batch)[0].item() for batch in training_batches(model, one)])
            for stream, nbest in model.decode(read(model, model.inputs, one), options).items():
                assert nbest[0][0].tokens == found[stream][i][0].tokens
                assert abs(nbest[0][0].score - found[stream][i][0].score) < 1e-4
    assert [sum(of_one) / 3 for of_one in zip(*alone, strict=True)] == pytest.approx(together, rel=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("by_length", [False, True])
def test_the_loss_is_espnets(smoothing: float, by_length: bool) -> None:
    torch.manual_seed(0)
    targets = torch.randint(0, 11, (4, 6))
    targets[1, 3:] = IGNORE
    ours, theirs = (torch.randn(4, 6, 11, dtype=torch.float64).requires_grad_() for _ in range(2))
    theirs.data.copy_(ours.data)
    loss = smoothed_cross_entropy(ours, targets, smoothing, by_length)
    espnets = nets("pytorch_backend.transformer.label_smoothing_loss").LabelSmoothingLoss
    criterion = espnets(11, IGNORE, smoothing, by_length)
    # By length, ESPnet's of an utterance alone: its mean over all tokens of a batch would depend on how it is divided.
    alone = [criterion(theirs[i : i + 1], targets[i : i + 1]) for i in range(4)]
    reference = sum(alone) / 4 if by_length else criterion(theirs, targets)
    loss.backward()
    reference.backward()
    assert abs(loss.item() - reference.item()) < 1e-5
    assert (ours.grad - theirs.grad).abs().max() < 1e-6


def test_accuracy_counts_real_tokens() -> None:
    logits = torch.eye(4)[torch.tensor([[1, 2, 3], [1, 0, 0]])]
    assert accuracy(logits, torch.tensor([[1, 2, 0], [1, IGNORE, IGNORE]])).item() == 0.75


def test_an_unknown_model_is_named_with_its_alternatives() -> None:
    with pytest.raises(ValueError, match=r"unknown model 'asp'; choose from asr, .*e2e, .*multitask"):
        models.find("asp")


@pytest.mark.parametrize("name", models.NAMES)
def test_what_a_file_says_of_speech_is_what_its_class_does(name: str) -> None:
    assert models.reads_speech(name) == ("speech" in models.find(name).data_names)


def test_a_shared_decoder_needs_a_joint_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set `subwords: joint`"):
        build("multitask", tmp_path, token_list=TOKENS[::-1])


def test_a_loaded_experiment_is_the_saved_one(tmp_path: Path) -> None:
    """Without the statistics that normalisation was built from, which the model file holds."""
    import numpy as np

    np.savez(tmp_path / "stats.npz", count=4.0, sum=np.full(80, 8.0), sum_square=np.full(80, 80.0))
    config = config_of("e2e", normalize="global_mvn", normalize_conf={"stats_file": str(tmp_path / "stats.npz")})
    model = STTask.build_model(Namespace(**config)).eval()
    assert torch.equal(model.normalize.mean, torch.full((80,), 2.0))
    assert torch.equal(model.normalize.std, torch.full((80,), 4.0))
    folder = save(tmp_path / "exp", config)
    torch.save(model.state_dict(), folder / "model.pth")
    (tmp_path / "stats.npz").unlink()
    found = load_experiment(folder)
    assert found.config["model"] == "e2e"
    assert not found.model.training
    batch = batch_of()
    assert torch.equal(found.model(**batch)[0], model(**batch)[0])


def test_an_unfinished_training_is_named(tmp_path: Path) -> None:
    (save(tmp_path / "exp", config_of("mt")) / "model.pth").unlink()
    with pytest.raises(FileNotFoundError, match="the training of exp is not finished"):
        load_experiment(tmp_path / "exp")


SYSTEMS = sorted(path for path in ROOT.glob("egs/*/conf/*.yaml") if path.stem != "base")


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda p: f"{p.parents[1].name}-{p.stem}")
def test_the_configurations_of_the_recipes_build(path: Path, tmp_path: Path) -> None:
    given = read_config(path)
    check_config(given)
    args = Namespace(**{**default_config(), **given.values})
    languages = given.values.get("vocabulary", {}).get("langs", ())
    starts = [token for lang in languages if (token := f"<st_{lang}>") not in TOKENS]
    args.token_list = args.src_token_list = [*TOKENS[:-1], *starts, TOKENS[-1]]
    args.src_lang, args.tgt_lang, args.output_dir = "en", "de", str(tmp_path / path.stem)
    if args.normalize == "global_mvn":
        args.normalize_conf = {**args.normalize_conf, "stats_file": None}
    for part in models.find(args.model).composed_of:
        other = Namespace(**{**default_config(), **read_config(path.parent / f"{part}.yaml").values})
        other.token_list = other.src_token_list = TOKENS
        other.normalize_conf = {}
        save(tmp_path / part, vars(other))
    model = STTask.build_model(args)
    assert sum(parameter.numel() for parameter in model.parameters()) > 0
    assert model.search_options(args.decode).keys() == set(model.streams)


@pytest.mark.parametrize("name", [name for name in models.NAMES if not models.find(name).composed_of])
def test_embeddings_start_at_the_scale_of_positions(name: str) -> None:
    """A sinusoid has a root mean square of 0.7; an embedding times sqrt(D) must not be many times that."""
    model = STTask.build_model(Namespace(**config_of(name)))
    tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    assert tables
    for table in tables:
        assert 0.8 < float(table.weight.std()) * table.embedding_dim**0.5 < 1.2


def test_pipelines_order_is_that_of_its_searches() -> None:
    """Translations are ranked by score / length ** length_norm, as translation ranks them, whatever nbest is."""
    pipeline = object.__new__(models.find("pipeline"))
    pipeline.asr_scale = 1.0
    short, long = Hypothesis([5], -3.0), Hypothesis([5, 6, 7, 8, 9], -4.0)
    heard = [Hypothesis([3, 4], -1.0)]
    for norm, wanted in ((0.0, [short, long]), (1.0, [long, short])):
        options = {"asr": SearchOptions(), "st": SearchOptions(length_norm=norm, nbest=2)}
        found = pipeline.merge(heard, [wanted], options)
        assert [(h.tokens, h.score) for h in found] == [(h.tokens, h.score - 1.0) for h in wanted]
    options = {"asr": SearchOptions(length_norm=1.0), "st": SearchOptions(length_norm=1.0, nbest=1)}
    two = [Hypothesis([3] * 9, -5.0), Hypothesis([3], -3.0)]  # by length the first is the better transcript
    assert pipeline.merge(two, [[Hypothesis([5], -1.0)], [Hypothesis([6], -1.0)]], options)[0].tokens == [5]


@pytest.mark.parametrize("name", ["e2e", "mutual"])
def test_a_loss_by_length_does_not_depend_on_how_a_batch_is_divided(name: str, tmp_path: Path) -> None:
    """So accumulation and ranks do not matter; utterances of 1, 4 and 9 tokens would weigh otherwise by all tokens."""
    model = build(name, tmp_path, model_conf={"length_normalized_loss": True}).eval()
    whole = batch_of((9, 4, 1), (70, 64, 33))
    together = model(**read(model, model.data_names, whole))[0].item()
    parts = [{key: value[rows] for key, value in whole.items()} for rows in (slice(0, 1), slice(1, 3))]
    losses = [model(**read(model, model.data_names, part))[0].item() for part in parts]
    assert (losses[0] + 2 * losses[1]) / 3 == pytest.approx(together, rel=1e-4)
