"""Readers of corpora: what is there is read, what does not fit together is refused with the numbers."""

import gzip
from pathlib import Path

import pytest

from espnet_ext.corpora import (
    common_voice,
    europarl_st,
    librispeech,
    opensubtitles,
    speechocean762,
    tedlium,
    text_pairs,
    wmt,
)


def write_lines(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_lines_pair_up_by_their_number(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.en", "One.", "A\u2028B", "")
    write_lines(tmp_path / "a.de.gz", "Eins.", "C\x85D", "Drei.")
    files = {lang: text_pairs.find(tmp_path / f"a.{lang}", "unpack it") for lang in ("en", "de")}
    found = list(text_pairs.read_pairs(files, "a"))
    assert [u.id for u in found] == ["a-00000001", "a-00000002", "a-00000003"]
    assert found[1].texts == {"en": "A\u2028B", "de": "C\x85D"}
    assert found[2].texts["en"] == ""  # the writer drops it, and counts


@pytest.mark.parametrize("more", ["en", "de"])
def test_texts_of_unequal_length_are_refused_with_both_numbers(tmp_path: Path, more: str) -> None:
    files = {lang: write_lines(tmp_path / f"a.{lang}", *["x"] * (5 if lang == more else 2)) for lang in ("en", "de")}
    with pytest.raises(ValueError, match=rf"a\.{more} has 5 lines.*so unpack the corpus again"):
        list(text_pairs.read_pairs(files, "a"))


def test_a_packed_text_that_is_cut_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.de.gz", *map(str, range(1000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"a\.de\.gz: not a whole \.gz file .*; unpack the corpus again"):
        list(text_pairs.read_pairs({"de": path}, "a"))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"not a whole \.gz file"):
        list(text_pairs.read_pairs({"de": path}, "a"))


def test_a_text_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    write_lines(tmp_path / "b.en", "x")
    with pytest.raises(ValueError, match=r"a\.en: not there; .* holds b\.en; unpack it"):
        text_pairs.find(tmp_path / "a.en", "unpack it")


def test_a_corpus_of_pairs_is_found_in_either_order_and_form(tmp_path: Path) -> None:
    for lang in ("en", "ro"):
        write_lines(tmp_path / "training" / f"europarl-v8.ro-en.{lang}", f"a {lang}", f"b {lang}")
        write_lines(tmp_path / f"SETIMES.en-ro.{lang}.gz", f"c {lang}")
    write_lines(tmp_path / "more" / "news-commentary-v14.de-en.tsv", "Eins\tOne", "Zwei", "")
    found = list(text_pairs.read_corpus(tmp_path, ["europarl-v8"], ("en", "ro")))
    assert [u.texts for u in found] == [{"en": "a en", "ro": "a ro"}, {"en": "b en", "ro": "b ro"}]
    assert next(iter(text_pairs.read_corpus(tmp_path, ["SETIMES2", "SETIMES"], ("en", "ro")))).id == "SETIMES-00000001"
    tsv = list(text_pairs.read_corpus(tmp_path, ["news-commentary-v14"], ("en", "de")))
    assert [u.texts for u in tsv] == [{"de": "Eins", "en": "One"}, {"de": "Zwei", "en": ""}, {"de": "", "en": ""}]
    with pytest.raises(ValueError, match=r"neither SETIMES\.en-tr\.\{en,tr\} nor SETIMES\.tr-en\.\{en,tr\} is in it"):
        text_pairs.read_corpus(tmp_path, ["SETIMES"], ("en", "tr"))
    (tmp_path / "training" / "europarl-v8.ro-en.ro").unlink()
    with pytest.raises(ValueError, match=r"europarl-v8\.ro-en\.en: the other language is not beside it"):
        text_pairs.read_corpus(tmp_path, ["europarl-v8"], ("en", "ro"))


def write_sgm(path: Path, *texts: str) -> Path:
    lines = [f'<seg id="{i}">{text}</seg>' for i, text in enumerate(texts, 1)]
    return write_lines(path, '<srcset setid="x" srclang="any">', '<doc docid="1">', "<p>", *lines, "</p>", "</doc>")


def test_sets_of_wmt_are_read_in_each_form(tmp_path: Path) -> None:
    write_sgm(tmp_path / "dev" / "newsdev2016-roen-src.ro.sgm", "Unu &amp; doi", " trei ")
    write_sgm(tmp_path / "dev" / "newsdev2016-roen-ref.en.sgm", "One & two", "three")
    for lang in ("en", "de"):
        write_lines(tmp_path / f"dev2006.{lang}", lang)
    found = wmt.read_set(tmp_path, "newsdev2016", ("en", "ro"))
    assert [u.texts for u in found] == [{"en": "One & two", "ro": "Unu & doi"}, {"en": "three", "ro": "trei"}]
    assert [u.texts for u in wmt.read_set(tmp_path, "dev2006", ("en", "de"))] == [{"en": "en", "de": "de"}]
    with pytest.raises(ValueError, match=r"newstest2017 is not in it, its dev or its test as newstest2017-entr-src"):
        wmt.read_set(tmp_path, "newstest2017", ("en", "tr"))
    write_sgm(tmp_path / "dev" / "newsdev2016-roen-ref.en.sgm", "One & two")
    with pytest.raises(ValueError, match=r"ref\.en\.sgm has 1 and .*src\.ro\.sgm has 2 segments; they must be as many"):
        wmt.read_set(tmp_path, "newsdev2016", ("en", "ro"))


def test_lines_of_films_know_their_film(tmp_path: Path) -> None:
    for lang in ("en", "de"):
        write_lines(tmp_path / f"OpenSubtitles.de-en.{lang}", f"1 {lang}", f"2 {lang}", f"3 {lang}")
    ids = (
        "de/2001/25/1.xml.gz\ten/2001/25/2.xml.gz\t1\t1",
        "de/2001/25/1.xml.gz\ten/x\t2\t2",
        "de/2002/9/7.xml.gz\ten/y",
    )
    write_lines(tmp_path / "OpenSubtitles.de-en.ids", *ids)
    found = list(opensubtitles.read_corpus(tmp_path, ("en", "de")))
    assert [u.speaker for u in found] == ["film25", "film25", "film9"] and found[2].texts == {
        "en": "3 en",
        "de": "3 de",
    }
    write_lines(tmp_path / "OpenSubtitles.de-en.ids", *ids[:2])
    with pytest.raises(ValueError, match=r"ids has 2 lines, fewer than the texts"):
        list(opensubtitles.read_corpus(tmp_path, ("en", "de")))
    write_lines(tmp_path / "OpenSubtitles.de-en.ids", "nothing", "of", "it")
    with pytest.raises(ValueError, match=r"ids:1: expected `<language>/<year>/<film>/<file>`, found 'nothing'"):
        list(opensubtitles.read_corpus(tmp_path, ("en", "de")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("<o,f0,female> it 's a rec(2) <sil> they 'll{NOISE} come (X_2010-1.0-F0_M-S1)", "it's a rec they'll come"),
        ("<NA> we <unk> 'em 'cause students ' can 't", "we 'em 'cause students ' can't"),
        ("{NOISE}", ""),
    ],
)
def test_words_of_tedlium_lose_their_marks(words: str, said: str) -> None:
    assert tedlium.plain(words) == said


def test_segments_of_tedlium_are_in_order_of_time(tmp_path: Path) -> None:
    folder = tmp_path / "TEDLIUM_release-3" / "legacy" / "dev" / "stm"
    skipped = "A_2010 1 inter_segment_gap 5.0 6.0 <o,,unknown> ignore_time_segment_in_scoring"
    write_lines(folder / "A_2010.stm", ";; note", "A_2010 1 A 10.5 12 <NA> two", "A_2010 1 A 9.25 10 <NA> one", skipped)
    found = tedlium.read_set(tmp_path, "dev")
    assert [(u.id, u.texts["en"], u.start) for u in found] == [
        ("A_2010_00001", "one", 9.25),
        ("A_2010_00002", "two", 10.5),
    ]
    assert found[0].audio == folder.parent / "sph" / "A_2010.sph"
    write_lines(folder / "B.stm", "B 1 B x 12 words")
    with pytest.raises(ValueError, match=r"B\.stm:1: expected `talk channel speaker start end words`, found 'B 1 B x"):
        tedlium.read_set(tmp_path, "dev")
    with pytest.raises(ValueError, match=r"legacy/train: not there; .* holds dev; give the folder"):
        tedlium.read_set(tmp_path, "train")


def test_chapters_of_librispeech(tmp_path: Path) -> None:
    place = tmp_path / "LibriSpeech" / "dev-clean" / "84" / "12"
    write_lines(place / "84-12.trans.txt", "84-12-0000 GO ON", "84-12-0001 HE'S GONE")
    found = librispeech.read_set(tmp_path, "dev-clean")
    assert [(u.id, u.speaker, u.texts["en"]) for u in found][1] == ("84-12-0001", "84", "HE'S GONE")
    assert found[0].audio == place / "84-12-0000.flac"
    write_lines(place / "84-12.trans.txt", "84-13-0000 GO ON")
    with pytest.raises(ValueError, match=r"trans\.txt:1: '84-13-0000' is no utterance of this chapter"):
        librispeech.read_set(tmp_path, "dev-clean")
    assert librispeech.training_sets(tmp_path) == ["train-clean-100"]  # which is then missed by name


def test_segments_of_europarl_st(tmp_path: Path) -> None:
    folder = tmp_path / "en" / "de" / "dev"
    write_lines(folder / "segments.lst", "s1 0.5 2.25", "s2 0 1", "s1 3 4")
    write_lines(folder / "segments.en", "a", "b", "c")
    write_lines(folder / "segments.de", "d", "e", "f")
    write_lines(folder / "speeches.lst", "s1", "s2")
    write_lines(folder / "speakers.lst", "Ann Lee", "Bo")
    found = europarl_st.read_set(tmp_path, "dev", "en", "de")
    assert [(u.id, u.speaker, u.start) for u in found] == [
        ("s1_00001", "Ann_Lee", 0.5),
        ("s2_00001", "Bo", 0),
        ("s1_00002", "Ann_Lee", 3),
    ]
    assert found[2].texts == {"en": "c", "de": "f"} and found[2].audio == tmp_path / "en" / "audios" / "s1.m4a"
    write_lines(folder / "segments.de", "d")
    with pytest.raises(ValueError, match=r"segments\.lst has 3 lines and segments\.de 1"):
        europarl_st.read_set(tmp_path, "dev", "en", "de")
    write_lines(folder / "segments.de", "d", "e", "f")
    write_lines(folder / "segments.lst", "s1 0.5", "s2 0 1", "s1 3 4")
    with pytest.raises(ValueError, match=r"segments\.lst:1: expected `speech start end`, found 's1 0\.5'"):
        europarl_st.read_set(tmp_path, "dev", "en", "de")


def test_tables_of_common_voice(tmp_path: Path) -> None:
    head = "client_id\tpath\tsentence\tup_votes"
    rows = ("a" * 128 + '\tcv_1.mp3\tHe said "no\t2', "b" * 128 + "\tcv_2\tA\\tB \\\\ C\\x NA\t0")
    write_lines(tmp_path / "en" / "dev.tsv", head, *rows)
    found = common_voice.read_set(tmp_path, "dev", "en")
    assert [u.texts["en"] for u in found] == ['He said "no', "A\tB \\ C\\x NA"]
    assert [u.audio for u in found] == [tmp_path / "en" / "clips" / f"cv_{i}.mp3" for i in (1, 2)]
    assert found == common_voice.read_set(tmp_path / "en", "dev", "en") and found[0].speaker == "a" * 16
    write_lines(tmp_path / "en" / "dev.tsv", head, "a\tcv_9.mp3", "b")
    cut = common_voice.read_set(tmp_path, "dev", "en")
    assert [(u.id, u.texts["en"]) for u in cut] == [("cv_9", ""), ("dev-row-2", "")]  # dropped and counted
    write_lines(tmp_path / "en" / "dev.tsv", "path\tup_votes")
    with pytest.raises(ValueError, match=r"dev\.tsv: its head has no client_id, sentence; found 'path up_votes'"):
        common_voice.read_set(tmp_path, "dev", "en")


def test_read_sentences_and_those_that_training_has(tmp_path: Path) -> None:
    for name, texts in (("train", {"1": "GO ON", "2": "WE MARK"}), ("test", {"3": "GO  ON", "4": "NO"})):
        write_lines(tmp_path / name / "text", *(f"{key}\t{text}" for key, text in texts.items()))
        write_lines(tmp_path / name / "wav.scp", *(f"{key}\tWAVE/SPEAKER9/{key}.WAV" for key in texts))
        write_lines(tmp_path / name / "utt2spk", *(f"{key}\t9" for key in texts))
    train, test = (speechocean762.read_set(tmp_path, name) for name in ("train", "test"))
    assert [u.id for u in speechocean762.without_seen(test, train)] == ["4"]
    assert test[0].audio == tmp_path / "WAVE" / "SPEAKER9" / "3.WAV" and test[0].speaker == "9"
    write_lines(tmp_path / "test" / "text", "3\tGO")
    with pytest.raises(ValueError, match=r"test: utterance 4 is in only one of text and wav\.scp"):
        speechocean762.read_set(tmp_path, "test")
