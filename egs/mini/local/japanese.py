"""Meanings in Japanese: the verb last, particles after each phrase, clauses before what they modify."""

from grammar import Clause, Phrase, Sentence
from lexicon import ADJECTIVE, MANNER, NOUN, NUMBER, PLACE, PRONOUN, TIME, VERB

# Godan endings: before ます, before ない, and the past.
GODAN = {
    "う": ("い", "わ", "った"), "く": ("き", "か", "いた"), "ぐ": ("ぎ", "が", "いだ"), "す": ("し", "さ", "した"),
    "つ": ("ち", "た", "った"), "む": ("み", "ま", "んだ"), "ぶ": ("び", "ば", "んだ"), "る": ("り", "ら", "った"),
}  # fmt: skip
DETERMINERS = {"the": "", "a": "", "my": "私の", "our": "私たちの", "many": "たくさんの"}


def stems(verb: str) -> tuple[str, str, str, str]:
    """Before ます, before ない, dictionary form and past of a verb."""
    word, kind = VERB[verb].ja
    if kind == "1":
        return word[:-1], word[:-1], word, word[:-1] + "た"
    if kind == "s":
        return word[:-2] + "し", word[:-2] + "し", word, word[:-2] + "した"
    if kind == "k":
        return word[:-2] + "き", word[:-2] + "こ", word, word[:-2] + "きた"
    masu, nai, past = GODAN[word[-1]]
    past = "行った" if word == "行く" else word[:-1] + past
    return word[:-1] + masu, word[:-1] + nai, word, past


def polite(c: Clause) -> str:
    """The verb at the end of a sentence."""
    masu, nai, dictionary, _ = stems(c.verb)
    if c.tense == "can":
        return dictionary + "ことができ" + ("ません" if c.negated else "ます")
    if c.tense == "must":
        return nai + "なければなりません"
    if c.tense == "want":
        speaking = c.subject.person in (0, 1, 3)
        # Others only show that they want; a speaker knows it.
        return masu + (("たくないです" if c.negated else "たいです") if speaking else "たがっています")
    if c.tense == "past":
        return masu + ("ませんでした" if c.negated else "ました")
    return masu + ("ません" if c.negated else "ます")


def plain(c: Clause) -> str:
    """The verb at the end of a clause inside a sentence."""
    masu, nai, dictionary, past = stems(c.verb)
    if c.tense == "can":
        return dictionary + "ことができ" + ("ない" if c.negated else "る")
    if c.tense == "must":
        return nai + "なければならない"
    if c.tense == "want":
        return masu + ("たい" if c.subject.person in (0, 1, 3) else "たがっている")
    if c.tense == "past":
        return nai + "なかった" if c.negated else past
    return nai + "ない" if c.negated else dictionary


def _be(c: Clause, ending: str) -> str:
    """An adjective as predicate; `ending` is です, or the word that follows a plain clause."""
    word = ADJECTIVE[c.adjective].ja[0]
    very = "とても" if c.very else ""
    if word.endswith("い"):
        if c.negated:
            word = ("よ" if word == "いい" else word[:-1]) + "くない"
        return very + word + (ending if ending == "です" else "")
    stem = word[:-1]
    if c.negated:
        return stem + ("ではありません" if ending == "です" else "ではない")
    return very + stem + {"です": "です", "ので": "な", "と": "だ", "こと": "である"}[ending]


def phrase(np: Phrase) -> str:
    if not np.determiner:
        return PRONOUN[np.noun][4]
    noun, counter = NOUN[np.noun].ja
    if np.determiner in NUMBER:
        determiner = NUMBER[np.determiner][4] + counter + "の"
    elif np.determiner == "this":
        determiner = "これらの" if np.plural else "この"
    else:
        determiner = DETERMINERS[np.determiner]
    relative = before_verb(np.relative, "が") + plain(np.relative) if np.relative else ""
    return relative + determiner + (ADJECTIVE[np.adjective].ja[0] if np.adjective else "") + noun


def before_verb(c: Clause, particle: str, time_first: bool = False, where: bool = False) -> str:
    """Everything but the verb; `particle` marks the subject: は in main clauses, が inside others."""
    subject = "" if c.gap == "subject" else phrase(c.subject) + particle
    time = TIME[c.time][4] if c.time else ""
    if c.verb in ("rain", "snow"):
        return time + ("雨" if c.verb == "rain" else "雪") + "が"
    place = PLACE[c.place][6] if c.place else ""
    if where:
        place = "どこ"
    if place:
        place += "に" if c.verb in ("go", "exist") else "で"
    if c.verb == "exist" and c.object:
        return time + place + phrase(c.object) + "が"
    to = phrase(c.recipient) + "に" if c.recipient else ""
    thing = ""
    if c.object and c.gap != "object":
        thing = phrase(c.object) + ("に" if "に" in VERB[c.verb].marks else "を")
    manner = MANNER[c.manner][4] if c.manner else ""
    start = f"{time}、{subject}" if time_first else subject + time
    return start + place + to + thing + manner


def _sub(c: Clause, ending: str) -> str:
    """A clause inside a sentence, without the word that links it."""
    return before_verb(c, "が") + (_be(c, ending) if c.adjective else plain(c))


def _main(c: Clause, time_first: bool = False, where: bool = False) -> str:
    if c.verb == "exist" and c.object:
        living = {"person", "animal"} & set(NOUN[c.object.noun].tags)
        return before_verb(c, "は") + ("います" if living else "あります")
    start = before_verb(c, "は", time_first, where)
    return start + (_be(c, "です") if c.adjective else polite(c))


def sentence(s: Sentence) -> str:
    main = _main(s.main, s.time_first, s.where)
    if s.question:
        return main + "か。"
    if not s.sub:
        return main + "。"
    if s.link == "that":
        link = "ことを" if s.main.verb == "know" else "と"
        return f"{phrase(s.main.subject)}は{_sub(s.sub, 'こと' if link == 'ことを' else 'と')}{link}{polite(s.main)}。"
    if s.link == "because":
        return f"{_sub(s.sub, 'ので')}ので、{main}。"
    return f"{_sub(s.sub, '')}{'なら' if s.link == 'if' else 'とき'}、{main}。"
