"""What the texts of egs/prompts show by themselves, and which share of the keys is for what."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "egs" / "prompts" / "local"))
import rules
from prompt import Prompt
from split import split


@pytest.mark.parametrize(
    ("lang", "text", "reason"),
    [
        ("it", "Non pu? essere", "letters lost"),
        ("it", "Come? No.", ""),
        ("fr", "cinq cents ($.05)", "a note in brackets"),
        ("it", "premere due vm-then-pound: poi", "another key in it"),
        ("ru", "ok", "not in the script of its language"),
        ("ru", "хорошо ok", ""),
        ("el", "Ώρα", ""),
        ("be", "", ""),
    ],
)
def test_a_text_that_cannot_be_what_is_said(lang: str, text: str, reason: str) -> None:
    found = rules.damaged([Prompt("key", {lang: text})], [lang])
    assert found == ([("key", lang, reason, text)] if reason else [])


SAME = [("Press one to go on now.", "Tapez un pour continuer.")] * 9


@pytest.mark.parametrize(
    ("english", "text", "reason"),
    [
        ("Press two to hear it all again.", "Tapez deux pour tout entendre.", ""),
        ("Press two to hear it all again.", "Tapez deux.", "another length"),
        ("Yes.", "Oui, bien entendu.", ""),  # of short texts the lengths say nothing
        ("One. Two. Three please.", "Un, deux, trois, merci.", "another number of sentences"),
        ("One. Two and three please.", "Un, deux et trois, merci.", ""),
        ("It is 12 now, my friend.", "Il est 13 heures, l'ami.", "other numbers"),
        ("It is 12 now, my friend.", "Il est midi, mon ami cher.", ""),
        ("Asterisk music on hold", "asterisk Music on hold", "not translated"),
        ("Asterisk", "Asterisk", ""),
    ],
)
def test_a_loose_translation(english: str, text: str, reason: str) -> None:
    pairs = [*SAME, (english, text)]
    prompts = [Prompt(str(number), {"en": a, "fr": b}) for number, (a, b) in enumerate(pairs)]
    assert rules.loose(prompts, ["en", "fr"]) == ([("9", "fr", reason, text)] if reason else [])


def test_of_a_hundred_keys_fifteen_test_and_ten_validate() -> None:
    prompts = [Prompt(f"key{number}", {"en": f"text {number}"}) for number in range(4000)]
    shares = Counter(split(prompts).values())
    assert shares["test"] / 4000 == pytest.approx(0.15, abs=0.02)
    assert shares["dev"] / 4000 == pytest.approx(0.10, abs=0.02)
    chain = [Prompt("a", {"en": "One."}), Prompt("b", {"en": "one", "fr": "un"}), Prompt("c", {"fr": "Un!"})]
    assert len(set(split(chain).values())) == 1 and set(split(chain, ["c"]).values()) == {"train"}
    assert split(chain) == split(chain[::-1])
