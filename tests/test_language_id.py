"""Languages are told apart by short sentences."""

import random

import pytest

from espnet_ext.scoring.language_id import LanguageId

TEXTS = {
    "en": ["the old dog sleeps under the table", "we saw two children with a red ball", "she reads a book tonight"],
    "de": ["der alte Hund schläft unter dem Tisch", "wir sahen zwei Kinder mit einem Ball", "sie liest ein Buch"],
    "fr": ["le vieux chien dort sous la table", "nous avons vu deux enfants avec un ballon", "elle lit un livre"],
    "ja": ["古い犬はテーブルの下で寝ています", "二人の子供を見ました", "彼女は本を読みます"],
}


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("the children read", "en"),
        ("Die Kinder lesen unter dem Baum.", "de"),
        ("les enfants dorment avec le chien", "fr"),
        ("犬は本を読みます", "ja"),
        ("THE DOG!", "en"),
        ("", None),
        ("12, 34.", None),
        ("ѫѫѫ", None),
    ],
)
def test_the_likeliest_language(text: str, lang: str | None) -> None:
    assert LanguageId(TEXTS).best(text) == lang


def test_probabilities_sum_to_one_and_do_not_depend_on_the_order_of_languages() -> None:
    text = "die table"
    found = LanguageId(TEXTS).posterior(text)
    names = [*TEXTS]
    random.Random(1).shuffle(names)
    again = LanguageId({name: TEXTS[name] for name in names}).posterior(text)
    assert sum(found.values()) == pytest.approx(1)
    assert found == pytest.approx({lang: again[lang] for lang in found})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"en": ["a"]}, "at least two languages are needed, not of \\['en'\\]"),
        ({"en": ["a"], "de": ["1"]}, "text of de"),
    ],
)
def test_too_little_to_learn_from(texts: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LanguageId(texts)
