"""Meanings in English: lower-case and without punctuation, as a recogniser's transcripts are."""

from grammar import Clause, Phrase, Sentence
from lexicon import NOUN, PARTICLES, PLACE, VERB


def phrase(np: Phrase) -> str:
    if not np.determiner:
        return np.noun
    noun = NOUN[np.noun].en[np.plural]
    determiner = "these" if np.determiner == "this" and np.plural else np.determiner
    following = np.adjective or noun
    if determiner == "a" and following[0] in "aeiou":
        determiner = "an"
    relative = ""
    if np.relative:
        relative = ("who " if "person" in NOUN[np.noun].tags else "that ") + clause(np.relative)
    return " ".join(filter(None, [determiner, np.adjective, noun, relative]))


def _verb_group(c: Clause) -> tuple[str, str]:
    """The auxiliary ("" if none) and the rest of the verb."""
    base, third, past = VERB[c.verb].en
    singular = c.subject.person == 2
    if c.verb == "be":
        return ("is" if singular else "am" if c.subject.person == 0 else "are"), ""
    if c.tense in ("can", "must"):
        return c.tense, base
    if c.tense == "want":
        base, third, past = f"want to {base}", f"wants to {base}", ""
    if c.negated:
        return ("did" if c.tense == "past" else "does" if singular else "do"), base
    return "", past if c.tense == "past" else third if singular else base


def _rest(c: Clause) -> list[str]:
    """What follows the verb."""
    given = phrase(c.object) if c.object and c.gap != "object" else ""
    place = PLACE[c.place][c.verb == "go"] if c.place else ""
    time = "" if c.time in ("often", "always") else c.time
    very = "very" if c.very else ""
    recipient = phrase(c.recipient) if c.recipient else ""
    particle = PARTICLES.get(c.verb, "")
    return [particle, recipient, given, very, c.adjective, c.manner, place, time]


def clause(c: Clause, time_first: bool = False) -> str:
    subject = "" if c.gap == "subject" else phrase(c.subject)
    if c.verb == "exist" and c.object:
        there = "there are" if c.object.plural else "there is"
        return f"{there} {phrase(c.object)} {c.place}"
    auxiliary, verb = _verb_group(c)
    frequency = c.time if c.time in ("often", "always") else ""
    rest = _rest(c)
    front = rest.pop() if time_first else ""
    words = [front, subject, auxiliary, "not" if c.negated else "", frequency, verb, *rest]
    return " ".join(filter(None, words)).replace("can not", "cannot")


def _question(s: Sentence) -> str:
    c = s.main
    base = VERB[c.verb].en[0]
    auxiliary = "can" if c.tense == "can" else "did" if c.tense == "past" else "does" if c.subject.person == 2 else "do"
    verb = f"want to {base}" if c.tense == "want" else base
    frequency = c.time if c.time in ("often", "always") else ""
    words = ["where" if s.where else "", auxiliary, phrase(c.subject), "not" if c.negated else "", frequency, verb]
    return " ".join(filter(None, words + _rest(c)))


def sentence(s: Sentence) -> str:
    if s.question:
        return _question(s)
    main = clause(s.main, s.time_first)
    if not s.sub:
        return main
    sub = f"{s.link} {clause(s.sub)}"
    return f"{sub} {main}" if s.sub_first else f"{main} {sub}"
