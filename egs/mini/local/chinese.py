"""Meanings in Chinese: classifiers, modifiers before the noun, 把 before the verb, time and place before the verb."""

from grammar import Clause, Phrase, Sentence
from lexicon import ADJECTIVE, MANNER, NOUN, NUMBER, PLACE, PRONOUN, TIME, VERB

MODALS = {"can": "能", "must": "必须", "want": "想"}
DEFINITE = ("the", "my", "our", "this")


def phrase(np: Phrase) -> str:
    if not np.determiner:
        return PRONOUN[np.noun][3]
    noun, classifier = NOUN[np.noun].zh
    noun = (ADJECTIVE[np.adjective].zh[0] if np.adjective else "") + noun
    relative = clause(np.relative) + "的" if np.relative else ""
    if np.determiner in NUMBER:
        determiner = NUMBER[np.determiner][3] + classifier
    elif np.determiner == "the":
        determiner = "那些" if np.plural else ""
    elif np.determiner == "this":
        determiner = "这些" if np.plural else "这" + classifier
    else:
        determiner = {"a": "一" + classifier, "my": "我的", "our": "我们的", "many": "很多"}[np.determiner]
    return relative + determiner + noun


def _predicate(c: Clause) -> str:
    """Is big: 很大; is red: 是红色的."""
    word = ADJECTIVE[c.adjective].zh[0]
    if word.endswith("色的"):
        return ("不" if c.negated else "") + "是" + word
    return ("不" if c.negated else "非常" if c.very else "很") + word.removesuffix("的")


def _negation_and_modal(c: Clause) -> str:
    if c.negated and c.tense == "present" and "/" in VERB[c.verb].zh[0]:
        return ""  # the verb says it: 看不见
    if c.negated:
        return "不能" if c.tense == "can" else "没" if c.tense == "past" else "不"
    return MODALS[c.tense] if c.modal else ""


def _verb_and_object(c: Clause, inner: bool) -> str:
    """The verb with its object, and 了 unless a 的 follows; a definite object that is affected comes first, with 把."""
    word = VERB[c.verb]
    verb, _, negated_verb = word.zh[0].partition("/")
    completed = "了" if c.tense == "past" and not (c.negated or inner or "state" in word.marks) else ""
    thing = phrase(c.object) if c.object and c.gap != "object" else ""
    if c.verb == "go":
        thing = PLACE[c.place][5].split()[0] if c.place else ""
    result = word.zh[1]
    definite = c.object is not None and c.object.determiner in DEFINITE
    if result != "-" and thing and definite and not c.negated and (completed or c.modal):
        return f"把{thing}{result}{completed}"
    if c.negated and c.tense == "present" and negated_verb:
        return negated_verb + thing
    return verb + completed + thing


def clause(c: Clause, time_first: bool = False, where: bool = False, inner: bool = False) -> str:
    subject = "" if c.gap == "subject" else phrase(c.subject)
    time = TIME[c.time][3] if c.time else ""
    place = PLACE[c.place][5].split()[1] if c.place and c.verb != "go" else ""
    if c.verb == "exist" and c.object:
        return f"{place}有{phrase(c.object)}"
    start = time + subject if time_first else subject + time
    if c.adjective:
        return start + _predicate(c)
    if c.subject.noun == "it" and not c.subject.determiner:
        start = time  # weather has no subject
    location = f"在{place}" if place else ""
    if where:
        location = "去哪里" if c.verb == "go" else "在哪里"
    manner = MANNER[c.manner][3] if c.manner else ""
    to = f"给{phrase(c.recipient)}" if c.recipient else ""
    negation = _negation_and_modal(c)
    if where and c.verb == "go":
        return start + negation + location
    return start + negation + location + manner + to + _verb_and_object(c, inner or bool(c.gap))


def sentence(s: Sentence) -> str:
    main = clause(s.main, s.time_first, s.where)
    if s.question:
        return main + ("？" if s.where else "吗？")
    if not s.sub:
        return main + "。"
    sub = clause(s.sub, inner=s.link == "when")
    if s.link == "that":
        return f"{main}{sub}。"
    if s.link == "because":
        return f"因为{sub}，所以{main}。"
    return f"如果{sub}，{main}。" if s.link == "if" else f"{sub}的时候，{main}。"
