"""ESPnet's experiments as ours, and ours as ESPnet's; docs/espnet_seam.md says what can be exchanged.

python -m espnet_ext.interop exp/e2e exp_espnet/e2e    # then: espnet2.bin.st_inference on the second folder
"""

import argparse
import functools
from pathlib import Path
from typing import Any

WEIGHTS = ("valid.acc.ave", "valid.loss.ave", "valid.acc.best", "valid.loss.best", "latest")
# ESPnet's options that change what the model computes and that no system here has
REFUSED = ("preencoder", "postencoder", "hier_encoder", "md_encoder", "extra_mt_encoder", "extra_mt_decoder")
SHARED = (
    *("input_size", "frontend", "frontend_conf", "specaug", "specaug_conf", "normalize", "normalize_conf"),
    *("encoder", "encoder_conf", "decoder", "decoder_conf", "ctc_conf", "token_list", "src_token_list"),
)


def task_of(config: dict[str, Any]) -> str:
    """Which of ESPnet's tasks wrote this config.yaml; it does not say."""
    if "extra_asr_decoder" in config:
        return "st"
    return "mt" if "src_token_list" in config else "asr"


def weights_file(folder: Path) -> Path:
    """The model that ESPnet's recipes decode with."""
    found = [folder / f"{name}.pth" for name in WEIGHTS if (folder / f"{name}.pth").exists()]
    if not found:
        raise FileNotFoundError(f"{folder}: none of {', '.join(WEIGHTS)} (.pth); is the training finished?")
    return found[0]


def our_config(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of our system that has the same parameters and computes the same."""
    refused = [name for name in REFUSED if config.get(name)]
    if refused:
        raise ValueError(f"{refused[0]}: {config[refused[0]]}: no system here has such a part")
    ours = {name: config[name] for name in SHARED if name in config}
    task, model_conf = task_of(config), dict(config.get("model_conf") or {})
    kept = ("lsm_weight", "length_normalized_loss")
    ours["model_conf"] = {name: model_conf[name] for name in kept if name in model_conf}
    if ours.get("input_size") is not None:
        ours["frontend"] = None
    system, conf = {"asr": asr_system, "st": st_system, "mt": mt_system}[task](config, model_conf)
    ours["model_conf"] |= conf
    if task == "asr":
        ours["src_token_list"], ours["token_list"] = ours["token_list"], None
    return {**ours, "model": system}


def asr_system(config: dict[str, Any], model_conf: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "asr", {"asr_ctc_weight": model_conf.get("ctc_weight", 0.5)}


def st_system(config: dict[str, Any], model_conf: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """`e2e`, or `multitask` with a decoder per task when ESPnet trained an extra ASR decoder."""
    weight, share = model_conf.get("asr_weight", 0.0), model_conf.get("mtlalpha", 0.0)
    conf = {"st_ctc_weight": model_conf.get("st_mtlalpha", 0.0)}
    if weight > 0 and share < 1 and config.get("extra_asr_decoder"):
        if (config.get("extra_asr_decoder_conf") or {}) != (config.get("decoder_conf") or {}):
            raise ValueError("extra_asr_decoder_conf: both decoders must have the same options")
        return "multitask", {**conf, "shared_decoder": False, "asr_weight": weight, "asr_ctc_weight": share}
    return "e2e", {**conf, "asr_ctc_weight": weight if share > 0 else 0.0}


def mt_system(config: dict[str, Any], model_conf: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    ties = ("share_decoder_input_output_embed", "share_encoder_decoder_input_embed")
    return "mt", {name: model_conf[name] for name in ties if name in model_conf}


class EspnetTokens:
    """ESPnet's tokenizer and token list, used like our Subwords."""

    def __init__(self, folder: Path, tokens: list[str], token_type: str, bpemodel: str | None) -> None:
        self.folder, self.tokens, self.token_type, self.bpemodel = folder, tokens, token_type, bpemodel
        self.size, self.eos = len(tokens), len(tokens) - 1

    @functools.cached_property
    def tokenizer(self) -> Any:
        from espnet2.text.build_tokenizer import build_tokenizer

        if self.token_type != "bpe":
            return build_tokenizer(self.token_type)
        # ESPnet writes the path from the recipe's folder, which is above exp/
        places = [Path(self.bpemodel or "")] + [
            parent / (self.bpemodel or "") for parent in self.folder.resolve().parents
        ]
        found = [place for place in places if place.is_file()]
        if not found:
            raise FileNotFoundError(
                f"{self.folder}: its sub-word model {self.bpemodel} is not there; copy it to that path"
            )
        return build_tokenizer("bpe", bpemodel=str(found[0]))

    @functools.cached_property
    def converter(self) -> Any:
        from espnet2.text.token_id_converter import TokenIDConverter

        return TokenIDConverter(self.tokens)

    def encode(self, text: str) -> list[int]:
        return list(self.converter.tokens2ids(self.tokenizer.text2tokens(text)))

    def decode(self, ids: Any) -> str:
        return self.tokenizer.tokens2text(self.converter.ids2tokens([i for i in map(int, ids) if 0 < i < self.eos]))


def subwords(folder: Path, config: dict[str, Any]) -> tuple[EspnetTokens | None, EspnetTokens | None]:
    """The tokens of the transcript and of the translation."""

    def of(prefix: str) -> EspnetTokens | None:
        tokens, kind = config.get(f"{prefix}token_list"), config.get(f"{prefix}token_type")
        return EspnetTokens(folder, tokens, kind, config.get(f"{prefix}bpemodel")) if tokens and kind else None

    return (of(""), None) if task_of(config) == "asr" else (of("src_"), of(""))


def espnet_task(system: str) -> Any:
    """ESPnet's task class that builds the same model as our system."""
    if system == "asr":
        from espnet2.tasks.asr import ASRTask as Task
    elif system == "mt":
        from espnet2.tasks.mt import MTTask as Task
    elif system in ("e2e", "multitask"):
        from espnet2.tasks.st import STTask as Task
    else:
        raise ValueError(f"{system}: ESPnet has no such model; only asr, mt, e2e and multitask can be exported")
    return Task


def espnet_model_conf(system: str, conf: dict[str, Any]) -> dict[str, Any]:
    """ESPnet's options of the model: loss weights, and so which branches exist."""
    theirs: dict[str, Any] = {name: conf[name] for name in ("lsm_weight", "length_normalized_loss") if name in conf}
    if system == "asr":
        return {**theirs, "ctc_weight": conf.get("asr_ctc_weight", 0.3)}
    if system == "mt":
        return {**theirs, **{name: value for name, value in conf.items() if name.startswith("share_")}}
    theirs["st_mtlalpha"] = conf.get("st_ctc_weight", 0.0)
    ctc = conf.get("asr_ctc_weight", 0.0)
    if system == "e2e":
        return {**theirs, "asr_weight": ctc, "mtlalpha": 1.0 if ctc > 0 else 0.0}
    if conf.get("shared_decoder", True):
        raise ValueError("multitask: ESPnet has no decoder for two languages; only `shared_decoder: false` is exported")
    return {**theirs, "asr_weight": conf.get("asr_weight", 0.3), "mtlalpha": ctc}


def export(folder: Path, out: Path) -> None:
    """Write a trained system of ours as an experiment that ESPnet's inference commands load."""
    import numpy as np
    import torch
    import yaml

    from espnet_ext.espnet.task import load_experiment
    from espnet_ext.nn.subsampling import INPUT_LAYERS

    found = load_experiment(folder)
    ours, system, out = found.config, found.config["model"], out.resolve()
    if ours["encoder_conf"].get("input_layer") in INPUT_LAYERS:
        layer = ours["encoder_conf"]["input_layer"]
        raise ValueError(f"input_layer: {layer}: ESPnet's encoders have no such layer; train with conv2d to exchange")
    config = vars(espnet_task(system).get_parser().parse_args([]))
    config.pop("required")
    config |= {name: ours[name] for name in SHARED if name in config and ours.get(name) is not None}
    config["model_conf"] = espnet_model_conf(system, ours["model_conf"])
    config |= {
        "input_size": ours["input_size"],
        "normalize": ours["normalize"],
        "frontend": ours["frontend"],
        "init": None,
    }
    sides = {"": found.tgt_subwords, "src_": found.src_subwords}
    if system == "asr":
        config["token_list"], sides = ours["src_token_list"], {"": found.src_subwords}
    if system == "mt" and ours["frontend"]:
        config["input_size"] = None
    elif system == "mt":
        config["input_size"] = len(ours["src_token_list"])
    if system == "multitask":
        config |= {"extra_asr_decoder": ours["decoder"], "extra_asr_decoder_conf": ours["decoder_conf"]}
    out.mkdir(parents=True, exist_ok=True)
    for prefix, side in sides.items():
        if side is not None:
            side.copy_to(out)
            config[f"{prefix}token_type"], config[f"{prefix}bpemodel"] = "bpe", str(out / side.name / "model.spm")
    state = found.model.state_dict()
    if ours["normalize"] == "global_mvn":  # ESPnet reads a file even where the model has the numbers
        mean, std = (state[f"normalize.{name}"].double().numpy() for name in ("mean", "std"))
        np.savez(out / "stats.npz", count=1.0, sum=mean, sum_square=std**2 + mean**2)
        config["normalize_conf"] = {**ours["normalize_conf"], "stats_file": str(out / "stats.npz")}
    torch.save(state, out / "valid.acc.ave.pth")
    (out / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a trained system as an ESPnet experiment.")
    parser.add_argument("experiment", type=Path, help="exp/SYSTEM")
    parser.add_argument("out", type=Path, help="the folder to make")
    args = parser.parse_args()
    export(args.experiment, args.out)


if __name__ == "__main__":
    main()
