"""Greedy validation decodes as the system would."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from espnet_ext import models
from espnet_ext.data import subwords
from espnet_ext.search.options import Hypothesis
from espnet_ext.training.validate import GreedyScorer


def test_a_translation_may_be_longer_than_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "subwords" / "de"
    folder.mkdir(parents=True)
    subwords.train(folder, ["a b c d e"], ["de"], None, "char")
    tokens = subwords.Subwords(folder).encode("a b c d e")
    allowed = []

    def decode(self: object, batch: dict, options: dict) -> dict:
        allowed.append(options["mt"].longest(3))  # what the search may write for a source of three tokens
        return {"mt": [[Hypothesis(tokens[: allowed[-1]])]]}

    mt = models.find("mt")
    monkeypatch.setattr(mt, "decode", decode)
    model = mt.__new__(mt)  # only how it searches matters
    options = SimpleNamespace(folder=tmp_path, src_lang="en", tgt_lang="de", subwords="separate")
    scorer = GreedyScorer(model, options)  # type: ignore[arg-type]
    scorer.add({"text": torch.tensor([tokens]), "text_lengths": torch.tensor([len(tokens)])})
    assert allowed[0] >= len(tokens)
    assert scorer.scores()["bleu_mt"] == pytest.approx(100)
