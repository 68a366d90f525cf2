"""Decide the papers' claims from the results of the recipes; writes docs/claims.md."""

import argparse
import shlex
import sys
from pathlib import Path

from espnet_ext.infra.commands import one_line_errors


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m espnet_ext.claims", description=__doc__)
    parser.add_argument(
        "--claims", type=Path, default=Path("docs/claims.yaml"), help="file with the claims and what decides them"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/claims.md"), help="page to write")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that the claims' paths of results start from")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    options = parse(argv)
    from espnet_ext.reporting.claim_page import write_claim_page
    from espnet_ext.reporting.claims import ClaimError, read_claims
    from espnet_ext.scoring.texts import ScoringError
    from espnet_ext.training.errors import TrainError

    with one_line_errors("claims", ClaimError, ScoringError, TrainError):
        papers = read_claims(options.claims)
        command = shlex.join(["python", "-m", "espnet_ext.claims", *argv])
        write_claim_page(options.out, papers, options.root, options.claims, command)
        print(f"Written to {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
