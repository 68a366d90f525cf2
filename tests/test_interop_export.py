"""Our experiments compute the same in ESPnet's inference classes."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text as AsrInference
from espnet2.bin.mt_inference import Text2Text as MtInference
from espnet2.bin.st_inference import Speech2Text as StInference

from espnet_ext import interop, models
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.espnet.register import register
from espnet_ext.espnet.task import STTask
from espnet_ext.search.options import SearchOptions
from tests.support.espnet_exp import (
    CONFORMER,
    DECODER,
    SMALL,
    assert_same,
    inputs_of,
)

ROOT = Path(__file__).parents[1]


def save_as_ours(folder: Path, subwords: list[Path], **config: object) -> torch.nn.Module:
    """An experiment as our training leaves it."""
    args = vars(STTask.get_parser().parse_args([])) | {"src_lang": "en", "tgt_lang": "de", **config}
    tokens = [(path / "tokens.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in subwords]
    args |= {"src_token_list": tokens[0], "token_list": tokens[1], "output_dir": str(folder)}
    torch.manual_seed(4)
    model = STTask.build_model(Namespace(**args)).eval()
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(args), encoding="utf-8")
    torch.save(model.state_dict(), folder / "model.pth")
    (folder / "subwords").mkdir()
    for path in subwords:
        (folder / "subwords" / path.name).symlink_to(path)
    return model


@pytest.fixture(scope="module")
def subwords(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from espnet_ext.data.subwords import train

    folders = []
    for lang, line in (("en", "the boat and the bird "), ("de", "das boot und der vogel ")):
        folders.append(tmp_path_factory.mktemp("subwords") / lang)
        folders[-1].mkdir()
        train(folders[-1], [line * 3] * 20, [lang], None, "char")
    return folders


OURS = {
    "decoder_conf": DECODER,
    "normalize": "utterance_mvn",
    "encoder": "conformer",
    "encoder_conf": {**CONFORMER, "input_layer": "conv2d"},
}
OURS_TEXT = {
    "decoder_conf": DECODER,
    "encoder": "transformer",
    "encoder_conf": {**SMALL, "input_layer": "embed"},
}


@pytest.mark.parametrize(
    ("system", "config", "inference"),
    [
        ("asr", {**OURS, "model_conf": {"asr_ctc_weight": 0.3}}, AsrInference),
        ("e2e", {**OURS, "model_conf": {"asr_ctc_weight": 0.3, "st_ctc_weight": 0.1}}, StInference),
        ("e2e", {**OURS, "encoder": "transformer", "encoder_conf": SMALL}, StInference),
        ("multitask", {**OURS, "model_conf": {"shared_decoder": False, "asr_ctc_weight": 0.3}}, StInference),
        ("mt", OURS_TEXT, MtInference),
        ("asr", {**OURS, "encoder_conf": {**CONFORMER, "input_layer": "conv1d"}}, AsrInference),
        ("e2e", {**OURS, "encoder": "transformer", "encoder_conf": {**SMALL, "input_layer": "conv1d8"}}, StInference),
    ],
)
def test_our_models_compute_the_same_in_espnet(
    system: str, config: dict, inference: type, subwords: list[Path], tmp_path: Path
) -> None:
    ours = save_as_ours(tmp_path / "exp", subwords, model=system, **config)
    register()  # for input layers that ESPnet does not have
    interop.export(tmp_path / "exp", tmp_path / "out")
    names = {AsrInference: "asr", StInference: "st", MtInference: "mt"}
    kind = names[inference]
    options = {"beam_size": 3, "maxlenratio": -12, "penalty": 0.5, "ctc_weight": 0.3 if system == "asr" else 0.0}
    theirs = inference(
        str(tmp_path / "out/config.yaml"), str(tmp_path / "out/valid.acc.ave.pth"), **{**options, "lm_weight": 0.0}
    )
    assert_same(ours, getattr(theirs, f"{kind}_model"))
    given, lengths = inputs_of(ours)
    search = SearchOptions(beam=3, max_ratio=-12, penalty=0.5, ctc_weight=options.get("ctc_weight", 0.0))
    with torch.no_grad():
        batch = {ours.inputs[0]: given, f"{ours.inputs[0]}_lengths": lengths}
        found = ours.decode(batch, dict.fromkeys(ours.streams, search))
        text, _, ids, hypothesis, *_ = theirs(given[0])[0]
    best = found[kind][0][0]
    assert [i for i in best.tokens if i] == list(ids)
    assert abs(best.score - float(hypothesis.score)) < 1e-3
    loaded = load_experiment(tmp_path / "exp")
    assert text == (loaded.src_subwords if kind == "asr" else loaded.tgt_subwords).decode(ids)


def test_an_input_layer_that_espnet_lacks_goes_through_our_command(subwords: list[Path], tmp_path: Path) -> None:
    conf = {**OURS, "encoder_conf": {**CONFORMER, "input_layer": "conv1d"}}
    save_as_ours(tmp_path / "exp", subwords, model="e2e", **conf)
    command = [sys.executable, "-m", "espnet_ext.interop", str(tmp_path / "exp"), str(tmp_path / "out")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "python -m espnet_ext.espnet.register" in printed
    program = (
        "import sys; from espnet_ext.espnet.register import register; from espnet2.tasks.st import STTask\n"
        "len(sys.argv) > 2 and register()\n"
        "STTask.build_model_from_file(sys.argv[1] + '/config.yaml', sys.argv[1] + '/valid.acc.ave.pth')"
    )
    for with_ours, ends_well in (([], False), (["ours"], True)):
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out"), *with_ours], cwd=ROOT)
        assert (done.returncode == 0) == ends_well


def test_espnets_commands_run_through_ours() -> None:
    for command, status in (("espnet2.bin.st_inference", 0), ("os", 1)):
        words = [sys.executable, "-m", "espnet_ext.espnet.register", command, "--help"]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == status
        assert "--st_train_config" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("system", "model_conf", "message"),
    [
        ("mtl", {}, "mtl: ESPnet has no such model; asr, mt, e2e and multitask can be exported"),
        ("multitask", {"shared_decoder": True}, "only multitask with `shared_decoder: false` is exported"),
        ("two_stage", {"shared_decoder": False}, "two_stage: ESPnet has no decoder for two languages"),
    ],
)
def test_a_system_that_espnet_lacks_is_refused_in_a_line(system: str, model_conf: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.find(system).as_espnet({"model": system, "model_conf": model_conf})
