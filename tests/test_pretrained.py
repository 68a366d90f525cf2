"""Pretrained speech encoders: tiny ones of each kind, saved by transformers on the spot."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers
import yaml

from espnet_ext import decode, train
from espnet_ext.data import features, subwords, text
from espnet_ext.data.write_datadir import Utterance, write_data_dir
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.nn.pretrained import PRETRAINED
from tests.support.tiny_train import write_config

CONVOLUTIONS = {"conv_dim": [8] * 3, "conv_kernel": [10, 8, 4], "conv_stride": [5, 8, 8]}
SIZES: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SIZES |= {**CONVOLUTIONS, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
WHISPER = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2}
WHISPER |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_source_positions": 100}
KINDS = {
    "wav2vec2": [transformers.Wav2Vec2Config(**SIZES), transformers.Wav2Vec2Config(**SIZES, feat_extract_norm="layer")],
    "hubert": [transformers.HubertConfig(**SIZES)],
    "whisper": [transformers.WhisperConfig(**WHISPER, vocab_size=20, pad_token_id=0, bos_token_id=1, eos_token_id=2)],
}
CASES = [(kind, number) for kind, configs in KINDS.items() for number in range(len(configs))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FOLDER/<kind><number>: a randomly initialised model of each kind."""
    root = tmp_path_factory.mktemp("pretrained")
    torch.manual_seed(0)
    for kind, number in CASES:
        transformers.AutoModel.from_config(KINDS[kind][number]).save_pretrained(root / f"{kind}{number}")
    return root


def encoder(folders: Path, kind: str, number: int = 0, **conf: Any) -> torch.nn.Module:
    return PRETRAINED[kind](80, output_size=12, folder=str(folders / f"{kind}{number}"), **conf)


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_padding_changes_nothing(folders: Path, kind: str, number: int) -> None:
    torch.manual_seed(1)
    part = encoder(folders, kind, number).eval()
    lengths_B = torch.tensor([40_000, 16_000, 7_000, 100])
    x_BN = torch.randn(4, 40_000)
    with torch.no_grad():
        together, frames_B, _ = part(x_BN, lengths_B)
        for row, length in enumerate(lengths_B.tolist()):
            alone, frames, _ = part(x_BN[row : row + 1, :length], lengths_B[row : row + 1])
            assert int(frames) == int(frames_B[row]) > 0
            torch.testing.assert_close(together[row, : int(frames)], alone[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("conf", "layers"), [({}, 0), ({"unfreeze": 1}, 1), ({"frozen": False}, 2)])
def test_what_learns(folders: Path, kind: str, conf: dict[str, Any], layers: int) -> None:
    part = encoder(folders, kind, **conf).train()
    part(torch.randn(2, 16_000), torch.tensor([16_000, 9_000]))[0].sum().backward()
    learned = {name for name, parameter in part.named_parameters() if parameter.grad is not None}
    stack = "model.layers" if kind == "whisper" else "model.encoder.layers"
    assert {name.split("layers.")[1][0] for name in learned if name.startswith(stack)} == {"0", "1"} - (
        {"0", "1"} if layers == 0 else {"0"} if layers == 1 else set()
    )
    assert {"out.weight", "out.bias"} <= learned and (layers == 2 or part.model.training is False)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_transformers_computes(folders: Path, kind: str) -> None:
    x_N = torch.randn(32_000)
    part = encoder(folders, kind).eval()
    whole = transformers.AutoModel.from_pretrained(folders / f"{kind}0").eval()
    with torch.no_grad():
        found = part.states(x_N[None], torch.tensor([32_000]))[0]
        if kind == "whisper":
            extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=2)
            mel = extractor(x_N.numpy(), sampling_rate=16000, return_tensors="pt").input_features
            wanted = whole.encoder(mel).last_hidden_state
        else:
            extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
            given = extractor(x_N.numpy(), sampling_rate=16000, return_tensors="pt").input_values
            wanted = whole(given).last_hidden_state
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


def test_what_is_wrong_is_said(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    config = json.loads((folders / "hubert0/config.json").read_text())
    (tmp_path / "bare/config.json").write_text(json.dumps(config))
    for kind, conf, message in (
        ("hubert", {"folder": None}, "encoder_conf.folder must say where it lies"),
        ("hubert", {"folder": str(tmp_path / "no")}, "no has no config.json; give a folder in Hugging Face's format"),
        ("hubert", {"folder": str(folders / "whisper0")}, "holds a model of type whisper; set encoder: whisper"),
        ("hubert", {"folder": str(tmp_path / "bare")}, "has none of model.safetensors, pytorch_model.bin"),
        ("hubert", {"folder": str(folders / "hubert0"), "unfreeze": 3}, "unfreeze: 3; .*hubert0 has 2 layers"),
    ):
        with pytest.raises(ValueError, match=message):
            PRETRAINED[kind](80, **conf)
    part = encoder(folders, "wav2vec2")
    with pytest.raises(ValueError, match=r"wav2vec2 reads waveforms \(B, N\), not features \(1, 9, 80\)"):
        part(torch.randn(1, 9, 80), torch.tensor([9]))
    values = {**default_config(), "model": "asr", "src_token_list": ["<blank>", "<unk>", "a", "<sos/eos>"]}
    values |= {"encoder": "wav2vec2", "encoder_conf": {"folder": str(folders / "wav2vec20"), "output_size": 16}}
    values |= {"token_list": values["src_token_list"], "normalize": "utterance_mvn"}
    with pytest.raises(ValueError, match="encoder wav2vec2 reads waveforms; set normalize to null"):
        STTask.build_model(Namespace(**values))


def test_a_system_trains_and_decodes_with_one_whose_folder_is_gone_by_then(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw, words = np.random.default_rng(1), ["a b", "b a", "a a", "b b"]
    for name in ("train", "dev"):
        lines = []
        for i in range(8):
            path = tmp_path / f"{name}{i}.wav"
            soundfile.write(path, 0.1 * draw.normal(size=16_000 + 800 * i), 16_000)
            lines.append(Utterance(f"{name}{i}", "s", {"en": words[i % 4], "de": words[i % 4]}, path))
        write_data_dir(f"data/{name}", lines, speech="en")
        features.main([f"data/{name}", f"dump/{name}"])
        text.main([f"data/{name}", f"dump/{name}"])
    for lang in ("en", "de"):
        folder = tmp_path / "dump/subwords" / lang
        folder.mkdir(parents=True)
        subwords.train(folder, words, [lang], None, "char")
    (tmp_path / "copy").symlink_to(folders / "hubert0")
    conf = {"encoder": "hubert", "encoder_conf": {"folder": "copy", "output_size": 16, "unfreeze": 1}}
    conf |= {"decoder_conf": {"attention_heads": 2, "linear_units": 24, "num_blocks": 1}, "normalize": None}
    write_config(tmp_path / "conf/asr.yaml", **conf, max_epoch=1)
    places = ["--train", "dump/train", "--valid", "dump/dev", "--subwords", "dump/subwords"]
    train.main(["conf/asr.yaml", "exp/asr", *places, "--src_lang", "en", "--tgt_lang", "de"])
    (tmp_path / "copy").unlink()
    decode.main(["exp/asr", "dump/dev", "--beam", "2"])
    assert len((tmp_path / "exp/asr/dev/hyp.asr").read_text().splitlines()) == 8
    assert "architecture" in yaml.safe_load((tmp_path / "exp/asr/config.yaml").read_text())["encoder_conf"]
