"""Pack a trained system into one file, which `python -m espnet_ext.translate --exp FILE` reads on another machine."""

import argparse
import sys
from pathlib import Path

from espnet_ext.packing.card import UNKNOWN
from espnet_ext.packing.hub import upload
from espnet_ext.packing.layout import PackError
from espnet_ext.packing.read import load, unpack
from espnet_ext.packing.write import pack

__all__ = ["PackError", "load", "pack", "unpack"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.pack", description=__doc__)
    parser.add_argument("exp", type=Path, help="folder of a trained system, e.g. exp/e2e")
    parser.add_argument("out", type=Path, help="file to write, e.g. e2e.zip")
    kinds = ("safetensors", "pth")
    parser.add_argument("--weights", choices=kinds, default=kinds[0], help="how the weights are stored (safetensors)")
    parser.add_argument("--license", default=UNKNOWN, help="licence named on its card, such as cc-by-4.0 (unknown)")
    parser.add_argument("--to_hub", metavar="REPO", help="also upload it as OWNER/NAME, with huggingface_hub")
    args = parser.parse_args(arguments)
    try:
        names = pack(args.exp, args.out, args.weights, args.license)
        print(f"{args.out}: {len(names)} files of {args.exp}, {args.out.stat().st_size / 1e6:.1f} MB")
        if args.to_hub:
            print(f"{args.out}: uploaded to {upload(args.out, args.to_hub)}")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
