"""Meanings in French: agreement of articles, adjectives and participles, adjective order, elision and contraction."""

import re

from grammar import Clause, Phrase, Sentence
from lexicon import ADJECTIVE, MANNER, NOUN, NUMBER, PLACE, PRONOUN, TIME, VERB

MODALS = {
    "can": ("peux", "peux", "peut", "pouvons", "peuvent"),
    "must": ("dois", "dois", "doit", "devons", "doivent"),
    "want": ("veux", "veux", "veut", "voulons", "veulent"),
}
AVOIR = ("ai", "as", "a", "avons", "ont")
ETRE = ("suis", "es", "est", "sommes", "sont")
LINKS = {"because": "parce que", "when": "quand", "if": "si", "that": "que"}
DETERMINERS = {  # masculine, feminine, plural
    "the": ("le", "la", "les"), "a": ("un", "une", "des"), "my": ("mon", "ma", "mes"),
    "our": ("notre", "notre", "nos"), "this": ("ce", "cette", "ces"), "many": ("", "", "beaucoup de"),
    "no": ("de", "de", "de"),
}  # fmt: skip
VOWEL = "aeiouhàâéèêëîïôœ"  # no h of these words is aspirated


def feminine(np: Phrase) -> bool:
    return (NOUN[np.noun].fr[0] if np.determiner else PRONOUN[np.noun][2].split()[2]) == "f"


def adjective(name: str, is_feminine: bool, plural: bool, following: str = "") -> str:
    """The form that agrees; `following` is the noun when the adjective stands before it."""
    masculine, feminine_form, _, *before_vowel = ADJECTIVE[name].fr
    form = feminine_form if is_feminine else masculine
    if before_vowel and not is_feminine and not plural and following and following[0] in VOWEL:
        form = before_vowel[0]
    if not plural or form[-1] in "sx":
        return form
    return form + "x" if form.endswith("eau") else form + "s"


def phrase(np: Phrase) -> str:
    if not np.determiner:
        return PRONOUN[np.noun][2].split()[0]
    noun = NOUN[np.noun].fr[2 if np.plural else 1]
    words = [noun]
    if np.adjective:
        before = ADJECTIVE[np.adjective].fr[2] == "before"
        form = adjective(np.adjective, feminine(np), np.plural, noun if before else "")
        words.insert(0 if before else 1, form)
    vowel = words[0][0] in VOWEL
    if np.determiner in NUMBER:
        determiner = NUMBER[np.determiner][2]
    else:
        determiner = DETERMINERS[np.determiner][2 if np.plural else feminine(np)]
        if vowel:
            determiner = {"ce": "cet", "ma": "mon"}.get(determiner, determiner)
    relative = []
    if np.relative:
        relative = ["qui" if np.relative.gap == "subject" else "que", clause(np.relative)]
    return " ".join([determiner, *words, *relative])


def _participle(c: Clause) -> str:
    """The participle, agreeing with the subject of être or with an object that stands before it."""
    form = VERB[c.verb].fr[2]
    lead = c.subject if "être" in VERB[c.verb].marks else c.object if c.gap == "object" else None
    if lead is None:
        return form
    plural = lead.plural if lead.determiner else lead.person > 2
    return form + ("e" if feminine(lead) else "") + ("s" if plural and form[-1] != "s" else "")


def _verbs(c: Clause) -> tuple[str, str]:
    """The finite verb, and the infinitive or participle ("" if none)."""
    infinitive, given, _ = VERB[c.verb].fr
    person = c.subject.person
    if c.modal:
        return MODALS[c.tense][person], infinitive
    if c.tense == "past":
        return (ETRE if "être" in VERB[c.verb].marks else AVOIR)[person], _participle(c)
    forms = given.split(",")
    if len(forms) == 5:
        return forms[person], ""
    return (given, given + "s", given, given[:-1] + "ons", given + "nt")[person], ""


def clause(c: Clause, time_first: bool = False) -> str:
    """One clause, before elision."""
    subject = "" if c.gap == "subject" else phrase(c.subject)
    if c.verb == "exist" and c.object:
        return f"il y a {phrase(c.object)} {PLACE[c.place][4]}"
    finite, rest = _verbs(c)
    thing = c.object if c.gap != "object" else None
    if thing and c.negated and thing.determiner == "a":
        thing = Phrase(thing.noun, "no", False, thing.adjective)
    often = TIME[c.time][2] if c.time in ("often", "always") else ""
    words = [subject, "ne" if c.negated else "", finite, "pas" if c.negated else "", often, rest]
    if c.adjective:
        words += ["très" if c.very else "", adjective(c.adjective, feminine(c.subject), c.subject.plural)]
    manner = MANNER[c.manner][2] if c.manner else ""
    to = f"à {phrase(c.recipient)}" if c.recipient else ""
    words += [manner, phrase(thing) if thing else "", to, PLACE[c.place][4] if c.place else ""]
    time = TIME[c.time][2] if c.time and not often else ""
    words = [time + ",", *words] if time_first else [*words, time]
    return " ".join(filter(None, words))


def elide(text: str) -> str:
    """Join what French joins: l'ami, qu'il, s'il, n'a, au, aux."""
    text = re.sub(rf"\b(l|j|n|qu|d)[ea] (?=[{VOWEL}])", r"\1'", text, flags=re.IGNORECASE)
    text = re.sub(r"\bsi (?=ils?\b)", "s'", text)
    return text.replace("à le ", "au ").replace("à les ", "aux ")


def sentence(s: Sentence) -> str:
    text = clause(s.main, s.time_first)
    if s.question:
        text = f"{'où ' if s.where else ''}est-ce que {text}"
    elif s.sub:
        sub = f"{LINKS[s.link]} {clause(s.sub)}"
        text = f"{sub}, {text}" if s.sub_first else f"{text} {sub}"
    text = elide(text)
    return text[0].upper() + text[1:] + (" ?" if s.question else ".")
