"""egs/must_c: every form of its layout lands in data/, what is broken is counted, and all stages run."""

import json
from pathlib import Path

import pytest

from espnet_ext.data import segment_yaml
from espnet_ext.training.config import read_config
from tests.support.recipe_copy import TINY, RecipeCopy, table, write_wav

V1 = "- {{duration: {1:.6f}, offset: {0:.6f}, rW: 9, uW: 0, speaker_id: {3}, wav: {2}}}"
V1_SPARSE = "- {{duration: {1:.6f}, offset: {0:.6f}, speaker_id: {3}, wav: {2}}}"  # v1 in places, v2, v3
QUOTED = '- {{"wav": "some/where/wavs/{2}", "offset": {0}, "duration": {1}, "speaker_id": "{3}"}}'
BLOCK = "- duration: {1}\n  offset: {0}\n  speaker_id: {3}\n  wav: {2}"
# offset, duration, wav, speaker, English, translation; of a talk of 20 s and one of 12 s
GOOD = [
    (10.5, 2.0, "ted_1.wav", "spk.1", "And so it ends.", "Und so endet es."),  # as text, 10.5 comes before 9.25
    (9.25, 1.0, "ted_1.wav", "spk.1", "It is late.", "Es ist spät."),
    (0.5, 3.25, "ted_1.wav", "spk.1", "Thank you\u2028so much.", "Vielen\x85Dank."),  # Python's lines end there
    (1.0, 2.5, "ted_22.wav", "spk.22", "A cat saw us.", "Eine Katze sah uns."),
    (4.0, 2.5, "ted_22.wav", "spk.22", "The mat was red.", "Die Matte war rot."),
]
BAD = [
    (5.0, 0.1, "ted_1.wav", "spk.1", "uh", "äh"),  # under 0.2 s
    (18.0, 3.0, "ted_1.wav", "spk.1", "Bye.", "Tschüs."),  # runs past the end
    (25.0, 3.0, "ted_1.wav", "spk.1", "Gone.", "Weg."),  # lies past the end
    (13.0, 2.0, "ted_1.wav", "spk.1", "Nothing", ""),
    (1.0, 2.0, "ted_333.wav", "spk.333", "No audio.", "Kein Ton."),
]


def write_set(corpus: Path, name: str, rows: list, lang: str = "de", forms: tuple[str, ...] = (V1, V1_SPARSE)) -> Path:
    """One set of MuST-C; the yaml's entries take turns in their form."""
    folder = corpus / f"en-{lang}" / "data" / name
    (folder / "txt").mkdir(parents=True)
    entries = [forms[i % len(forms)].format(*row) for i, row in enumerate(rows)]
    for end, lines in (("yaml", entries), ("en", [r[4] for r in rows]), (lang, [r[5] for r in rows])):
        (folder / "txt" / f"{name}.{end}").write_bytes("".join(f"{line}\n" for line in lines).encode())
    write_wav(folder / "wav" / "ted_1.wav", 20)
    write_wav(folder / "wav" / "ted_22.wav", 12)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> RecipeCopy:
    return RecipeCopy(tmp_path, "must_c")


@pytest.mark.parametrize("forms", [(V1, V1_SPARSE), (QUOTED,), (BLOCK,), (V1, BLOCK)])
def test_every_form_of_yaml_is_read(tmp_path: Path, forms: tuple[str, ...]) -> None:
    folder = write_set(tmp_path, "dev", GOOD, forms=forms)
    found = segment_yaml.read_segments(folder / "txt" / "dev.yaml")
    assert [(s.offset, s.duration, s.wav, s.speaker) for s in found] == [row[:4] for row in GOOD]


def test_training_data_land_in_order_and_losses_are_counted(recipe: RecipeCopy, tmp_path: Path) -> None:
    write_set(tmp_path / "corpus", "train", BAD + GOOD)
    options = ["data", "--corpus", str(tmp_path / "corpus"), "--tgt_lang", "de", "--sets", "train"]
    result = recipe.prepare(*options)
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data" / "train"
    segments = table(data / "segments")
    assert list(segments) == [
        "ted_1_00001",
        "ted_1_00003",
        "ted_1_00004",
        "ted_1_00006",
        "ted_22_00001",
        "ted_22_00002",
    ]
    assert segments["ted_1_00003"] == "ted_1 9.250000 10.250000"  # by number before 10.5
    assert segments["ted_1_00006"] == "ted_1 18.000000 20.000000"  # clipped
    assert table(data / "text.en")["ted_1_00001"] == "Thank you so much."
    assert table(data / "text.de")["ted_1_00001"] == "Vielen Dank."
    assert table(data / "utt2spk")["ted_22_00001"] == "spk.22"
    lost = json.loads((data / "dropped.json").read_text())
    assert lost["dropped"] == {
        "empty text.de": 1,
        "shorter than 0.2 s": 1,
        "segment outside its recording": 1,
        "missing audio": 1,
    }
    assert lost["clipped"] == {"segment outside its recording": 1}
    assert "1 dropped, missing audio: ted_333_00001" in result.stderr
    assert "inputs have not changed, skipped" in recipe.prepare(*options).stderr
    write_wav(tmp_path / "corpus/en-de/data/train/wav/ted_333.wav", 5)  # now it is there
    assert "missing audio" not in recipe.prepare(*options).stderr
    assert "ted_333_00001" in table(data / "segments")


def test_a_test_set_keeps_short_segments(recipe: RecipeCopy, tmp_path: Path) -> None:
    write_set(tmp_path, "tst-COMMON", GOOD + BAD[:1], "zh", (V1_SPARSE,))
    result = recipe.prepare("data", "--corpus", str(tmp_path), "--tgt_lang", "zh", "--sets", "tst-COMMON")
    assert result.returncode == 0, result.stderr
    assert len(table(recipe.folder / "data/tst-COMMON/text.zh")) == 6


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dev.de", "eins\nzwei\n", "dev.de has 2 lines and {yaml} has 5 segments; line i of one belongs"),
        ("dev.yaml", "- {duration: 1.0, wav: a.wav}\n", "{yaml}: segment 1 has no offset"),
        ("dev.yaml", "- {duration: x, offset: 1.0, wav: a.wav}\n", "{yaml}: segment 1: its duration is 'x', not a"),
        ("dev.yaml", "- {duration: .nan, offset: 1.0, wav: a.wav}\n", "its duration is '.nan', not a number"),
        ("dev.yaml", "wav: [\n", "{yaml}: not YAML"),
        ("dev.yaml", "wav: a\n", "{yaml}: expected a list of segments, found dict"),
        ("dev.en", None, "dev.en: not there; "),
    ],
)
def test_what_breaks_the_layout_is_refused(
    recipe: RecipeCopy, tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    folder = write_set(tmp_path, "dev", GOOD)
    path = folder / "txt" / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    result = recipe.prepare("data", "--corpus", str(tmp_path), "--tgt_lang", "de", "--sets", "dev")
    assert result.returncode == 1
    assert message.format(yaml=folder / "txt" / "dev.yaml") in result.stderr
    assert "Traceback" not in result.stderr


def test_a_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.de").write_bytes("gut\nschön\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.de:2: byte 4 of the line is not UTF-8"):
        segment_yaml.read_lines(tmp_path / "a.de")


def test_a_language_that_is_not_there_is_refused_with_what_is(recipe: RecipeCopy, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    write_set(corpus, "dev", GOOD)
    result = recipe.prepare("data", "--corpus", str(corpus), "--tgt_lang", "es")
    assert result.returncode == 1
    assert f"{corpus / 'en-es'}: not there; {corpus} holds en-de; give --corpus the folder" in result.stderr


def test_segments_of_the_same_times_have_ids_of_their_own() -> None:
    segments = [segment_yaml.Segment("ted_1.wav", 1.0, 2.0, "spk.1")] * 2
    assert segment_yaml.utterance_ids(segments) == ["ted_1_00001", "ted_1_00002"]


def test_all_stages_run(recipe: RecipeCopy, tmp_path: Path) -> None:
    """Every system of the recipe, tiny, from the corpus to the table and the page."""
    rows = [(*row[:4], f"{row[4]} {i}", f"{row[5]} {i}") for i in range(2) for row in GOOD]
    for name in ("train", "dev", "tst-COMMON"):
        write_set(tmp_path / "corpus", name, rows)
    corpus = ["--corpus", str(tmp_path / "corpus"), "--tgt_lang", "de", "--data_args", "--sets train dev tst-COMMON"]
    options = [
        "--test_sets",
        "tst-COMMON",
        "--subword_type",
        "char",
        "--joint_subword_type",
        "char",
        "--nj",
        "1",
        "--set",
        TINY,
    ]
    result = recipe.run(*corpus, *options)
    assert result.returncode == 0, result.stderr
    systems = (recipe.folder / "run.sh").read_text().split('--systems "')[1].split('"')[0].split()
    results = (recipe.folder / "RESULTS.en-de.md").read_text().replace("†", "")  # the mark of epochs unlike the others
    for system in systems:
        assert f"</sup> {system} |" in results
    assert (recipe.folder / "report.en-de.html").stat().st_size > 10_000
    for hypotheses in ("e2e/tst-COMMON/hyp.st", "mutual/tst-COMMON/hyp.st", "mutual/tst-COMMON/hyp.mt"):
        assert len(table(recipe.folder / "exp/en-de" / hypotheses)) == 10


def test_every_speech_translator_begins_with_the_same_parts():
    """With a trained decoder `mtl` would be ahead of e2e, distill and mutual."""
    folder = Path(__file__).parents[1] / "egs/must_c/conf"
    starts = {name: read_config(folder / f"{name}.yaml").values["init"] for name in ("e2e", "mtl", "distill", "mutual")}
    assert starts["e2e"] == {"encoder": "asr"} and starts["distill"] == starts["mutual"]
    assert starts["mutual"] == {"st.encoder": "asr", "mt": "mt"}  # which holds no part of st
    assert starts["mtl"] == {"st.encoder": "asr", "mt.encoder": "mt"}  # mt.decoder is st.decoder
