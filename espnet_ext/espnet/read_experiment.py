"""ESPnet's experiments read as ours; docs/espnet_seam.md says which."""

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
