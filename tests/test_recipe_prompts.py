"""egs/prompts: Debian's packages in their layouts become sets of many languages, split by key; all stages run."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.recipe_copy import TINY, RecipeCopy, table, write_wav
from tests.test_corpora import write_lines

PHONE = ("en", "es", "fr", "it", "ru")
STAMPS = ("fr", "ru", "ca", "ro", "bg", "es", "be", "el")
CYRILLIC, GREEK = (
    str.maketrans("abcdefghijklmnopqrstuvwxyz", "абцдефгхийклмнопярстуввхуз"),
    str.maketrans("abcdefghiklmnoprstuvxyz", "αβκδεφγχικλμνοπρστυυξυζ"),
)
KEYS = 24


def say(lang: str, number: int) -> str:
    """A text for each key, different in each language, in its script."""
    text = f"{lang} says {'abcdefghijklmnopqrstuvwxyz'[number]} {'ab' * (number + 1)}."
    return text.translate(CYRILLIC if lang in ("ru", "bg", "be") else GREEK if lang == "el" else {})


def write_phone(share: Path, lang: str, extra: dict[str, str | None]) -> None:
    """Prompts p00.. in a folder, and a few by hand (a text of None: no line)."""
    texts: dict[str, str | None] = {f"digits/p{number:02d}": say(lang, number) for number in range(KEYS)} | extra
    voice = share / "asterisk" / "sounds" / f"{lang}_XX_f_Voice"
    for key in texts:
        write_wav(voice / f"{key.replace('digits/p00', 'digits/P00')}.wav", 0.5, 8000)
    lines = [f"{key}: {text}" for key, text in texts.items() if text is not None]
    path = share / "doc" / f"asterisk-core-sounds-{lang}" / f"core-sounds-{lang}.txt.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(("\ufeff; Core Sounds\n\n" + "".join(f"{line}\n" for line in lines)).encode()))


def write_stamps(share: Path) -> None:
    root = share / "tuxpaint" / "stamps" / "animals"
    for number in range(KEYS):
        rows = [f"{lang}.utf8={say(lang, number + 1)}" for lang in (*STAMPS, "it")]
        write_lines(root / f"s{number:02d}.txt", say("en", number + 1), "de=Ein Tier", *rows)
        for lang in STAMPS:
            noise = np.random.default_rng(number).normal(size=22050) * 0.05
            soundfile.write(root / f"s{number:02d}_desc_{lang}.ogg", noise, 44100, format="OGG", subtype="VORBIS")
    for name in ("s00.ogg", "lonely_desc_fr.ogg"):  # a noise, and what has no text
        shutil.copy(root / "s01_desc_fr.ogg", root / name)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    share = tmp_path / "corpus" / "usr" / "share"
    for lang in PHONE:
        extra = {
            "beep": "[a beep]" if lang == "en" else "beep",
            "letters/at": f"{say(lang, 4)[:-1]} [@]",
            "untold": None,
        }
        if lang == "it":
            extra |= {"damaged": "Non pu? essere", "two": f"{say(lang, 2)} vm-then-pound: poi"}
        if lang == "fr":
            extra |= {"damaged": "Il ne peut pas", "two": "Deux [fois] ici"}
        write_phone(share, lang, {"damaged": say(lang, 5), "two": say(lang, 6)} | extra)
    write_stamps(share)
    return tmp_path / "corpus"


@pytest.fixture
def recipe(tmp_path: Path) -> RecipeCopy:
    return RecipeCopy(tmp_path, "prompts")


def keys_of(folder: Path) -> set[str]:
    """Keys of a set without the language before each."""
    return {key.partition("-")[2] for key in table(folder / "text.en")}


def test_keys_are_in_one_set_with_all_their_languages(recipe: RecipeCopy, corpus: Path) -> None:
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data"
    sets: dict[str, set[str]] = {part: set() for part in ("train", "dev", "test")}
    for part in sets:
        for lang in PHONE:
            sets[part] |= keys_of(data / f"phone_{lang}_{part}")
        for lang in STAMPS:
            found = keys_of(data / f"stamps_{lang}_{part}")
            assert found == keys_of(data / f"stamps_fr_{part}")
            sets[part] |= found
    assert not sets["train"] & sets["dev"] and not sets["train"] & sets["test"] and not sets["dev"] & sets["test"]
    assert sum(map(len, sets.values())) == 2 * KEYS + 3  # and `letters/at`, `damaged` and `two`
    for number in range(1, KEYS):  # p<n> says what s<n-1> says
        assert (
            sum({f"phone-digits.p{number:02d}", f"stamps-animals.s{number - 1:02d}"} <= keys for keys in sets.values())
            == 1
        )
    assert table(data / "phone_fr_train" / "utt2spk").popitem()[1] == "fr_XX_f_Voice"
    assert {path.name for path in (data / "stamps_el_test").glob("text.*")} == {
        f"text.{lang}" for lang in ("en", "it", *STAMPS)
    }


def test_texts_that_are_not_what_is_said_are_dropped_and_marked(recipe: RecipeCopy, corpus: Path) -> None:
    result = recipe.prepare("data", "--corpus", str(corpus), "--parts", "phone")
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data"
    marks = {tuple(line.split("\t")[:3]) for line in (data / "damaged.txt").read_text().splitlines()}
    assert marks == {
        ("phone-damaged", "it", "letters lost"),
        ("phone-two", "it", "another key in it"),
        ("phone-two", "fr", "a note in brackets"),
    }
    assert "phone-damaged" not in keys_of(data / "phone_it_train")
    assert "phone-damaged" in keys_of(data / "phone_fr_train")  # its own text is whole; and never a test
    assert json.loads((data / "phone_it_train" / "dropped.json").read_text())["dropped"]["empty text.it"] >= 2
    everywhere = {key for path in data.glob("phone_en_*") for key in table(path / "text.en")}
    assert "en-phone-beep" not in everywhere and "en-phone-untold" not in everywhere
    texts = [table(path / "text.es") for path in data.glob("phone_es_*")]
    assert any(rows.get("es-phone-letters.at") == say("es", 4)[:-1] for rows in texts)  # without [@]
    assert not list(data.glob("phone_en_*/text.es")) and list(data.glob("phone_es_*/text.es"))


def test_loose_translations_are_marked_and_only_train(recipe: RecipeCopy, corpus: Path) -> None:
    root = corpus / "usr/share/tuxpaint/stamps/animals"
    rows = [f"{lang}.utf8=A. B. C. D." if lang == "ca" else f"{lang}.utf8={say(lang, 20)}" for lang in (*STAMPS, "it")]
    for number in range(KEYS):
        text = (root / f"s{number:02d}.txt").read_text()
        (root / f"s{number:02d}.txt").write_text(
            text.replace(say("ro", number + 1), f"{say('ro', number + 1)} {number + 30}", 1)
        )
    write_lines(root / "s23.txt", say("en", 20), *rows)
    result = recipe.prepare("data", "--corpus", str(corpus), "--parts", "stamps")
    assert result.returncode == 0, result.stderr
    marks = {tuple(line.split("\t")[:3]) for line in (recipe.folder / "data" / "loose.txt").read_text().splitlines()}
    assert ("stamps-animals.s23", "ca", "another length") in marks
    assert "stamps-animals.s23" in keys_of(recipe.folder / "data" / "stamps_fr_train")


def test_packages_are_unpacked_and_nothing_is_installed(recipe: RecipeCopy, corpus: Path, tmp_path: Path) -> None:
    """The whole as one .deb, which stands in for all of them."""
    tree, given = tmp_path / "package", tmp_path / "given"
    shutil.copytree(corpus / "usr", tree / "usr")
    control = "Package: tuxpaint-stamps-default\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: test\n"
    write_lines(tree / "DEBIAN" / "control", *control.splitlines())
    given.mkdir()
    package = given / "tuxpaint-stamps-default_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, package], check=True, capture_output=True)
    result = recipe.prepare("data", "--corpus", str(given), "--parts", "stamps")
    assert result.returncode == 0, result.stderr
    assert (recipe.folder / "data" / "stamps_el_train").exists()
    result = recipe.prepare("data", "--corpus", str(given))
    assert result.returncode == 1
    assert "neither usr/share nor the packages asterisk-core-sounds-en asterisk-core-sounds-en-wav" in result.stderr
    package.write_bytes(package.read_bytes()[:1000])
    shutil.rmtree(recipe.folder / "downloads")
    result = recipe.prepare("data", "--corpus", str(given), "--parts", "stamps")
    assert result.returncode == 1 and "delete it, and fetch it again" in result.stderr
    assert "Traceback" not in result.stderr


def test_all_stages_run(recipe: RecipeCopy, corpus: Path) -> None:
    """Many languages, two parts, told apart or not; a set is decoded by the tasks of its language."""
    systems, tests = ("asr", "to_en", "joint_implicit"), ("phone_fr_test", "stamps_fr_test", "stamps_el_test")
    options = ["--subword_type", "char", "--nj", "1", "--systems", " ".join(systems), "--test_sets", " ".join(tests)]
    result = recipe.run("--corpus", str(corpus), *options, "--set", TINY)
    assert result.returncode == 0, result.stderr
    results = (recipe.folder / "RESULTS.md").read_text().replace("†", "")  # the mark of epochs unlike the others
    for system in systems:
        assert f"</sup> {system} |" in results
    exp = recipe.folder / "exp" / systems[-1] / "stamps_fr_test"
    keys = table(recipe.folder / "data" / "stamps_fr_test" / "text.fr").keys()
    for task in ("asr_fr", "fr_en"):
        assert {line.split(" ")[0] for line in (exp / f"hyp.{task}").read_text().split("\n")[:-1]} == keys
    assert not (exp / "hyp.asr_el").exists()  # its texts have Greek too, but what is said is French


def test_a_package_that_was_fetched_in_part_is_fetched_again(recipe: RecipeCopy, tmp_path: Path, monkeypatch) -> None:
    """An apt-get that is killed leaves what it had so far."""
    tools = tmp_path / "tools"
    write_lines(tools / "apt-get", "#!/bin/sh", "echo x > tuxpaint-stamps-default_1_all.deb", "echo killed >&2; exit 9")
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    for _ in range(2):
        result = recipe.prepare("data", "--parts", "stamps")
        assert result.returncode == 1 and "apt-get download tuxpaint-stamps-default: killed; or give" in result.stderr
    assert list((recipe.folder / "downloads").iterdir()) == []
