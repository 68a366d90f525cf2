"""The card in a pack: data, sizes, scores with signatures, licence; and its way to a hub."""

import json
import re
import sys
import types
import zipfile

import pytest
import yaml

from espnet_ext import pack
from espnet_ext.infra.files import write_json
from tests.support.tiny_exp import make_dump, make_system

SIGNATURE = "nrefs:1|case:mixed|tok:13a|version:2.6.0"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("card") / "corpus"
    root.mkdir()
    dump = make_dump(root)
    (dump / "utt2num_frames").write_text("a 180000\nb 180000\n")
    for name in ("asr", "mt"):
        make_system(root, name, train_dump="dump/test", valid_dump=str(root / "dump" / "gone"), max_epoch=7)
    exp = make_system(root, "pipeline", asr="../asr", mt="../mt")
    run = {"seed": 3, "commit": "abc123", "training_seconds": 5400.0, "parameters": 12345}
    write_json(root / "exp" / "asr" / "run.json", {**run, "versions": {"torch": "2.13"}})
    for test_set, bleu in (("tst2", 12.34), ("tst1", 9.96)):
        scores = {"st": {"bleu": {"score": bleu, "signature": SIGNATURE}, "empty_hypotheses": 2}}
        write_json(exp / test_set / "scores.json", {"test_set": test_set, "scores": scores})
    return root


def card_of(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("README.md").decode()


def test_what_a_card_says(root, tmp_path, capsys):
    out = tmp_path / "p.zip"
    pack.main([str(root / "exp/pipeline"), str(out), "--license", "cc-by-4.0"])
    card = card_of(out)
    fields = yaml.safe_load(card.split("---")[1])
    assert fields == {
        "license": "cc-by-4.0",
        "language": ["en", "de"],
        "library_name": "espnet_ext",
        "pipeline_tag": "translation",
    }
    signature = SIGNATURE.replace("|", "\\|")
    assert f"| tst1 | translation of speech | bleu | 10.0 | {signature} |\n| tst2 |" in card
    assert "empty_hypotheses" not in card
    asr = card.partition("## System `asr`")[2].partition("## ")[0]
    for line in (
        "training data: corpus test, 2 utterances, 1.0 h",
        "validation data: gone",
        "parameters: 12345",
        "encoder: transformer, 2 blocks, 16 wide",
        "epochs: 7",
        "seed: 3",
        "hours of training: 1.5",
        "commit: abc123",
        "versions: torch 2.13",
    ):
        assert f"* {line}\n" in asr
    assert re.search(r"\* tokens: \d+ and \d+\n", asr) and "## System `mt`" in card
    assert card.endswith("## Licence\n\ncc-by-4.0\n") and str(tmp_path) not in card and str(root) not in card
    assert pack.load(out).config["model"] == "pipeline"


def test_the_same_card_each_time_and_an_unknown_licence_says_so(root, tmp_path):
    for name in ("a", "b"):
        pack.pack(root / "exp/mt", tmp_path / f"{name}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    card = card_of(tmp_path / "a.zip")
    assert "license: unknown\n" in card and card.endswith("unknown; ask who made it.\n")
    assert "None: no test set was scored." in card and "TEXT_FILE" in card


@pytest.mark.parametrize("license", ["", " ", "a\nb: c"])
def test_a_licence_that_is_none(root, tmp_path, license):
    with pytest.raises(SystemExit, match=r"give its short name, such as cc-by-4\.0"):
        pack.main([str(root / "exp/mt"), str(tmp_path / "x.zip"), "--license", license])


def test_scores_that_are_damaged_name_their_file(root, tmp_path):
    exp = make_system(root, "damaged", model="e2e")
    (exp / "tst").mkdir()
    (exp / "tst" / "scores.json").write_text("{")
    with pytest.raises(SystemExit, match=r"error: .*tst/scores\.json: not JSON"):
        pack.main([str(exp), str(tmp_path / "x.zip")])


def hub(calls, fails=None):
    """What huggingface_hub offers, so much of it as is used."""

    class HfApi:
        def create_repo(self, repo, private, exist_ok):
            if fails:
                raise fails
            calls.append((repo, private, exist_ok))
            return f"https://hub.example/{repo}"

        def upload_file(self, path_or_fileobj, path_in_repo, repo_id, commit_message):
            calls.append((path_in_repo, repo_id, path_or_fileobj))

    module = types.ModuleType("huggingface_hub")
    module.HfApi = HfApi
    return module


def test_to_a_hub(root, tmp_path, capsys, monkeypatch):
    calls, out = [], tmp_path / "mt.zip"
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub(calls))
    pack.main([str(root / "exp/mt"), str(out), "--to_hub", "me/mt"])
    assert calls[0] == ("me/mt", True, True)
    assert calls[1] == ("README.md", "me/mt", card_of(out).encode()) and calls[2] == ("mt.zip", "me/mt", str(out))
    assert "uploaded to https://hub.example/me/mt" in capsys.readouterr().out


def test_a_hub_that_refuses_or_is_not_installed(root, tmp_path, monkeypatch):
    out = tmp_path / "mt.zip"
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub([], PermissionError("401\nno token")))
    with pytest.raises(
        SystemExit, match=r"me/mt: could not be uploaded \(PermissionError: 401 no token\); .* is whole"
    ):
        pack.main([str(root / "exp/mt"), str(out), "--to_hub", "me/mt"])
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SystemExit, match="--to_hub needs the package huggingface_hub; install it"):
        pack.main([str(root / "exp/mt"), str(out), "--to_hub", "me/mt"])
    assert json.loads(zipfile.ZipFile(out).read("manifest.json"))["format"] == "espnet_ext pack 2"
