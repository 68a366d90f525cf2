"""The mini corpus: its grammar is right, its text always the same, its sets apart."""

import hashlib
import importlib.util
import itertools
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

LOCAL = Path(__file__).parents[1] / "egs" / "mini" / "local"
FULL_SHA256 = "eb1f13cdb2573921778e1e822d62f7ce572fb6c51f8faf1deb97a96b1caa96b9"


@pytest.fixture(scope="module")
def mini():
    """egs/mini/local/data.py as a module."""
    sys.path.insert(0, str(LOCAL))
    spec = importlib.util.spec_from_file_location("mini_data", LOCAL / "data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["mini_data"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(LOCAL))


@pytest.fixture(scope="module")
def full(mini):
    return mini.make_texts(mini.SIZES["full"], seed=1)


def texts(sets, language):
    """Every sentence of the corpus in one language."""
    return [t[language] for name, rows in sets.items() if name != "train" for t in rows]  # mt_train holds train


def test_full_text_is_the_same_everywhere(full):
    lines = [f"{name} {lang} {text}" for name, rows in full.items() for row in rows for lang, text in row.items()]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == FULL_SHA256


def test_sizes_and_vocabulary(full):
    assert [len(full[name]) for name in ("train", "dev", "test", "mt_train")] == [3000, 300, 300, 20000]
    counts = Counter(word for row in full["train"] for word in row["en"].split())
    assert 250 <= len(counts) <= 320
    assert all(re.fullmatch(r"[a-z]+", word) for word in counts)
    ordered = sorted(counts.values(), reverse=True)
    assert sum(ordered[:30]) > sum(ordered[30:])  # skewed, as words are
    assert 6 <= sum(counts.values()) / 3000 <= 10


def test_no_sentence_is_in_two_sets(full):
    for language in ("en", "de", "fr", "zh", "ja"):
        held_out = [row[language] for name in ("test", "dev", "test_de", "dev_de") for row in full[name]]
        training = {row[language] for name in ("train", "mt_train", "train_de") for row in full[name]}
        assert len(held_out) == len(set(held_out))
        assert not training & set(held_out), language
        assert not {row[language] for row in full["train_de"]} & {row[language] for row in full["mt_train"]}


def test_another_seed_gives_another_corpus(mini):
    tiny = mini.SIZES["tiny"]
    assert mini.make_texts(tiny, 1) == mini.make_texts(tiny, 1) != mini.make_texts(tiny, 2)


# German: endings of an adjective between a determiner and a noun of a gender (p: plural), written down by hand.
# A number shows no case: NUMBER stands for its dative.
GERMAN_ENDINGS = {
    "m": {"der": "e", "den": "en", "dem": "en", "": "er", "en": "en", "em": "en", "er": "e"},
    "f": {"die": "e", "der": "en", "e": "e", "er": "en"},
    "n": {"das": "e", "dem": "en", "": "es", "em": "en", "es": "e"},
    "p": {"die": "en", "den": "en", "e": "en", "en": "en", "viele": "e", "vielen": "en", "number": "e", "NUMBER": "en"},
}
GERMAN_NUMBERS = {"zwei", "drei", "vier", "fünf", "sechs"}


def _german_determiner(word):
    """How GERMAN_ENDINGS names a determiner, or None if the word is none."""
    word = word.lower()
    if word in GERMAN_NUMBERS:
        return "number"
    if word in ("der", "die", "das", "den", "dem", "viele", "vielen"):
        return word
    match = re.fullmatch(r"(?:k?ein|mein|unser|dies)(|e|en|em|er|es)", word)
    return match and match[1]


def test_german_noun_phrases_agree(mini, full):
    from lexicon import ADJECTIVE, NOUN

    genders = {}
    for word in NOUN.values():
        gender, singular, plural = word.de
        weak = {plural} if gender.endswith("w") else set()
        for form in {singular} | weak:
            genders.setdefault(form, set()).add(gender[0])
        for form in (plural, plural + "n"):
            genders.setdefault(form, set()).add("p")
    adjectives = {word.de[0] + ending for word in ADJECTIVE.values() for ending in ("e", "en", "er", "es", "em")}
    found = 0
    for text in texts(full, "de"):
        words = re.findall(r"\w+", text)
        for first, second, third in itertools.zip_longest(words, words[1:], words[2:], fillvalue=""):
            determiner = _german_determiner(first)
            if determiner is None:
                continue
            if second in genders:
                assert any(determiner in GERMAN_ENDINGS[g] for g in genders[second]), (first, second, text)
            elif second in adjectives and third in genders:
                found += 1
                names = (determiner, determiner.upper()) if determiner == "number" else (determiner,)
                endings = {GERMAN_ENDINGS[g].get(name) for g in genders[third] for name in names}
                stems = {word.de[0] for word in ADJECTIVE.values()}
                assert any(e is not None and second.removesuffix(e) in stems for e in endings), text
    assert found > 2000


def _german_finite_forms():
    from lexicon import VERB

    modals = ["kann", "kannst", "können", "muss", "musst", "müssen", "will", "willst", "wollen"]
    auxiliaries = ["habe", "hast", "hat", "haben", "bin", "bist", "ist", "sind"]
    finite = {*modals, *auxiliaries, "gibt"}
    for word in VERB.values():
        infinitive, third, _ = word.de
        prefix, _, stem = infinitive.rpartition("-")
        for form in third.split(","):
            ending = "t" if form[-2] in "sßz" else "st"
            finite |= {prefix + f for f in (form, form[:-1] + ending, stem, stem[:-1])}
            finite |= {form, form[:-1] + ending, stem, stem[:-1]} if prefix else set()
    return finite


def test_german_verbs_come_last_in_clauses_and_second_in_sentences(mini, full):
    finite = _german_finite_forms()
    last = split = inverted = 0
    for text in texts(full, "de"):
        for clause in re.findall(r"\b(?:weil|dass|wenn|als|Wenn|Als) ([^,.]*)", text):
            # A relative clause never stands inside these, so that the next comma ends them.
            assert clause.split()[-1] in finite, text
            last += 1
        for clause in re.findall(r", (?:der|die|das|den|dem|denen) ([^,.?]*)", text):
            assert clause.split()[-1] in finite, text
        if re.match(r"(Wenn|Als) ", text):
            assert text.split(", ")[1].split()[0] in finite, text
            inverted += 1
        split += bool(re.search(r"\b(auf|zu|mit|ein|weg|an|zurück|aus)[.?,]", text))
    assert last > 4000 and split > 300 and inverted > 800


def test_german_modal_and_perfect_have_a_bracket(mini, full):
    from lexicon import VERB

    participles = {word.de[2] for word in VERB.values()}
    for text in texts(full, "de"):
        plain = re.fullmatch(r"(?:Der|Die|Das) (\w+) (hat|ist|haben|sind|kann|muss|will) ([^,]*)\.", text)
        if plain and plain[2] == "hat":
            assert plain[3].split()[-1] in participles, text
        if plain and plain[2] in ("kann", "muss", "will"):
            assert plain[3].split()[-1] in {word.de[0].replace("-", "") for word in VERB.values()}, text


def _french_forms():
    """Adjective form -> set of (base, gender, plural); noun form -> set of (gender, plural)."""
    from lexicon import ADJECTIVE, NOUN

    nouns, adjectives = {}, {}
    for word in NOUN.values():
        gender, singular, plural = word.fr
        nouns.setdefault(singular, set()).add((gender, False))
        nouns.setdefault(plural, set()).add((gender, True))
    for base, word in ADJECTIVE.items():
        masculine, feminine, _, *vowel = word.fr
        for gender, form in (("m", masculine), ("f", feminine), *(("m", form) for form in vowel)):
            adjectives.setdefault(form, set()).add((base, gender, False))
            plural = form if form[-1] in "sx" else form + ("x" if form.endswith("eau") else "s")
            if form not in vowel:
                adjectives.setdefault(plural, set()).add((base, gender, True))
    return nouns, adjectives


def test_french_adjectives_agree_and_stand_on_their_side(mini, full):
    from lexicon import ADJECTIVE

    nouns, adjectives = _french_forms()
    before = after = predicates = 0
    for text in texts(full, "fr"):
        words = re.findall(r"\w+", text)
        for first, second in itertools.pairwise(words):
            for noun, adjective, side in ((second, first, "before"), (first, second, "after")):
                if noun not in nouns or adjective not in adjectives:
                    continue
                fitting = [(b, g, p) for b, g, p in adjectives[adjective] if (g, p) in nouns[noun]]
                fitting = [b for b, _, _ in fitting if ADJECTIVE[b].fr[2] == side]
                assert fitting, text
                before, after = before + (side == "before"), after + (side == "after")
        predicate = re.fullmatch(r"(?:\w+['’ ])(\w+) (?:n')?(?:ne )?(?:est|sont) (?:pas |très )?(\w+)\.", text)
        if predicate and predicate[1] in nouns and predicate[2] in adjectives:
            assert {(g, p) for _, g, p in adjectives[predicate[2]]} & nouns[predicate[1]], text
            predicates += 1
    assert before > 1000 and after > 1000 and predicates > 200


def test_french_elides_and_contracts(full):
    for text in texts(full, "fr"):
        assert not re.search(r"\b(le|la|je|ne|que|de|ce|ma) [aeiouhâéêëîïôœ]", text, re.IGNORECASE), text
        assert not re.search(r"\bà les?\b|\bde les?\b|\bsi ils?\b", text), text


def test_french_participles_agree(full):
    rows = texts(full, "fr")
    assert any(re.search(r"\bElle est (allée|partie|arrivée|revenue)\b", text) for text in rows)
    for text in rows:
        assert not re.search(r"\b[Ee]lle est (allé|parti|arrivé|revenu)s?\b", text), text
        assert not re.search(r"\b[Ii]ls sont (allé|parti|arrivé|revenu)e?\b", text), text
        match = re.search(
            r"\b(?:la|une) (lettre|lampe|clé|boîte|voiture|maison|porte) que .*? (?:a|ont|ai) (\w+)", text
        )
        if match and match[2].endswith(("é", "u")):
            raise AssertionError(f"participle without agreement: {text}")


def test_chinese_classifiers_and_ba(mini, full):
    from lexicon import ADJECTIVE, NOUN

    adjectives = "|".join(word.zh[0] for word in ADJECTIVE.values())
    counted = 0
    for text in texts(full, "zh"):
        for word in NOUN.values():
            noun, classifier = word.zh
            for match in re.finditer(rf"(?:(?<!星期)[一两三四五六这])(.)(?:{adjectives})?{noun}(?!子|们|友)", text):
                if match[1] in "些我":
                    continue
                counted += 1
                assert match[1] == classifier, (text, noun)
    assert counted > 3000
    ba = [text for text in texts(full, "zh") if "把" in text]
    assert len(ba) > 300 and not any("了把" in text or "不把" in text for text in ba)
    assert not any("不找不" in t or "不看不" in t or "了的时候" in t or "了的" in t for t in texts(full, "zh"))


def test_japanese_ends_with_its_verb(full):
    endings = r"(ます|ました|ません|ませんでした|です)(か)?。"
    for text in texts(full, "ja"):
        assert re.search(endings + "$", text), text
        assert text.count("は") - text.count("ではありません") - text.count("ではない") <= 2, text
        for linked in re.findall(r"^(.*?)ので、", text):
            assert not re.search(r"(ます|です|ました)$", linked), text  # plain forms inside a sentence


def test_speakers_differ(mini):
    voices = mini.SPEAKERS["en"]
    assert len({speaker.voice for speaker in voices}) == 12
    assert len({speaker.pitch for speaker in voices}) > 8 and len({s.words_per_minute for s in voices}) > 8


def test_a_sentence_has_one_translation(mini):
    """The same English is never two meanings, so that a perfect system would score 100."""
    meanings = {}
    generator = mini.Generator(3)
    for _ in range(10000):
        meaning = generator.sentence()
        english, *others = (module.sentence(meaning) for module in mini.LANGUAGES.values())
        assert meanings.setdefault(english, others) == others, english
