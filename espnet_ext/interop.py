"""Write a trained system as an experiment of ESPnet's; docs/espnet_seam.md says which can be.

python -m espnet_ext.interop exp/e2e exp_espnet/e2e    # then: espnet2.bin.st_inference on the second folder
"""

import argparse
import importlib
from pathlib import Path
from typing import Any

KEPT = ("lsm_weight", "length_normalized_loss")  # of model_conf


def espnet_defaults(task: str) -> dict[str, Any]:
    """The configuration that ESPnet's task has by itself."""
    module = importlib.import_module(f"espnet2.tasks.{task}")
    config = vars(getattr(module, f"{task.upper()}Task").get_parser().parse_args([]))
    config.pop("required")
    return config


def export(folder: Path, out: Path) -> None:
    """Write a trained system of ours as an experiment that ESPnet's inference commands load."""
    import numpy as np
    import torch
    import yaml

    from espnet_ext.espnet.experiment import load_experiment
    from espnet_ext.espnet.read_experiment import SHARED
    from espnet_ext.espnet.register import registered_name
    from espnet_ext.nn.subsampling import INPUT_LAYERS

    found = load_experiment(folder)
    ours, out = found.config, out.resolve()
    task, special = found.model.as_espnet(ours)
    config = espnet_defaults(task)
    config |= {name: ours[name] for name in SHARED if name in config and ours.get(name) is not None}
    config |= {name: ours[name] for name in ("input_size", "normalize", "frontend")} | {"init": None} | special
    config["model_conf"] |= {name: ours["model_conf"][name] for name in KEPT if name in ours["model_conf"]}
    if ours["encoder_conf"].get("input_layer") in INPUT_LAYERS:
        config["encoder"] = registered_name(ours["encoder"])
        print(f"{out}: its input layer is ours; run ESPnet's commands through python -m espnet_ext.espnet.register")
    sides = {"": found.src_subwords} if task == "asr" else {"": found.tgt_subwords, "src_": found.src_subwords}
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
