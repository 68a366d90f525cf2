"""Mutual learning in the training loop, and what is decoded with its result."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_ext import decode, train
from espnet_ext.data.subwords import Subwords
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.models._peers import cyclical_beta
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import Config
from espnet_ext.training.errors import TrainError
from espnet_ext.training.history import read_history
from espnet_ext.translate import Translator
from tests.support.tiny_train import DE, EN, arguments, make_dumps, write_config
from tests.support.toy_mutual import Namespace, make_args, make_model, take_steps, train_mutual
from tests.test_resume import TIMES

ROOT = Path(__file__).parent.parent


def run(*command: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def test_kills_change_no_bit(tmp_path: Path) -> None:
    """Models, both optimizers, both schedules, beta and the random numbers."""
    assert json.loads(run("tests.support.kill_and_resume", str(tmp_path), "4", "1", "mutual"))["kills"] == 4
    assert (tmp_path / "killed.log").read_text().count("resumed at") >= 2
    one, other = tmp_path / "undisturbed", tmp_path / "killed"
    histories = [read_history(folder / "history.jsonl") for folder in (one, other)]
    a, b = ([{k: v for k, v in entry.items() if k not in TIMES} for entry in history] for history in histories)
    assert a == b and len(a) == 4
    for name in sorted(path.name for path in one.glob("*.pth") if path.name != "checkpoint.pth"):
        a, b = load(one / name), load(other / name)
        assert all(torch.equal(a[key], b[key]) for key in a), name
    a, b = load(one / "checkpoint.pth"), load(other / "checkpoint.pth")
    assert {"optimizer", "optimizer_mt", "scheduler", "scheduler_mt"} < a.keys()
    for name in ("optimizer", "optimizer_mt"):
        for index, state in a[name]["state"].items():
            assert all(torch.equal(value, b[name]["state"][index][key]) for key, value in state.items())
    assert a["scheduler_mt"] == b["scheduler_mt"] and torch.equal(a["rngs"][0]["torch"], b["rngs"][0]["torch"])


def test_beta_counts_optimizer_steps_across_a_resume(tmp_path: Path) -> None:
    """Six batches an epoch, two to a step; the mean of an epoch is that of its steps, wherever a run was stopped."""
    for epochs in (1, 3, 5):
        train_mutual(tmp_path, max_epoch=epochs, accum_grad=2)
    history = read_history(tmp_path / "history.jsonl")
    expected = [sum(cyclical_beta(t, 0.5, 8) for t in range(first, first + 3)) / 3 for first in (1, 4, 7, 10, 13)]
    assert [entry["train"]["beta"] for entry in history] == pytest.approx(expected)
    assert [entry["step"] for entry in history] == [3, 6, 9, 12, 15]
    assert all(entry["lr"] == pytest.approx(5 * entry["lr_mt"]) for entry in history[:-1])
    for phase, more in (("train", {"beta", "grad_norm", "grad_norm_mt"}), ("valid", set())):
        assert history[0][phase].keys() == {"loss", "loss_st", "loss_mt", "kl1", "kl2", "acc", "acc_mt"} | more
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_two_processes_make_the_iterations_of_one(tmp_path: Path) -> None:
    run("tests.support.toy_mutual", str(tmp_path))
    alone = take_steps(0, 1)
    ranks = [load(tmp_path / f"rank{rank}.pth") for rank in range(2)]
    for name, value in alone.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        if "linear_k.bias" not in name:  # no gradient but rounding errors, which Adam makes as large as any
            assert (ranks[0][name] - value).norm() < 1e-2 * value.norm() + 1e-3, name


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mutual system trained for two epochs, with sampled sub-words, on recognition's encoder and a translator."""
    root = tmp_path_factory.mktemp("recipe")
    make_dumps(root, utterances=24)
    write_config(root / "conf" / "asr.yaml", max_epoch=1, greedy_every=0)
    layers = {"output_size": 32, "input_layer": "embed", "attention_heads": 2, "linear_units": 32, "num_blocks": 1}
    write_config(root / "conf" / "mt.yaml", encoder_conf=layers, normalize=None, max_epoch=1, greedy_every=0)
    write_config(
        root / "conf" / "mutual.yaml",
        init={"st.encoder": "asr", "mt": "mt"},
        mt_peer={"optim_conf": {"lr": 0.001}},
        subword_sampling={"alpha": 0.5},
        decode={"beam": 2, "max_length": 12},
    )
    for name in ("asr", "mt", "mutual"):
        train.main(arguments(root, name))
    return root


def test_a_recipe_trains_validates_and_decodes_both_peers(recipe: Path) -> None:
    exp = recipe / "exp" / "mutual"
    history = read_history(exp / "history.jsonl")
    assert {"bleu_st", "bleu_mt", "acc", "kl1", "kl2"} < history[-1]["valid"].keys()
    texts = {}
    for name, hidden in (("both", None), ("speech", "text.en"), ("text", "feats.index.npy")):
        dump = recipe / "dump" / "dev"
        if hidden:
            (dump / hidden).rename(recipe / "hidden")
        decode.main([str(exp), str(dump), "--out", str(exp / name)])
        if hidden:
            (recipe / "hidden").rename(dump / hidden)
        texts[name] = {path.name: path.read_text() for path in exp.glob(f"{name}/hyp.*")}
    assert texts["both"].keys() == {"hyp.st", "hyp.mt"}
    assert texts["speech"] == {"hyp.st": texts["both"]["hyp.st"]}
    assert texts["text"] == {"hyp.mt": texts["both"]["hyp.mt"]}
    assert json.loads((exp / "text" / "decode.json").read_text())["audio_seconds"] is None
    options = json.loads((exp / "both" / "decode.json").read_text())["options"]
    assert options["mt"]["max_ratio"] == 2.0 and options["st"]["beam"] == 2


def test_a_recording_is_translated_by_the_speech_peer(recipe: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(recipe / "a.wav", np.random.default_rng(0).normal(size=16000) * 0.1, 16000)
    translator = Translator(recipe / "exp" / "mutual")
    assert translator.languages == {"st": "de"}
    assert translator(recipe / "a.wav").texts.keys() == {"st"}


def test_only_training_samples_subwords(recipe: Path) -> None:
    """Anew each epoch, the same for the same seed, and never in validation or decoding."""
    exp, dump = recipe / "exp" / "mutual", recipe / "dump"
    given = {"model": "mutual", "output_dir": str(exp), "train_dump": str(dump / "train"), "batch_bins": 100_000}
    given |= {"valid_dump": str(dump / "train"), "src_lang": "en", "tgt_lang": "de", "seed": 3}
    # a vocabulary in which words have several segmentations
    from espnet_ext.data import subwords

    for lang, words in (("en", EN), ("de", DE)):
        folder = recipe / "sampled" / "subwords" / lang
        folder.mkdir(parents=True)
        subwords.train(folder, words, [lang], 36, "bpe")
    given |= {"output_dir": str(recipe / "sampled"), "subword_sampling": {"alpha": 0.5}}
    alone = Namespace(dist_rank=0, dist_world_size=1)

    def read(mode: str, epoch: int) -> dict[str, torch.Tensor]:
        factory = STTask.build_iter_factory(Namespace(**{**default_config(), **given}), alone, mode)
        return next(iter(factory.build_iter(epoch, shuffle=False)))[1]

    def texts(batch: dict[str, torch.Tensor], name: str, lang: str) -> tuple[list[list[int]], list[str]]:
        words = Subwords(recipe / "sampled" / "subwords" / lang)
        rows = [[token for token in row if token >= 0] for row in batch[name].tolist()]
        return rows, [words.decode(row) for row in rows]

    for name, lang in (("src_text", "en"), ("text", "de")):
        first, again, second = (texts(read("train", epoch), name, lang) for epoch in (1, 1, 2))
        assert first == again and first[0] != second[0] and first[1] == second[1]
        plain = texts(read("valid", 1), name, lang)
        assert plain == texts(read("valid", 2), name, lang) and plain[0] != first[0] and plain[1] == first[1]
        words = Subwords(recipe / "sampled" / "subwords" / lang)
        assert plain[0] == [words.encode(text) for text in plain[1]]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"model": "e2e", "mt_peer": {"optim": "sgd"}},
            "mutual.yaml: mt_peer: e2e has no text peer; leave this section out",
        ),
        ({"model": "mutual", "mt_peer": {"batch_bins": 3}}, "mt_peer: unknown option 'batch_bins'; choose from"),
        (
            {"model": "mutual", "mt_peer": {"encoder_conf": {"num_block": 3}}},
            "mt_peer: encoder_conf: unknown option 'num_block'; did you mean num_blocks",
        ),
        (
            {"model": "mutual", "model_conf": {"beta_cycles": 3}},
            "option 'beta_cycles' of model mutual; did you mean beta_cycle",
        ),
    ],
)
def test_unknown_options_of_a_peer_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainError, match=message):
        check_config(Config(config, [("mutual.yaml", config)]))


def test_a_text_peer_has_its_own_sizes() -> None:
    own = {"encoder_conf": {"num_blocks": 1}, "decoder_conf": {"num_blocks": 3}}
    model = make_model(make_args(mt_peer={**own, "model_conf": {"share_decoder_input_output_embed": True}}))
    assert [len(p.encoder.encoders) for p in (model.st, model.mt)] == [2, 1]
    assert [len(p.decoder.decoders) for p in (model.st, model.mt)] == [2, 3]
    assert model.mt.decoder.output_layer.weight is model.mt.decoder.embed[0].weight
    assert model.st.decoder.output_layer.weight is not model.st.decoder.embed[0].weight
