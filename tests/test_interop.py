"""ESPnet's experiments compute the same here, and ours the same in ESPnet's inference classes."""

from argparse import Namespace
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text as AsrInference
from espnet2.bin.mt_inference import Text2Text as MtInference
from espnet2.bin.st_inference import Speech2Text as StInference
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.mt import MTTask
from espnet2.tasks.st import STTask as EspnetSTTask

from espnet_ext import interop
from espnet_ext.espnet.task import STTask, load_experiment
from espnet_ext.search.options import SearchOptions

CHARACTERS = ["<blank>", "<unk>", "<space>", *"abcdefghijklmnopqrstuvwxyz", "<sos/eos>"]
SMALL = {"output_size": 16, "attention_heads": 2, "linear_units": 24, "num_blocks": 2}
DECODER = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2}


def save_as_espnet(folder: Path, task: type, **config: object) -> torch.nn.Module:
    """What ESPnet leaves behind a training: config.yaml and an averaged model, with random parameters."""
    args = task.get_parser().parse_args([])
    for name, value in {"token_list": CHARACTERS, "token_type": "char", **config}.items():
        assert hasattr(args, name), name
        setattr(args, name, value)
    torch.manual_seed(3)
    model = task.build_model(args).eval()
    for value in model.buffers():
        if value.dtype == torch.float32 and value.dim() == 1:
            value.uniform_(0.5, 1.5)  # running statistics of a trained model
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(vars(args)), encoding="utf-8")
    torch.save(model.state_dict(), folder / "valid.acc.ave.pth")
    return model


SPEECH = {"input_size": 80, "normalize": None, "decoder": "transformer", "decoder_conf": DECODER}
SOURCE = {"src_token_list": CHARACTERS, "src_token_type": "char"}
CONFORMER = {**SMALL, "rel_pos_type": "latest", "macaron_style": True, "cnn_module_kernel": 7}
CASES = {
    "asr-transformer": (ASRTask, {**SPEECH, "encoder": "transformer", "encoder_conf": SMALL}),
    "asr-attention": (
        ASRTask,
        {**SPEECH, "encoder": "conformer", "encoder_conf": CONFORMER, "model_conf": {"ctc_weight": 0.0}},
    ),
    "asr-ctc": (ASRTask, {**SPEECH, "encoder": "conformer", "encoder_conf": SMALL, "model_conf": {"ctc_weight": 1.0}}),
    "asr-waveform": (
        ASRTask,
        {**SPEECH, "input_size": None, "normalize": "utterance_mvn", "encoder": "transformer", "encoder_conf": SMALL},
    ),
    "st": (EspnetSTTask, {**SPEECH, **SOURCE, "encoder": "transformer", "encoder_conf": SMALL}),
    "st-ctc": (
        EspnetSTTask,
        {
            **SPEECH,
            **SOURCE,
            "encoder": "conformer",
            "encoder_conf": CONFORMER,
            "model_conf": {"asr_weight": 0.3, "mtlalpha": 1.0, "st_mtlalpha": 0.2},
        },
    ),
    "st-multitask": (
        EspnetSTTask,
        {
            **SPEECH,
            **SOURCE,
            "encoder": "transformer",
            "encoder_conf": {**SMALL, "normalize_before": False},
            "model_conf": {"asr_weight": 0.3, "mtlalpha": 0.3},
            "extra_asr_decoder": "transformer",
            "extra_asr_decoder_conf": DECODER,
        },
    ),
    "mt": (
        MTTask,
        {
            **SOURCE,
            "frontend_conf": {"embed_dim": 16},
            "encoder": "transformer",
            "decoder": "transformer",
            "encoder_conf": {**SMALL, "input_layer": None},
            "decoder_conf": DECODER,
        },
    ),
    "mt-tied": (
        MTTask,
        {
            **SOURCE,
            "input_size": len(CHARACTERS),
            "encoder": "transformer",
            "decoder": "transformer",
            "encoder_conf": {**SMALL, "input_layer": "embed"},
            "decoder_conf": DECODER,
            "model_conf": {"share_decoder_input_output_embed": True},
        },
    ),
}


def inputs_of(ours: torch.nn.Module, is_waveform: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    if ours.inputs == ("src_text",):
        return torch.randint(2, 9, (1, 9)), torch.tensor([9])
    if is_waveform:
        return 0.1 * torch.randn(1, 16000), torch.tensor([16000])
    return torch.randn(1, 83, 80), torch.tensor([83])


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module, is_waveform: bool = False) -> None:
    """Encoder states, decoder logits and CTC logits agree to 1e-5."""
    tokens = torch.tensor([[1, 5, 6, 7, 8]])
    with torch.no_grad():
        memory, lengths = ours.encode(*inputs_of(ours, is_waveform))
        wanted, wanted_lengths = theirs.encode(*inputs_of(ours, is_waveform))
        assert lengths.tolist() == wanted_lengths.tolist()
        assert (memory - wanted).abs().max() < 1e-5
        compared = 0
        for name in ("decoder", "extra_asr_decoder"):
            decoder, reference = getattr(ours, name, None), getattr(theirs, name, None)
            assert (decoder is None) == (reference is None), name
            if decoder is not None:
                logits = decoder(memory, lengths, tokens, torch.tensor([5]))
                assert (logits - reference(wanted, lengths, tokens, torch.tensor([5]))[0]).abs().max() < 1e-5
                compared += 1
        for name in ("ctc", "st_ctc"):
            ctc, reference = getattr(ours, name, None), getattr(theirs, name, None)
            assert (ctc is None) == (reference is None), name
            if ctc is not None:
                assert (ctc.ctc_lo(memory) - reference.ctc_lo(wanted)).abs().max() < 1e-5
                compared += 1
    assert compared


@pytest.mark.parametrize("case", CASES)
def test_espnets_models_compute_the_same_here(case: str, tmp_path: Path) -> None:
    task, config = CASES[case]
    theirs = save_as_espnet(tmp_path / "exp", task, **config)
    found = load_experiment(tmp_path / "exp")
    assert sum(p.numel() for p in found.model.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert_same(found.model, theirs, config.get("input_size") is None and task is ASRTask)
    side = found.src_subwords if case.startswith("asr") else found.tgt_subwords
    assert side.decode(side.encode("wine and tea")) == "wine and tea"


def test_parts_that_no_system_has_are_refused(tmp_path: Path) -> None:
    config = {**CASES["st"][1], "hier_encoder": "transformer", "hier_encoder_conf": {**SMALL, "input_layer": None}}
    save_as_espnet(tmp_path / "exp", EspnetSTTask, **config)
    with pytest.raises(ValueError, match="hier_encoder: transformer: no system here has such a part"):
        load_experiment(tmp_path / "exp")


def test_a_model_that_espnet_trained_computes_the_same_here(tmp_path: Path) -> None:
    from espnet2.bin.st_train import main

    rng = np.random.default_rng(0)
    feats = {f"utt{i}": rng.normal(size=(40 + 5 * i, 80)).astype(np.float32) for i in range(6)}
    kaldiio.save_ark(str(tmp_path / "feats.ark"), feats, scp=str(tmp_path / "feats.scp"))
    (tmp_path / "text").write_text("".join(f"{key} ab cd\n" for key in feats), encoding="utf-8")
    (tmp_path / "tokens").write_text("\n".join(CHARACTERS) + "\n", encoding="utf-8")
    frames = np.concatenate(list(feats.values()))
    np.savez(tmp_path / "stats.npz", count=len(frames), sum=frames.sum(0), sum_square=(frames**2).sum(0))
    config = {
        **SPEECH,
        "encoder": "transformer",
        "encoder_conf": SMALL,
        "model_conf": {"asr_weight": 0.3, "mtlalpha": 1.0},
    }
    config |= {"token_list": str(tmp_path / "tokens"), "src_token_list": str(tmp_path / "tokens")}
    config |= {"token_type": "char", "src_token_type": "char", "output_dir": str(tmp_path / "exp")}
    config |= {"normalize": "global_mvn", "normalize_conf": {"stats_file": str(tmp_path / "stats.npz")}}
    config |= {"optim": "adam", "max_epoch": 1, "num_att_plot": 0, "use_tensorboard": False}
    config |= {"batch_type": "unsorted", "batch_size": 3, "num_workers": 0}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = ["--config", str(tmp_path / "train.yaml")]
    for part in ("train", "valid"):
        for path, name, kind in (
            ("feats.scp", "speech", "kaldi_ark"),
            ("text", "text", "text"),
            ("text", "src_text", "text"),
        ):
            command += [f"--{part}_data_path_and_name_and_type", f"{tmp_path / path},{name},{kind}"]
        command += [f"--{part}_shape_file", str(tmp_path / "text")]
    main(command)
    theirs, _ = EspnetSTTask.build_model_from_file(tmp_path / "exp/config.yaml", tmp_path / "exp/valid.acc.ave.pth")
    (tmp_path / "stats.npz").unlink()  # the experiment must do without
    ours = load_experiment(tmp_path / "exp").model
    assert_same(ours, theirs.eval())
    hypotheses = ours.decode(
        dict(zip(("speech", "speech_lengths"), inputs_of(ours))), {"st": SearchOptions(max_length=9)}
    )
    assert len(hypotheses["st"]) == 1


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
    ],
)
def test_our_models_compute_the_same_in_espnet(
    system: str, config: dict, inference: type, subwords: list[Path], tmp_path: Path
) -> None:
    ours = save_as_ours(tmp_path / "exp", subwords, model=system, **config)
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


def test_an_input_layer_that_espnet_lacks_is_refused(subwords: list[Path], tmp_path: Path) -> None:
    save_as_ours(
        tmp_path / "exp", subwords, model="e2e", **{**OURS, "encoder_conf": {**CONFORMER, "input_layer": "conv1d"}}
    )
    with pytest.raises(ValueError, match="conv1d: ESPnet's encoders have no such layer; train with conv2d"):
        interop.export(tmp_path / "exp", tmp_path / "out")
