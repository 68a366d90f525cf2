"""The parts of a system, as its configuration chooses them by ESPnet's names."""

import espnet_ext.espnet.fast_import  # noqa: F401 - before any other import of ESPnet

# isort: split
import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from espnet2.asr.ctc import CTC
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.asr.specaug.abs_specaug import AbsSpecAug
from espnet2.asr.specaug.specaug import SpecAug
from espnet2.layers.abs_normalize import AbsNormalize
from espnet2.layers.utterance_mvn import UtteranceMVN
from espnet2.mt.frontend.embedding import Embedding
from espnet2.train.class_choices import ClassChoices
from torch import nn

from espnet_ext.data.tasks import Task, read_tasks
from espnet_ext.espnet.encoders import ENCODERS
from espnet_ext.espnet.normalize import GlobalMVN
from espnet_ext.nn.decoder import TransformerDecoder
from espnet_ext.nn.pretrained import PRETRAINED
from espnet_ext.training.merge import merged

CHOICES = {
    choice.name: choice
    for choice in (
        ClassChoices("frontend", {"default": DefaultFrontend, "embed": Embedding}, AbsFrontend, optional=True),
        ClassChoices("specaug", {"specaug": SpecAug}, AbsSpecAug, optional=True),
        ClassChoices(
            "normalize", {"global_mvn": GlobalMVN, "utterance_mvn": UtteranceMVN}, AbsNormalize, optional=True
        ),
        ClassChoices("encoder", {**ENCODERS, **PRETRAINED}, default="transformer"),
        ClassChoices("decoder", {"transformer": TransformerDecoder}, default="transformer"),
    )
}


def scale_embeddings(part: nn.Module) -> nn.Module:
    """Start embeddings at the scale of the positions: times sqrt(D), torch's default would drown them."""
    for module in part.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
    return part


class Parts:
    """Builds the parts that a configuration describes, each time that a system asks."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.src_size = len(args.src_token_list or ())
        self.tgt_size = len(args.token_list or ())

    @property
    def tasks(self) -> dict[str, Task]:
        """What the system learns, by name, in the order of its configuration; none where it does not say."""
        return read_tasks(vars(self.args))

    def chosen(self, kind: str, **given: Any) -> Any:
        """The module that `kind: name` and `kind_conf` choose, or None."""
        name = getattr(self.args, kind, None)
        if name is None:
            return None
        return scale_embeddings(
            CHOICES[kind].get_class(name)(**given, **(getattr(self.args, f"{kind}_conf", None) or {}))
        )

    def frontend(self) -> nn.Module | None:
        return None if self.args.input_size else self.chosen("frontend")

    def specaug(self) -> nn.Module | None:
        return self.chosen("specaug")

    def normalize(self, frontend: nn.Module | None = None) -> nn.Module | None:
        if self.args.normalize != "global_mvn":
            return self.chosen("normalize")
        return self.chosen("normalize", size=frontend.output_size() if frontend else self.args.input_size)

    def encoder(self, frontend: nn.Module | None = None) -> nn.Module:
        encoder = self.chosen("encoder", input_size=frontend.output_size() if frontend else self.args.input_size)
        if getattr(encoder, "reads_waveforms", False):
            if said := [name for name in ("normalize", "specaug", "frontend") if getattr(self.args, name) is not None]:
                raise ValueError(f"encoder {encoder.kind} reads waveforms; set {', '.join(said)} to null")
            # config.yaml then holds all that a trained system needs: the folder may be gone.
            self.args.encoder_conf = {**self.args.encoder_conf, "architecture": encoder.architecture}
        return encoder

    def text_frontend(self) -> nn.Module | None:
        return self.chosen("frontend", input_size=self.src_size)

    def text_encoder(self, frontend: nn.Module | None = None) -> nn.Module:
        """Word embeddings are the frontend's, as in ESPnet's recipes, or the encoder's with `input_layer: embed`."""
        return self.chosen("encoder", input_size=frontend.output_size() if frontend else self.src_size)

    def of_text(self) -> "Parts":
        """The parts of the same system where it reads text alone: its encoder starts with embeddings."""
        text = {"frontend": None, "specaug": None, "normalize": None, "encoder_conf": {"input_layer": "embed"}}
        return Parts(argparse.Namespace(**merged(vars(self.args), {**text, "input_size": self.tgt_size})))

    def embedding(self, vocab_size: int) -> nn.Module:
        return scale_embeddings(nn.Embedding(vocab_size, self.width))

    def decoder(self, vocab_size: int, make: Callable[..., nn.Module] | None = None) -> nn.Module:
        """A decoder over the encoder's states; `make` is the class of a system that has its own."""
        conf = {"encoder_output_size": self.width, **(self.args.decoder_conf or {})}
        return scale_embeddings((make or CHOICES["decoder"].get_class(self.args.decoder))(vocab_size, **conf))

    def ctc(self, vocab_size: int) -> CTC:
        return CTC(odim=vocab_size, encoder_output_size=self.width, **(self.args.ctc_conf or {}))

    def start_tokens(self) -> dict[str, int]:
        """The ids of <asr_SOURCE> and <st_TARGET> in the vocabulary that both languages share."""
        tokens = self.args.token_list
        if tokens != self.args.src_token_list:
            raise ValueError("a decoder for both languages needs one vocabulary; set `subwords: joint`")
        return {"asr": self.start_token("asr", self.args.src_lang), "st": self.start_token("st", self.args.tgt_lang)}

    def start_token(self, kind: str, lang: str) -> int:
        """The id of <asr_LANG>, <st_LANG> or <mt_LANG>."""
        token = f"<{kind}_{lang}>"
        if token not in self.args.token_list:
            raise ValueError(f"the sub-words have no {token}; train them again for all languages")
        return self.args.token_list.index(token)

    def folder_of(self, name: str) -> Path:
        """Another system's experiment, named in the configuration as a path from this one's folder."""
        folder = getattr(self.args, name, None)
        if not folder:
            raise ValueError(
                f"{self.args.model}: the configuration must say where its {name} is, e.g. {name}: ../{name}"
            )
        return Path(os.path.normpath(Path(self.args.output_dir) / folder))

    def mt_peer(self) -> "tuple[Parts, dict[str, Any]]":
        """What the text peer of a speech system is built of, and its model_conf: as `mt_peer` changes these."""
        text = merged(vars(self.args), {"frontend": None, "encoder_conf": {"input_layer": "embed"}})
        return Parts(argparse.Namespace(**merged(text, self.args.mt_peer))), self.args.mt_peer.get("model_conf") or {}

    @property
    def width(self) -> int:
        return self.args.encoder_conf.get("output_size", 256)
