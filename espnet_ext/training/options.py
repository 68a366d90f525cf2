"""The options of the training loop: ESPnet's names where ESPnet has them, and a few of our own."""

import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from espnet_ext.machine import bf16
from espnet_ext.training.errors import TrainError

AMPS = ("auto", "none", "bf16", "fp16")

# ESPnet's options for which this loop has no code, or another name
REFUSED = {
    "use_amp": "set amp: auto, bf16 or (on a GPU) fp16",
    "sharded_ddp": "use plain DDP",
    "use_deepspeed": "use plain DDP",
    "use_wandb": "TensorBoard and history.jsonl are written",
    "use_adapter": "adapters are not part of this project",
    "grad_noise": "use label smoothing or SpecAugment",
    "ddp_comm_hook": "leave it out",
    "no_forward_run": "time the loader with tests/bench",
}


@dataclass
class TrainOptions:
    """What the loop needs to know."""

    output_dir: str
    seed: int
    max_epoch: int
    patience: int | None
    early_stopping_criterion: list[str]
    best_model_criterion: list[list[str]]
    keep_nbest_models: list[int]
    val_scheduler_criterion: list[str]
    accum_grad: int
    grad_clip: float
    grad_clip_type: float
    batch_bins: int
    unused_parameters: bool
    use_tensorboard: bool
    amp: str
    checkpoint_minutes: float
    greedy_every: int
    greedy_utterances: int
    init: dict[str, str]
    subwords: str
    src_lang: str | None
    tgt_lang: str | None
    tasks: dict[str, Any] = field(default_factory=dict)
    vocabulary: dict[str, Any] = field(default_factory=dict)
    derived: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return Path(self.output_dir)

    @property
    def criterion(self) -> list[str]:
        return self.best_model_criterion[0]

    @property
    def nbest(self) -> int:
        return self.keep_nbest_models[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Our own options, and our defaults for ESPnet's."""
    from espnet2.utils.nested_dict_action import NestedDictAction

    group = parser.add_argument_group("training loop")
    group.add_argument("--amp", choices=AMPS, default="auto", help="number format; auto: bf16 if in hardware")
    group.add_argument("--init", action=NestedDictAction, default={}, help="part of the model: system to take it from")
    group.add_argument("--checkpoint_minutes", type=float, default=10.0, help="minutes between saves within an epoch")
    group.add_argument("--greedy_every", type=int, default=1, help="epochs between greedy WER and BLEU; 0: never")
    group.add_argument("--greedy_utterances", type=int, default=64, help="validation utterances for these, about")
    parser.set_defaults(
        best_model_criterion=[("valid", "acc", "max")],
        keep_nbest_models=[5],
        num_att_plot=0,
        use_matplotlib=False,
        num_workers=0,  # the loop has a thread that fetches ahead
        log_level="WARNING",  # the loop speaks for itself
    )


def build_options(args: argparse.Namespace) -> TrainOptions:
    """Check and collect the loop's options."""
    for name, instead in REFUSED.items():
        if getattr(args, name, None):
            raise TrainError(f"{name}: this training loop does not support it; {instead}")
    values: dict[str, Any] = {field.name: getattr(args, field.name) for field in fields(TrainOptions)}
    if isinstance(values["keep_nbest_models"], int):
        values["keep_nbest_models"] = [values["keep_nbest_models"]]
    device = "cuda" if getattr(args, "ngpu", 0) else "cpu"
    values["amp"] = bf16.choose(values["amp"], device, "none")
    options = TrainOptions(**values)
    for name in ("best_model_criterion", "keep_nbest_models"):
        if len(getattr(options, name)) != 1:
            raise TrainError(f"{name}: exactly one is needed to make model.pth, found {getattr(options, name)}")
    if options.nbest < 1 or options.accum_grad < 1:
        raise TrainError("keep_nbest_models and accum_grad must be at least 1")
    if options.amp == "fp16" and device == "cpu":
        raise TrainError("amp: fp16 needs a GPU (its gradients must be scaled); on a CPU set amp: auto")
    return options
