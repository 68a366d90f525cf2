"""Meanings in German: case and gender agreement, verb second or last, separable verbs, "nicht" and "kein"."""

from grammar import Clause, Phrase, Sentence
from lexicon import ADJECTIVE, MANNER, NOUN, NUMBER, PLACE, PRONOUN, TIME, VERB

MODALS = {
    "can": ("kann", "kannst", "kann", "können", "können"),
    "must": ("muss", "musst", "muss", "müssen", "müssen"),
    "want": ("will", "willst", "will", "wollen", "wollen"),
}
HABEN = ("habe", "hast", "hat", "haben", "haben")
SEIN = ("bin", "bist", "ist", "sind", "sind")
LINKS = {"because": "weil", "if": "wenn", "that": "dass"}  # "when" is wenn, of the past als
GENDERS = "mfnp"  # masculine, feminine, neuter, plural
# Endings of der-words and of adjectives without a determiner, by case; and of adjectives after der and after ein.
STRONG = {"nom": ("er", "e", "es", "e"), "acc": ("en", "e", "es", "e"), "dat": ("em", "er", "em", "en")}
AFTER_DER = {"nom": ("e", "e", "e", "en"), "acc": ("en", "e", "e", "en"), "dat": ("en", "en", "en", "en")}
AFTER_EIN = {"nom": ("er", "e", "es", "en"), "acc": ("en", "e", "es", "en"), "dat": ("en", "en", "en", "en")}
EIN = {"nom": ("", "e", "", "e"), "acc": ("en", "e", "", "e"), "dat": ("em", "er", "em", "en")}
ARTICLE = {
    "nom": ("der", "die", "das", "die"),
    "acc": ("den", "die", "das", "die"),
    "dat": ("dem", "der", "dem", "den"),
}
EIN_WORDS = {"a": "ein", "no": "kein", "my": "mein", "our": "unser"}


def gender(np: Phrase) -> int:
    return GENDERS.index("p" if np.plural else NOUN[np.noun].de[0][0])


def noun_form(np: Phrase, case: str) -> str:
    kind, singular, plural = NOUN[np.noun].de
    if not np.plural:
        return plural if kind.endswith("w") and case != "nom" else singular
    return plural + "n" if case == "dat" and plural[-1] not in "ns" else plural


def determiner(np: Phrase, case: str) -> tuple[str, str]:
    """The determiner and the ending of an adjective after it."""
    g, name = gender(np), np.determiner
    if name in EIN_WORDS:
        return EIN_WORDS[name] + EIN[case][g], AFTER_EIN[case][g]
    if name == "the":
        return ARTICLE[case][g], AFTER_DER[case][g]
    if name == "this":
        return "dies" + STRONG[case][g], AFTER_DER[case][g]
    if name == "many":
        return "viel" + STRONG[case][g], STRONG[case][g]
    return NUMBER[name][1], STRONG[case][g]


def phrase(np: Phrase, case: str) -> str:
    if not np.determiner:
        return PRONOUN[np.noun][1]
    word, ending = determiner(np, case)
    adjective = ADJECTIVE[np.adjective].de[0] + ending if np.adjective else ""
    return " ".join(filter(None, [word, adjective, noun_form(np, case)]))


def relative(np: Phrase) -> str:
    """The relative clause between its commas, with the pronoun in the case that its verb asks for; "" if none."""
    if not np.relative:
        return ""
    case = "nom" if np.relative.gap == "subject" else _object_case(np.relative)
    pronoun = "denen" if case == "dat" and np.plural else ARTICLE[case][gender(np)]
    return f", {pronoun} {verb_final(np.relative)},"


def _object_case(c: Clause) -> str:
    return "dat" if "dative" in VERB[c.verb].marks else "acc"


def present(verb: str, person: int) -> str:
    infinitive, given, _ = VERB[verb].de
    infinitive = infinitive.split("-")[-1]
    forms = given.split(",")
    if len(forms) == 3:
        return "sind" if verb == "be" and person > 2 else infinitive if person > 2 else forms[person]
    third = forms[0]
    second = third[:-1] + ("t" if third[-2] in "sßz" else "st")
    return (infinitive[:-1], second, third, infinitive, infinitive)[person]


def verbs(c: Clause) -> tuple[str, list[str], str]:
    """The finite verb, what stands at the end of a main clause, and the whole group at the end of a subordinate one."""
    infinitive, _, participle = VERB[c.verb].de
    prefix = infinitive.split("-")[0] if "-" in infinitive else ""
    if c.modal:
        finite, end = MODALS[c.tense][c.subject.person], infinitive.replace("-", "")
        return finite, [end], f"{end} {finite}"
    if c.tense == "past":
        finite = (SEIN if "sein" in VERB[c.verb].marks else HABEN)[c.subject.person]
        return finite, [participle], f"{participle} {finite}"
    finite = present(c.verb, c.subject.person)
    return finite, [prefix], prefix + finite


def middle(c: Clause, postpone: bool, time: bool = True) -> list[str]:
    """Time, dative, accusative, negation, manner and place: the order of the middle field."""
    thing, negated = c.object, c.negated
    if thing and c.gap != "object":
        if negated and thing.determiner == "a":
            thing, negated = Phrase(thing.noun, "no", thing.plural, thing.adjective), False
        given = phrase(thing, _object_case(c)) + ("" if postpone else relative(thing))
    else:
        given = ""
    place = PLACE[c.place][3 if c.verb == "go" else 2] if c.place else ""
    return [
        TIME[c.time][1] if c.time and time else "",
        phrase(c.recipient, "dat") if c.recipient else "",
        given,
        "nicht" if negated else "",
        MANNER[c.manner][1] if c.manner else "",
        place,
        "sehr" if c.very else "",
        ADJECTIVE[c.adjective].de[1] if c.adjective else "",
    ]


def verb_final(c: Clause) -> str:
    """A subordinate clause without its first word."""
    subject = [] if c.gap == "subject" else [phrase(c.subject, "nom") + relative(c.subject)]
    return " ".join(filter(None, subject + middle(c, postpone=False) + [verbs(c)[2]]))


def main_clause(c: Clause, front: str | None = None) -> str:
    """Verb second; `front` takes the first place ("" asks: the verb comes first), otherwise the subject does."""
    finite, end, _ = verbs(c)
    subject = phrase(c.subject, "nom") + relative(c.subject)
    start = [subject, finite] if front is None else [front, finite, subject]
    later = relative(c.object) if c.object else ""  # after the verb's last part, not in the middle of the clause
    time = not (front and c.time and front == TIME[c.time][1])
    return " ".join(filter(None, start + middle(c, postpone=True, time=time) + end)) + later


def sentence(s: Sentence) -> str:
    if s.question:
        text = main_clause(s.main, "wo" if s.where else "")
    elif s.sub:
        word = LINKS.get(s.link) or ("als" if s.sub.tense == "past" else "wenn")
        sub = f"{word} {verb_final(s.sub)}"
        text = main_clause(s.main, sub + ",") if s.sub_first else f"{main_clause(s.main)}, {sub}"
    else:
        text = main_clause(s.main, TIME[s.main.time][1] if s.time_first else None)
    text = text.rstrip(",").replace(",,", ",")
    return text[0].upper() + text[1:] + ("?" if s.question else ".")
