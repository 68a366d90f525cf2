"""Experiments as ESPnet leaves them behind, and what two models must agree in."""

from pathlib import Path

import torch
import yaml
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.mt import MTTask
from espnet2.tasks.st import STTask as EspnetSTTask

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
