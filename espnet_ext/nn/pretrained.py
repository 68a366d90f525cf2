"""Speech encoders that others trained, from a folder in Hugging Face's format, as parts of a system (docs/transfer.md).

B batch, N samples, T frames, D width, M mel bins.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from espnet_ext.nn.padding import length_mask

RATE = 16000
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")


def library() -> Any:
    try:
        import transformers
    except ImportError:
        raise ValueError("encoder: transformers is not installed; pip install transformers==5.23.0") from None
    transformers.utils.logging.disable_progress_bar()
    return transformers


class Pretrained(nn.Module):
    """What they share: the folder, what of them learns, and the width that the decoder reads."""

    kind: str  # the model_type in config.json
    reads_waveforms = is_pretrained = True

    def __init__(
        self,
        input_size: int,
        output_size: int = 256,
        folder: str | None = None,
        frozen: bool = True,
        unfreeze: int = 0,
        architecture: dict[str, Any] | None = None,
    ) -> None:
        """`unfreeze` of the last layers learn though the rest is frozen.

        A trained system brings its weights, and has the `architecture` in its configuration: no folder is needed then.
        """
        super().__init__()
        library()
        said = architecture or self.said_in(folder)
        self.architecture = {**said, "apply_spec_augment": False, "layerdrop": 0.0, "encoder_layerdrop": 0.0}
        self.model = self.build(self.architecture, None if architecture else folder)
        self.out = nn.Linear(self.architecture.get("hidden_size") or self.architecture["d_model"], output_size)
        layers = self.model.layers if hasattr(self.model, "layers") else self.model.encoder.layers
        if not 0 <= unfreeze <= len(layers):
            raise ValueError(f"unfreeze: {unfreeze}; {folder or self.kind} has {len(layers)} layers")
        if frozen:
            self.model.requires_grad_(False)
            layers[len(layers) - unfreeze :].requires_grad_(True)
        self.frozen = frozen

    def said_in(self, folder: str | None) -> dict[str, Any]:
        """The config.json of the folder, which must be of this kind and have weights."""
        if not folder:
            raise ValueError(f"encoder {self.kind}: encoder_conf.folder must say where it lies on this machine's disk")
        path = Path(folder) / "config.json"
        if not path.exists():
            raise ValueError(
                f"encoder {self.kind}: {folder} has no config.json; give a folder in Hugging Face's format"
            )
        said = json.loads(path.read_text(encoding="utf-8"))
        if said.get("model_type") != self.kind:
            found = said.get("model_type")
            raise ValueError(f"encoder {self.kind}: {folder} holds a model of type {found}; set encoder: {found}")
        if not any((Path(folder) / name).exists() for name in WEIGHTS):
            raise ValueError(f"encoder {self.kind}: {folder} has none of {', '.join(WEIGHTS)}; copy the weights there")
        return said

    def build(self, said: dict[str, Any], folder: str | None) -> nn.Module:
        """The network, with the folder's weights if there is one."""
        raise TypeError(f"{type(self).__name__}: a kind of encoder must define build(said, folder)")

    def train(self, mode: bool = True) -> "Pretrained":
        super().train(mode)
        if self.frozen:
            self.model.eval()  # no dropout where nothing learns
        return self

    def output_size(self) -> int:
        return self.out.out_features

    def forward(
        self, x_BN: torch.Tensor, lengths_B: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        if x_BN.dim() != 2:
            raise ValueError(
                f"encoder {self.kind} reads waveforms (B, N), not features {tuple(x_BN.shape)}; "
                "this set or program gives features"
            )
        x_BTD, lengths_B = self.states(x_BN, lengths_B)
        return self.out(x_BTD), lengths_B, None

    def states(self, x_BN: torch.Tensor, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the pretrained network makes of it, and the lengths."""
        raise TypeError(f"{type(self).__name__}: a kind of encoder must define states(x_BN, lengths_B)")


class Wav2Vec2(Pretrained):
    """Convolutions over samples, then a Transformer; 50 frames a second."""

    kind = "wav2vec2"
    normalises = True  # each utterance to mean 0 and variance 1, unless preprocessor_config.json says otherwise

    def build(self, said: dict[str, Any], folder: str | None) -> nn.Module:
        transformers = library()
        if folder and (path := Path(folder) / "preprocessor_config.json").exists():
            said["do_normalize"] = json.loads(path.read_text(encoding="utf-8")).get("do_normalize", True)
        self.normalises = said.get("do_normalize", True)
        config = transformers.AutoConfig.for_model(**said)
        if folder is None:
            return transformers.AutoModel.from_config(config)
        return transformers.AutoModel.from_pretrained(folder, config=config, local_files_only=True)

    def states(self, x_BN: torch.Tensor, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # One by one: the first layer of many of these normalises over time, the padding included.
        parts = [self.features(x_N[:length]) for x_N, length in zip(x_BN, lengths_B.tolist())]
        frames_B = torch.tensor([len(part) for part in parts], device=x_BN.device)
        x_BTD = nn.utils.rnn.pad_sequence(parts, batch_first=True)
        mask_BT = length_mask(frames_B, x_BTD.size(1))
        x_BTD = self.model.feature_projection(x_BTD)
        x_BTD = x_BTD[0] if isinstance(x_BTD, tuple) else x_BTD
        return self.model.encoder(x_BTD, attention_mask=mask_BT).last_hidden_state, frames_B

    def features(self, x_N: torch.Tensor) -> torch.Tensor:
        """(T, D) of one utterance; silence follows one that is too short for a frame."""
        least = 1
        for kernel, stride in zip(self.model.config.conv_kernel[::-1], self.model.config.conv_stride[::-1]):
            least = (least - 1) * stride + kernel
        if self.normalises:
            x_N = (x_N - x_N.mean()) / torch.sqrt(x_N.var(unbiased=False) + 1e-7)
        x_N = nn.functional.pad(x_N, (0, max(0, least - len(x_N))))
        return self.model.feature_extractor(x_N[None])[0].T


class Hubert(Wav2Vec2):
    """As wav2vec 2.0, trained otherwise."""

    kind = "hubert"


class Whisper(Pretrained):
    """The encoder of Whisper, which hears windows of 30 s, silence at their ends; 50 frames a second."""

    kind = "whisper"

    def build(self, said: dict[str, Any], folder: str | None) -> nn.Module:
        transformers = library()
        config = transformers.AutoConfig.for_model(**said)
        if folder is None:
            whole = transformers.AutoModel.from_config(config)
        else:
            whole = transformers.AutoModel.from_pretrained(folder, config=config, local_files_only=True)
        self.seconds = config.max_source_positions // 50
        self.mel = transformers.WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=self.seconds)
        return whole.encoder

    def states(self, x_BN: torch.Tensor, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        window = self.seconds * RATE
        pieces, owners = [], []
        for row, (x_N, length) in enumerate(zip(x_BN, lengths_B.tolist())):
            for start in range(0, max(1, length), window):
                pieces.append(x_N[start : min(start + window, length)].float().cpu().numpy())
                owners.append(row)
        mel_BMT = self.mel(pieces, sampling_rate=RATE, return_tensors="pt").input_features.to(x_BN)
        y_BTD = self.model(mel_BMT).last_hidden_state
        hop = window // y_BTD.size(1)  # samples of a frame
        rows: list[list[torch.Tensor]] = [[] for _ in x_BN]
        for y_TD, piece, row in zip(y_BTD, pieces, owners):
            rows[row].append(y_TD[: max(1, -(-len(piece) // hop))])
        joined = [torch.cat(row) for row in rows]
        frames_B = torch.tensor([len(row) for row in joined], device=x_BN.device)
        return nn.utils.rnn.pad_sequence(joined, batch_first=True), frames_B


PRETRAINED = {encoder.kind: encoder for encoder in (Wav2Vec2, Hubert, Whisper)}
