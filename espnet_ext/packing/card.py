"""The card of a system: what it is, what it was trained on, its scores, its licence. README.md of a pack."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet_ext.data.tasks import read_tasks
from espnet_ext.packing.layout import PARTS, PackError

UNKNOWN = "unknown"
NAMES = {"asr": "transcript", "st": "translation of speech", "mt": "translation of text"}
TASKS = {"asr": "automatic-speech-recognition", "st": "translation", "mt": "translation"}


def write(exp: Path, license: str = UNKNOWN) -> str:
    """The card, in Markdown, with the fields that model hubs read on top; the same system gives the same card."""
    if not license.strip() or not license.isprintable():
        raise PackError(f"licence {license!r}: give its short name, such as cc-by-4.0 or apache-2.0")
    config = _config(exp)
    results = sorted((_read(path) for path in exp.glob("*/scores.json")), key=lambda result: result["test_set"])
    tasks = read_tasks(config)
    own = [(config["src_lang"], config.get("tgt_lang"))]
    pairs = [(task.src, task.tgt) for task in tasks.values()] if tasks else own
    languages = list(dict.fromkeys(lang for pair in pairs for lang in pair if lang))
    title = f"{config.get('model', exp.name)}: " + (", ".join(tasks) or " to ".join(languages))
    sections = [
        _fields(config, languages, license),
        f"# {title}",
        _use(exp, config),
        "## Scores\n\n" + (_scores(results) or "None: no test set was scored."),
        *(_system(folder, name) for folder, name in _systems(exp, config)),
        f"## Licence\n\n{license}" + ("; ask who made it." if license == UNKNOWN else ""),
    ]
    return "\n\n".join(sections) + "\n"


def _fields(config: dict[str, Any], languages: list[str], license: str) -> str:
    """What model hubs search by."""
    import yaml

    from espnet_ext import models

    kinds = [task.kind for task in read_tasks(config).values()] or models.find(str(config.get("model"))).streams
    task = TASKS[kinds[-1]]
    fields = {"license": license, "language": languages, "library_name": "espnet_ext", "pipeline_tag": task}
    return "---\n" + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True) + "---"


def _use(exp: Path, config: dict[str, Any]) -> str:
    from espnet_ext import models

    command = f"    python -m espnet_ext.translate --exp {exp.resolve().name}.zip"
    given = {"speech": "RECORDING", "text": "TEXT_FILE", "src_text": "TEXT_FILE"}
    if tasks := read_tasks(config):
        return "\n".join(f"{command} --task {task.name} {given[task.reads]}" for task in tasks.values())
    return f"{command} {given[models.find(str(config.get('model'))).inputs[0]]}"


def _scores(results: list[dict[str, Any]]) -> str:
    """A table of every metric of every test set, with what tells how it was computed."""
    rows = []
    for result in results:
        for stream, metrics in result["scores"].items():
            for name, found in metrics.items():
                if isinstance(found, dict) and "score" in found:
                    cells = [result["test_set"], _text(result, stream), name, f"{found['score']:.1f}"]
                    rows.append([*cells, _cell(found.get("signature"))])
    if not rows:
        return ""
    head = ["test set", "text", "metric", "score", "signature"]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _text(result: dict[str, Any], stream: str) -> str:
    """What a stream is, in words; of a task its name and its languages too."""
    task = result.get("tasks", {}).get(stream)
    return f"{stream}: {NAMES[task['kind']]}, {task['src']} to {task['tgt']}" if task else NAMES.get(stream, stream)


def _systems(exp: Path, config: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The trained systems: this one, or the parts of a pipeline."""
    parts = [name for name in PARTS if isinstance(config.get(name), str)]
    if not parts:
        yield exp, "System"
    for name in parts:
        yield Path(os.path.normpath(exp / config[name])), f"System `{name}`"


def _system(exp: Path, title: str) -> str:
    config, run = _config(exp), _read(exp / "run.json") if (exp / "run.json").exists() else {}
    sizes = {
        "parameters": run.get("parameters") or _parameters(exp),
        "tokens": " and ".join(
            str(len(config[f"{s}token_list"])) for s in ("src_", "") if config.get(f"{s}token_list")
        ),
        "encoder": _part(config, "encoder"),
        "decoder": _part(config, "decoder"),
    }
    training = {
        "epochs": config.get("max_epoch"),
        "seed": run.get("seed", config.get("seed")),
        "hours of training": round(run["training_seconds"] / 3600, 2) if "training_seconds" in run else None,
        "commit": run.get("commit"),
        "versions": ", ".join(f"{name} {version}" for name, version in (run.get("versions") or {}).items()),
    }
    rows = {"model": config.get("model"), **_data(exp, config), **sizes, **training}
    lines = [f"* {name}: {_cell(value)}" for name, value in rows.items() if value not in (None, "")]
    return f"## {title}\n\n" + "\n".join(lines)


def _data(exp: Path, config: dict[str, Any]) -> dict[str, str]:
    """The sets that it was trained on, and how much they hold where they are still at hand."""
    found = {}
    for task in read_tasks(config).values():
        sets = [Path(config["train_dump"]).parent / name for name in task.sets]
        found[f"training data of {task.name}"] = "; ".join(_described(exp, dump) for dump in sets)
    for key, title in () if found else (("train_dump", "training data"), ("valid_dump", "validation data")):
        if isinstance(config.get(key), str):
            found[title] = _described(exp, Path(config[key]))
    return found


def _described(exp: Path, dump: Path) -> str:
    """Corpus, set and size of a dump directory, whose path is that from the recipe's folder above the experiment."""
    from espnet_ext.infra.files import read_table

    places = [parent / dump for parent in exp.resolve().parents]
    here = next((place for place in places if (place / "utt2num_frames").exists()), None)
    if here is None:
        return dump.name
    frames = [int(value) for _, value in read_table(here / "utt2num_frames")]
    hours = sum(frames) / 360_000  # 100 frames a second
    return f"{here.resolve().parent.parent.name} {dump.name}, {len(frames)} utterances, {hours:.1f} h"


def _part(config: dict[str, Any], name: str) -> str:
    conf = config.get(f"{name}_conf") or {}
    sizes = [f"{conf[key]} {word}" for key, word in (("num_blocks", "blocks"), ("output_size", "wide")) if key in conf]
    return ", ".join([str(config.get(name)), *sizes]) if config.get(name) else ""


def _parameters(exp: Path) -> int | None:
    decoded = [_read(path).get("parameters") for path in sorted(exp.glob("*/decode.json"))]
    return next((number for number in decoded if number), None)


def _cell(value: Any) -> str:
    return " ".join(str(value if value is not None else "-").replace("|", "\\|").split())


def _config(exp: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PackError(f"{path}: not JSON ({error}); make it again") from error
