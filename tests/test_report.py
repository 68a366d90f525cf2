"""The report's file: self-contained, complete, and made again only when something changed."""

import base64
import hashlib
import io
import json
import re
import shutil

import pytest
import soundfile

from espnet_ext import report, score
from espnet_ext.infra.files import read_table, write_json, write_table
from tests.support.fake_results import COMMON, make_fake_results


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    root = make_fake_results(tmp_path_factory.mktemp("scored"), utterances=24)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score.main(COMMON)
    return root


def made(root, *extra: str) -> str:
    report.main([*COMMON, *extra])
    return (root / "report.html").read_text(encoding="utf-8")


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def clips_of(page: str) -> dict[str, bytes]:
    found = re.findall(r'<script type="text/plain" id="(clip-\d+-\d+)">(.*?)</script>', page)
    return {name: base64.b64decode(encoded) for name, encoded in found}


def error_of(*extra: str) -> str:
    with pytest.raises(SystemExit) as raised:
        report.main([*COMMON, *extra])
    return str(raised.value)


def test_page_needs_nothing_else(root):
    page = made(root)
    assert not re.search(r"""(src|href)=["'](?!#)""", page), "something is to be fetched"
    assert "url(" not in page and "@import" not in page
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "http" not in policy
    for kind, element in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>")):
        digest = base64.b64encode(hashlib.sha256(re.search(element, page, re.S)[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_title_names_the_recipe_however_deep_the_experiments_lie(root):
    (root / "experiments").mkdir()
    (root / "exp").rename(root / "experiments" / "zh")
    (root / "run.sh").touch()
    report.main(["experiments/zh", *COMMON[1:]])
    page = (root / "report.html").read_text(encoding="utf-8")
    assert re.search("<title>(.*?)</title>", page)[1] == f"{root.name}: en to de"


def test_page_holds_every_text_and_its_scores(root):
    from sacrebleu import sentence_bleu, sentence_chrf

    test_set = data_of(made(root))["sets"][0]
    references, outputs = dict(read_table("data/test/text.de")), dict(read_table("exp/e2e/test/hyp.st"))
    assert test_set["ids"] == list(references)
    shown = test_set["streams"]["st"]
    assert shown["texts"] == [list(references.values())] and shown["systems"]["e2e"]["text"] == list(outputs.values())
    for name, function in (("bleu", sentence_bleu), ("chrf", sentence_chrf)):
        expected = [round(function(outputs[key], [references[key]]).score, 1) for key in references]
        assert shown["systems"]["e2e"]["scores"][name] == expected
    assert {stream: list(group["systems"]) for stream, group in test_set["streams"].items()} == {
        "asr": ["asr", "pipeline", "multitask"],
        "st": ["pipeline", "e2e", "multitask"],
        "mt": ["mt"],
    }


def test_clips_are_the_utterances_and_small(root):
    page = made(root)
    clips, seconds = clips_of(page), data_of(page)["sets"][0]["seconds"]
    assert list(range(24)) == sorted(int(name.split("-")[2]) for name in clips)
    segments = dict(read_table("data/test/segments"))
    for i, key in enumerate(data_of(page)["sets"][0]["ids"]):
        samples, rate = soundfile.read(io.BytesIO(clips[f"clip-0-{i}"]))
        _, start, end = segments[key].split()
        assert rate == 16000 and len(samples) / rate == pytest.approx(float(end) - float(start), abs=0.01)
        assert seconds[i] == pytest.approx(float(end) - float(start), abs=0.01)
        assert abs(samples).max() > 0.2  # a tone, not silence
    assert sum(map(len, clips.values())) < 2300 * sum(seconds)  # 16 kbit/s are 2,000 bytes a second


@pytest.mark.parametrize("most", [0, 5])
def test_audio_can_be_limited(root, most):
    page = made(root, "--max_audio", str(most))
    assert len(clips_of(page)) == data_of(page)["sets"][0]["audio"] == most


def test_a_test_set_without_speech_has_no_players(root):
    for name in ("wav.scp", "segments", "utt2dur"):
        (root / "data/test" / name).unlink()
    page = made(root)
    assert clips_of(page) == {} and data_of(page)["sets"][0]["seconds"] is None


def test_the_table_shows_scores_marks_and_intervals(root):
    page = made(root)
    result = json.loads((root / "exp/pipeline/test/scores.json").read_text())["scores"]["st"]["bleu"]
    shown = f'<td class="best">{result["score"]:.1f}<span class="ci">±{result["ci"]:.1f}</span><sup>'
    cell = re.search(shown + "(.*?)</sup>", page)
    assert cell and cell[1].startswith("D")
    assert "nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a" in page


def test_scripts_without_spaces_are_scored_and_shown_by_characters(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    texts = {
        "ja": ["私は今日学校に行きます。", "彼は何も言わなかった。"],
        "zh": ["我们今天去北京的学校。", "他没有说什么。"],
    }
    for lang, lines in texts.items():
        write_table(f"data/test/text.{lang}", zip(("u1", "u2"), lines))
    for stream, lines in (("asr", ["私は今日学校へ行きます。", ""]), ("st", ["我们去学校。", "他没有说什么。"])):
        write_table(f"exp/e2e/test/hyp.{stream}", zip(("u1", "u2"), lines))
    write_json("exp/e2e/test/decode.json", {"utterances": 2, "decode_seconds": 0.1})
    common = ["exp", "--systems", "e2e", "--test_sets", "test", "--src_lang", "ja", "--tgt_lang", "zh"]
    score.main([*common, "--bleu_tokenize", "zh"])
    assert "ASR CER" in capsys.readouterr().out
    result = json.loads((tmp_path / "exp/e2e/test/scores.json").read_text())["scores"]
    assert result["asr"]["cer"]["score"] == pytest.approx(100 * (1 + 11) / (12 + 11))
    assert "|tok:zh|" in result["st"]["bleu"]["signature"] and result["st"]["bleu"]["score"] > 30
    report.main(common)
    streams = data_of((tmp_path / "report.html").read_text(encoding="utf-8"))["sets"][0]["streams"]
    assert [group["unit"] for group in streams.values()] == ["character", "character"]


def test_texts_cannot_become_markup(root):
    hostile = '</script><img src=x onerror="document.title=1"> <!-- & \u2028'
    rows = dict(read_table("exp/e2e/test/hyp.st"))
    write_table("exp/e2e/test/hyp.st", {**rows, next(iter(rows)): hostile}.items())
    score.main(COMMON)
    page = made(root)
    assert "<img" not in page
    assert data_of(page)["sets"][0]["streams"]["st"]["systems"]["e2e"]["text"][0] == hostile


def test_curves_leave_out_what_is_not_a_number(root):
    path = root / "exp/e2e/history.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    entries[2]["valid"]["loss"] = float("nan")
    entries[3]["valid"]["note"] = "text"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    history = data_of(made(root))["history"]["e2e"]
    assert "loss" not in history[2]["valid"] and "note" not in history[3]["valid"] and len(history) == len(entries)
    path.write_text(path.read_text() + "{broken\n")
    assert re.search(r"exp/e2e/history.jsonl:31: not JSON", error_of())


def test_unchanged_page_is_kept_and_changed_is_made_again(root, capsys):
    made(root)
    before = (root / "report.html").stat().st_mtime_ns
    made(root)
    assert (root / "report.html").stat().st_mtime_ns == before
    assert "have not changed, skipped" in capsys.readouterr().err
    shutil.copy(root / "data/test/text.de", root / "exp/e2e/test/hyp.st")
    score.main(COMMON)
    assert data_of(made(root))["sets"][0]["streams"]["st"]["systems"]["e2e"]["scores"]["bleu"] == [100.0] * 24


def test_new_audio_under_the_same_name_is_noticed(root):
    recordings = dict(read_table("data/test/wav.scp"))
    shutil.copy(recordings["spk00"], root / "mine.wav")
    write_table("data/test/wav.scp", {**recordings, "spk00": "mine.wav"}.items())
    before = clips_of(made(root))
    samples, rate = soundfile.read("mine.wav")
    soundfile.write("mine.wav", samples[::-1], rate)
    after = clips_of(made(root))
    assert [name for name in before if before[name] != after[name]] == [f"clip-0-{i}" for i in range(4)]


def test_faults_name_the_thing_and_the_stage(root):
    recordings = dict(read_table("data/test/wav.scp"))
    write_table("data/test/wav.scp", {**recordings, "spk03": "gone/spk03.wav"}.items())
    message = error_of()
    assert "gone/spk03.wav: spk03_00003: there is no such file" in message
    assert not (root / "report.html").exists()
    (root / "exp/significance.test.json").unlink()
    assert "exp/significance.test.json does not exist: score the systems first (stage 9)" in error_of()


def test_a_missing_system_is_an_error_or_left_out(root):
    shutil.rmtree(root / "exp/asr")
    assert "exp/asr does not exist" in error_of()
    page = made(root, "--allow_missing")
    assert data_of(page)["systems"] == ["mt", "pipeline", "e2e", "multitask"]


def test_what_is_cut_otherwise_is_not_shown_beside_the_utterances(root, capsys):
    """Transcripts by utterance, translations by reference: a row of one has nothing to do with a row of the other."""
    rows = [(f"{key[:5]}_r{key[6:]}", text) for key, text in read_table(root / "data/test/text.de")]
    (root / "data/test/text.de").unlink()
    write_table(root / "data/test/reference.de", rows)
    for path in (root / "exp").glob("*/test/hyp.[sm]t"):
        texts = [text for _, text in read_table(path)]
        write_table(path, [(key, text) for (key, _), text in zip(rows, texts, strict=True)])
    score.main(COMMON)
    (test_set,) = data_of(made(root))["sets"]
    assert [*test_set["streams"]] == [*test_set["compare"]] == ["asr"] and test_set["ids"][0] == "spk00_00000"
    said = capsys.readouterr().err
    assert "data/test: the page has asr by utterance, not st, which is cut otherwise" in said and "not mt" in said
