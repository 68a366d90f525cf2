"""Random sentences as meanings: what is said, before any language says it."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lexicon import ADJECTIVE, MANNER, NOUN, NUMBER, PLACE, PRONOUN, TIME, VERB

# Knobs of difficulty: how skewed words are (smaller is more skewed) and how much a sentence holds.
ZIPF_OFFSET = 6
KINDS = {
    "plain": 34, "because": 9, "be": 8, "question": 8, "that": 8, "when": 7,
    "object relative": 6, "exist": 5, "subject relative": 5, "where": 4, "if": 4,
}  # fmt: skip
P_ADJECTIVE, P_TIME, P_PLACE, P_MANNER, P_NEGATED, P_PRONOUN, P_VERY = 0.3, 0.36, 0.25, 0.3, 0.12, 0.22, 0.3
P_BRIEF = 0.25  # share of adverbs and adjectives kept in sentences of two clauses
TENSES = {"present": 38, "past": 36, "can": 10, "must": 8, "want": 8}
DETERMINERS = {"the": 50, "a": 22, "my": 9, "number": 8, "this": 5, "many": 4, "our": 4}
P_PLURAL = 0.2

ACTIONS = [v for v, word in VERB.items() if not {"clause", "weather", "property", "existence"} & set(word.tags)]
SAYING = [v for v, word in VERB.items() if "clause" in word.tags]


@dataclass(frozen=True)
class Phrase:
    """A noun with what stands beside it, or a pronoun (then `noun` is the pronoun and there is no determiner)."""

    noun: str
    determiner: str = "the"  # one of DETERMINERS but "number", a key of NUMBER, or "" for a pronoun
    plural: bool = False
    adjective: str = ""
    relative: "Clause | None" = None

    @property
    def person(self) -> int:
        """0 I, 1 you, 2 he/she/it, 3 we, 4 they."""
        if self.determiner:
            return 4 if self.plural else 2
        return {"i": 0, "you": 1, "we": 3, "they": 4}.get(self.noun, 2)


@dataclass(frozen=True)
class Clause:
    """One verb with its phrases; `gap` says which of them a relative clause leaves out ("subject" or "object")."""

    subject: Phrase
    verb: str
    tense: str = "present"  # a key of TENSES
    negated: bool = False
    object: Phrase | None = None
    recipient: Phrase | None = None
    adjective: str = ""  # of "be"
    very: bool = False
    time: str = ""
    place: str = ""  # where; where to with "go"
    manner: str = ""
    gap: str = ""

    @property
    def modal(self) -> bool:
        return self.tense in ("can", "must", "want")


@dataclass(frozen=True)
class Sentence:
    main: Clause
    link: str = ""  # because, when, if, that
    sub: Clause | None = None
    sub_first: bool = False
    question: bool = False
    where: bool = False  # asks for the place
    time_first: bool = False


class Generator:
    """Draws sentences; the same seed gives the same ones everywhere."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def weighted(self, weights: dict[str, int]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def word(self, table: Iterable[str], allowed: Iterable[str]) -> str:
        """An allowed word; the higher it stands in its table, the more often."""
        rank = {name: 1 / (position + ZIPF_OFFSET) for position, name in enumerate(table)}
        names = list(allowed)
        return self.random.choices(names, [rank[name] for name in names])[0]

    def phrase(self, tags: Iterable[str], share: float, avoid: str = "") -> Phrase:
        """A noun that has one of the tags, with a determiner that fits and perhaps an adjective."""
        wanted = set(tags)
        noun = self.word(NOUN, [n for n, word in NOUN.items() if wanted & set(word.tags) and n != avoid])
        word = NOUN[noun]
        determiner = self.weighted(DETERMINERS)
        if "family" in word.tags:
            determiner = "our" if determiner == "our" else "my"
        countable = word.en[1] != "-"
        if not countable and determiner in ("a", "number", "many"):
            determiner = "the"
        plural = determiner in ("number", "many") or (determiner != "a" and countable and self.chance(P_PLURAL))
        if determiner == "number":
            determiner = self.word(NUMBER, NUMBER)
        adjective = ""
        fitting = [a for a, other in ADJECTIVE.items() if set(word.tags) & set(other.tags)]
        if fitting and self.chance(P_ADJECTIVE * share):
            adjective = self.word(ADJECTIVE, fitting)
        return Phrase(noun, determiner, plural, adjective)

    def doer(self, verb: str, share: float) -> Phrase:
        """Who does it: a pronoun, a person, or with some verbs an animal."""
        if self.chance(P_PRONOUN):
            return Phrase(self.word(PRONOUN, [p for p in PRONOUN if p != "it"]), "")
        animal = "animal" in VERB[verb].marks and self.chance(0.3)
        return self.phrase(["animal" if animal else "person"], share)

    def clause(self, share: float = 1.0, tense: str = "", verb: str = "") -> Clause:
        """Somebody does something; `share` scales how much else is said."""
        verb = verb or self.word(VERB, ACTIONS)
        word = VERB[verb]
        tense = tense or self.weighted(TENSES)
        subject = self.doer(verb, share)
        negated = tense in ("present", "past", "can") and self.chance(P_NEGATED)
        clause = Clause(subject, verb, tense, negated)
        takes = [tag.split("+")[-1] for tag in word.tags]
        if takes == ["place"]:
            clause = replace(clause, place=self.word(PLACE, PLACE))
        elif takes:
            thing = self.phrase(takes, share, avoid=subject.noun)
            if negated and (thing.determiner in NUMBER or thing.determiner == "many"):
                thing = replace(thing, determiner="the")
            clause = replace(clause, object=thing)
            if "+" in word.tags[0]:
                clause = replace(
                    clause, recipient=replace(self.phrase(["person"], 0, avoid=subject.noun), adjective="")
                )
        return self.adverbs(clause, share)

    def adverbs(self, clause: Clause, share: float) -> Clause:
        """Add time, place and manner where they fit."""
        word = VERB[clause.verb]
        tense = "modal" if clause.modal else clause.tense
        if self.chance(P_TIME * share):
            times = [t for t, row in TIME.items() if tense in row[5].split()]
            times = [t for t in times if not (clause.negated and t in ("often", "always", "every day"))]
            clause = replace(clause, time=self.word(TIME, times))
        staying = "être" not in word.marks and not clause.recipient
        if staying and not clause.place and self.chance(P_PLACE * share):
            clause = replace(clause, place=self.word(PLACE, PLACE))
        elif "slow" in word.marks and not clause.negated and self.chance(P_MANNER):
            clause = replace(clause, manner=self.word(MANNER, MANNER))
        return clause

    def property(self, share: float = 1.0) -> Clause:
        """Something is big."""
        subject = self.phrase(["person", "animal", "thing", "wall", "food", "drink", "text"], 0)
        tags = set(NOUN[subject.noun].tags)
        adjective = self.word(ADJECTIVE, [a for a, word in ADJECTIVE.items() if tags & set(word.tags)])
        colour = ADJECTIVE[adjective].zh[0].endswith("色的")
        very = not colour and self.chance(P_VERY * share)
        if subject.determiner == "a":
            subject = replace(subject, determiner="the")
        return Clause(subject, "be", adjective=adjective, very=very, negated=not very and self.chance(P_NEGATED))

    def existence(self) -> Clause:
        """There are two cats in the garden."""
        thing = self.phrase(["person", "animal", "thing", "wall"], 1.0)
        while thing.determiner in ("the", "my", "our", "this"):
            thing = self.phrase(["person", "animal", "thing", "wall"], 1.0)
        return Clause(Phrase("it", ""), "exist", object=thing, place=self.word(PLACE, PLACE))

    def weather(self, tense: str) -> Clause:
        return Clause(Phrase("it", ""), "rain" if self.chance(0.7) else "snow", tense)

    def relative(self, head: Phrase) -> Phrase:
        """The phrase with a relative clause: that somebody bought, or that works in the garden."""
        head = replace(head, determiner="the")
        tags = set(NOUN[head.noun].tags)
        tense = "past" if self.chance(0.6) else "present"
        alone = Phrase(head.noun, "the", head.plural)
        doing = "person" in tags or "animal" in tags
        if doing and self.chance(0.6):
            verbs = [v for v in ACTIONS if "person" in tags or "animal" in VERB[v].marks]
            clause = self.clause(P_BRIEF, tense, self.word(VERB, verbs))
            clause = replace(clause, subject=alone, gap="subject")
            if clause.object and clause.object.noun == head.noun:
                return self.relative(head)
            return replace(head, relative=clause)
        verbs = [v for v in ACTIONS if tags & set(VERB[v].tags)]  # no verbs of giving: their tags have a "+"
        if not verbs:
            return head
        clause = replace(self.clause(0, tense, self.word(VERB, verbs)), object=alone, gap="object", negated=False)
        return self.relative(head) if clause.subject.noun == head.noun else replace(head, relative=clause)

    def sentence(self) -> Sentence:
        """One sentence of a random kind."""
        return getattr(self, "_" + self.weighted(KINDS).replace(" ", "_"))()

    def _plain(self) -> Sentence:
        clause = self.clause()
        first = bool(clause.time) and clause.time not in ("often", "always") and self.chance(0.35)
        return Sentence(clause, time_first=first)

    def _be(self) -> Sentence:
        return Sentence(self.property())

    def _exist(self) -> Sentence:
        return Sentence(self.existence())

    def _question(self) -> Sentence:
        clause = self.clause()
        return Sentence(replace(clause, tense="can") if clause.tense == "must" else clause, question=True)

    def _where(self) -> Sentence:
        verbs = [v for v in ACTIONS if "être" not in VERB[v].marks and not any("+" in tag for tag in VERB[v].tags)]
        clause = self.clause(P_BRIEF, self.weighted({"present": 1, "past": 1, "can": 1}), self.word(VERB, verbs))
        return Sentence(replace(clause, place="", manner="", negated=False), question=True, where=True)

    def _two(self, link: str, main: Clause, sub: Clause) -> Sentence:
        return Sentence(main, link, sub, sub_first=link != "because" and self.chance(0.5))

    def _because(self) -> Sentence:
        tense = self.weighted(TENSES)
        kind = self.weighted({"clause": 6, "property": 3, "weather": 1})
        sub = (
            self.clause(P_BRIEF)
            if kind == "clause"
            else self.property()
            if kind == "property"
            else self.weather("past")
        )
        return self._two("because", self.clause(P_BRIEF, tense), sub)

    def _when(self) -> Sentence:
        tense = "past" if self.chance(0.5) else "present"
        sub = self.weather(tense) if self.chance(0.15) else self.clause(0, tense)
        return self._two("when", replace(self.clause(P_BRIEF, tense), time=""), sub)

    def _if(self) -> Sentence:
        sub = self.weather("present") if self.chance(0.4) else self.clause(0, "present")
        return self._two("if", self.clause(P_BRIEF, self.weighted({"present": 1, "can": 1, "must": 1})), sub)

    def _that(self) -> Sentence:
        verb = self.word(VERB, SAYING)
        tense = "past" if verb == "say" and self.chance(0.6) else "present"
        main = Clause(self.doer(verb, 0), verb, tense)
        return Sentence(main, "that", self.clause(P_BRIEF) if self.chance(0.7) else self.property())

    def _subject_relative(self) -> Sentence:
        clause = replace(self.clause(P_BRIEF), negated=False)
        while not clause.subject.determiner or "family" in NOUN[clause.subject.noun].tags:
            clause = replace(self.clause(P_BRIEF), negated=False)
        return Sentence(replace(clause, subject=self.relative(clause.subject)))

    def _object_relative(self) -> Sentence:
        clause = self.clause(P_BRIEF)
        while not clause.object or "family" in NOUN[clause.object.noun].tags:
            clause = self.clause(P_BRIEF)
        return Sentence(replace(clause, object=self.relative(clause.object), place="", negated=False, time=""))
