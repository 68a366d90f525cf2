"""The seam: everything that knows ESPnet's task interface is here.

A YAML chooses ESPnet's parts by their ESPnet names and our system by `model`; `Parts` builds what a system asks for.
"""

import espnet_ext.espnet.fast_import  # noqa: F401 - before any other import of ESPnet

# isort: split
import argparse
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from espnet2.asr.ctc import CTC
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.asr.specaug.abs_specaug import AbsSpecAug
from espnet2.asr.specaug.specaug import SpecAug
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.layers.abs_normalize import AbsNormalize
from espnet2.layers.utterance_mvn import UtteranceMVN
from espnet2.mt.frontend.embedding import Embedding
from espnet2.tasks import abs_task
from espnet2.tasks.abs_task import AbsTask
from espnet2.train.abs_espnet_model import AbsESPnetModel
from espnet2.train.class_choices import ClassChoices
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import int_or_none
from torch import nn

from espnet_ext import interop, models
from espnet_ext.data.subwords import own_subwords
from espnet_ext.espnet.encoders import ENCODERS
from espnet_ext.espnet.normalize import GlobalMVN
from espnet_ext.infra.streams import STREAMS
from espnet_ext.machine.fast_dropout import use_fast_dropout
from espnet_ext.machine.process import keep_freed_memory
from espnet_ext.models._base import scale_embeddings
from espnet_ext.nn.decoder import TransformerDecoder
from espnet_ext.training.merge import merged
from espnet_ext.training.schedules import WarmupLinearLR
from espnet_ext.training.trainer import Trainer

abs_task.scheduler_classes["warmuplinearlr"] = WarmupLinearLR

CHOICES = {
    choice.name: choice
    for choice in (
        ClassChoices("frontend", {"default": DefaultFrontend, "embed": Embedding}, AbsFrontend, optional=True),
        ClassChoices("specaug", {"specaug": SpecAug}, AbsSpecAug, optional=True),
        ClassChoices(
            "normalize", {"global_mvn": GlobalMVN, "utterance_mvn": UtteranceMVN}, AbsNormalize, optional=True
        ),
        ClassChoices("encoder", ENCODERS, default="transformer"),
        ClassChoices("decoder", {"transformer": TransformerDecoder}, default="transformer"),
    )
}


class Parts:
    """Builds the parts that a configuration describes, each time that a system asks."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.src_size = len(args.src_token_list or ())
        self.tgt_size = len(args.token_list or ())

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
        return self.chosen("encoder", input_size=frontend.output_size() if frontend else self.args.input_size)

    def text_frontend(self) -> nn.Module | None:
        return self.chosen("frontend", input_size=self.src_size)

    def text_encoder(self, frontend: nn.Module | None = None) -> nn.Module:
        """Word embeddings are the frontend's, as in ESPnet's recipes, or the encoder's with `input_layer: embed`."""
        return self.chosen("encoder", input_size=frontend.output_size() if frontend else self.src_size)

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
        wanted = {"asr": f"<asr_{self.args.src_lang}>", "st": f"<st_{self.args.tgt_lang}>"}
        missing = [token for token in wanted.values() if token not in tokens]
        if missing:
            raise ValueError(f"the sub-words have no {missing[0]}; train them again for both languages")
        return {task: tokens.index(token) for task, token in wanted.items()}

    def experiment(self, name: str) -> "Experiment":
        """Another system's experiment, named in the configuration as a path from this one's folder."""
        folder = getattr(self.args, name, None)
        if not folder:
            raise ValueError(
                f"{self.args.model}: the configuration must say where its {name} is, e.g. {name}: ../{name}"
            )
        return load_experiment(os.path.normpath(Path(self.args.output_dir) / folder))

    def mt_peer(self) -> "tuple[Parts, dict[str, Any]]":
        """What the text peer of a speech system is built of, and its model_conf: as `mt_peer` changes these."""
        text = merged(vars(self.args), {"frontend": None, "encoder_conf": {"input_layer": "embed"}})
        return Parts(argparse.Namespace(**merged(text, self.args.mt_peer))), self.args.mt_peer.get("model_conf") or {}

    @property
    def width(self) -> int:
        return self.args.encoder_conf.get("output_size", 256)


class STTask(AbsTask):
    """ESPnet's task for every system of espnet_ext/models."""

    class_choices_list = list(CHOICES.values())
    trainer = Trainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("Speech translation")
        group.add_argument("--model", default="e2e", help=f"The system: {', '.join(models.NAMES)}.")
        group.add_argument("--model_conf", action=NestedDictAction, default={}, help="Options of the system.")
        group.add_argument("--decode", action=NestedDictAction, default={}, help="Options of decoding.")
        group.add_argument("--subwords", default="separate", choices=("separate", "joint"))
        group.add_argument("--subword_sampling", action=NestedDictAction, default=None, help="alpha, nbest.")
        group.add_argument("--train_dump", help="Dump directory to train on.")
        group.add_argument("--valid_dump", help="Dump directory to validate on.")
        group.add_argument("--src_lang", help="Language of the transcript.")
        group.add_argument("--tgt_lang", help="Language of the translation.")
        group.add_argument("--src_token_list", help="Tokens of the transcript: a list or its file.")
        group.add_argument("--token_list", help="Tokens of the translation: a list or its file.")
        group.add_argument("--input_size", type=int_or_none, default=80, help="Features a frame.")
        group.add_argument("--asr", help="A pipeline's recogniser: its experiment, from this one's folder.")
        group.add_argument("--mt", help="A pipeline's translator.")
        group.add_argument("--mt_peer", action=NestedDictAction, default={}, help="What a text peer has of its own.")
        group.add_argument("--max_frames", type=int, default=3000, help="Longer utterances do not train.")
        group.add_argument("--max_tokens", type=int, default=500, help="Longer texts do not train.")
        group.add_argument("--ctc_conf", action=NestedDictAction, default={}, help="Options of ESPnet's CTC.")
        for choice in cls.class_choices_list:
            choice.add_arguments(group)

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        keep_freed_memory()
        super().main_worker(args)

    @classmethod
    def build_optimizers(cls, args: argparse.Namespace, model: torch.nn.Module) -> list[torch.optim.Optimizer]:
        """One optimizer, or one for each peer that learns in turn; a text peer may have another, by `mt_peer`."""
        if not model.phases:
            return super().build_optimizers(args, model)
        optimizers = []
        for name in model.phases:
            own = argparse.Namespace(**merged(vars(args), args.mt_peer if name == "mt" else {}))
            optimizers += super().build_optimizers(own, getattr(model, name))
        vars(args).update(scheduler2=own.scheduler, scheduler2_conf=own.scheduler_conf)  # where ESPnet looks for them
        return optimizers

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> AbsESPnetModel:
        for name in ("token_list", "src_token_list"):
            tokens = getattr(args, name)
            if isinstance(tokens, str):  # config.yaml is to hold the list itself
                setattr(args, name, Path(tokens).read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        model = models.find(args.model)(Parts(args), **args.model_conf)
        use_fast_dropout(model)
        return model

    @classmethod
    def build_iter_factory(
        cls, args: argparse.Namespace, distributed_option: Any, mode: str, kwargs: dict | None = None
    ) -> AbsIterFactory:
        from espnet_ext.data.dataset import SpeechTextData
        from espnet_ext.data.loader import IterFactory

        training = mode == "train"
        names = models.find(args.model).data_names
        data = SpeechTextData(
            args.train_dump if training else args.valid_dump,
            args.src_lang,
            args.tgt_lang,
            *own_subwords(Path(args.output_dir), vars(args)),
            names=names,
            sample=args.subword_sampling["alpha"] if training and args.subword_sampling else None,
        )
        return IterFactory(
            data,
            batch_bins=args.batch_bins if training else args.valid_batch_bins or args.batch_bins,
            max_examples=args.max_batch_size,
            limits=[args.max_frames if name == "speech" else args.max_tokens for name in names],
            seed=args.seed,
            shuffle=training,
            num_workers=args.num_workers,
            rank=distributed_option.dist_rank or 0,
            world=distributed_option.dist_world_size or 1,
        )

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> None:
        """Our loader makes whole batches."""

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> None:
        """Our loader reads features and token ids."""

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ()

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ()


@dataclass
class Experiment:
    """A trained system, ready to decode."""

    model: Any  # espnet_ext.models._base.BaseModel
    config: dict[str, Any]
    src_subwords: Any  # espnet_ext.data.subwords.Subwords, or what interop makes of ESPnet's tokens
    tgt_subwords: Any
    folder: Path

    def text(self, stream: str, tokens: list[int]) -> str:
        """What the tokens of a stream say, on one line."""
        subwords = STREAMS[stream].of(self.src_subwords, self.tgt_subwords)
        return " ".join(subwords.decode(tokens).split())


def load_experiment(folder: str | Path, device: str | torch.device = "cpu") -> Experiment:
    """The system in an experiment directory of ours, or of ESPnet's ASR, MT or ST training."""
    folder = Path(folder)
    if not (folder / "config.yaml").exists():
        raise FileNotFoundError(f"{folder}: no config.yaml; train this system first")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    if "src_lang" in config:
        weights, subwords = folder / "model.pth", own_subwords(folder, config)
    else:
        weights, subwords = interop.weights_file(folder), interop.subwords(folder, config)
        config = interop.our_config(config)
    config = {**default_config(), **config, "output_dir": str(folder)}
    # The model file holds the statistics; the file that they came from may be gone.
    conf = config.get("normalize_conf") or {}
    built = {**config, "normalize_conf": {name: value for name, value in conf.items() if name != "stats_file"}}
    model = STTask.build_model(argparse.Namespace(**built))
    if model.composed_of:
        subwords = model.subwords  # those of its parts
    else:
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: not there; the training of {folder.name} is not finished")
        state = torch.load(weights, map_location="cpu", weights_only=True)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{weights} does not fit {folder / 'config.yaml'}: {error}") from None
    return Experiment(model.to(device).eval(), config, *subwords, folder)


@functools.cache
def default_config() -> dict[str, Any]:
    """What an option is when a configuration does not say."""
    return vars(STTask.get_parser().parse_args([]))
