"""The loops of simultaneous translation: against a plain loop that computes everything anew, and in their limits."""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest
import torch

from espnet_ext.espnet.task import STTask
from espnet_ext.search.options import SearchOptions
from espnet_ext.simul import rules
from espnet_ext.simul.delays import steps_of
from espnet_ext.simul.loop import REUSE, Loops, Writing
from espnet_ext.simul.prefixes import Prefixes
from tests.test_models import END, FIRST, config_of

SIZES = (9, 1, 6, 4, 12)
RULES = [("waitk", {"k": 1}), ("waitk", {"k": 3}), ("le", {"d": 0}), ("le", {"d": 2}), ("greedy", {})]
STEPS = [lambda n: steps_of(n, 1), lambda n: steps_of(n, 3), lambda n: sorted({min(n, 2), min(n, 7), n})]


@pytest.fixture(scope="module")
def translator() -> Any:
    """Random, with sharp opinions, and one that sentences end now and then."""
    torch.manual_seed(4)
    model = STTask.build_model(Namespace(**config_of("mt"))).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(3.0)
    model.decoder.output_layer.bias.data[END] += 2.0
    return model


def sources() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(FIRST, END, (size,), generator=generator).tolist() for size in SIZES]


def longest(seen: int) -> int:
    return 2 * seen + 5


def in_loops(translator: Any, rule: Any, texts: list[list[int]], steps: Any, reuse: str = "none") -> list[Writing]:
    prefixes = Prefixes(translator, torch.device("cpu"), reuse == "encoder")
    for text in texts:
        prefixes.add(text, steps(len(text)))
    loops = Loops(translator, rule, prefixes, longest, reuse)
    loops.begin(range(len(texts)))
    with torch.inference_mode():
        return loops.run()


def plainly(
    translator: Any,
    rule: Any,
    source: list[int],
    steps: list[int],
    longest: Callable[[int], int] = lambda n: longest(n),
) -> Writing:
    """One sentence; encoder and decoder from nothing for every token."""
    found = Writing()
    for seen in steps:
        last = seen == len(source)
        while last or not rule.waits(seen, len(found.tokens)):
            if len(found.tokens) >= longest(seen):
                break
            memory = translator.encode(torch.tensor([source[:seen]]), torch.tensor([seen]))
            states_1LD = translator.decoder.states(*memory, torch.tensor([[translator.sos, *found.tokens]]))
            if not last:
                stops = rule.stops(states_1LD[:, -1], torch.tensor([seen]), torch.tensor([len(found.tokens)]))
                if stops is not None and bool(stops[0]):
                    break
            logits_V = translator.decoder.output(states_1LD[0, -1])
            if not last and not rule.may_end:
                logits_V[translator.eos] = -torch.inf
            token = int(logits_V.argmax())
            if token == translator.eos:
                break
            found.tokens.append(token)
            found.seen.append(seen)
    return found


def same(a: Writing, b: Writing) -> bool:
    return (a.tokens, a.seen) == (b.tokens, b.seen)


@pytest.mark.parametrize("steps", STEPS, ids=["one", "three", "uneven"])
@pytest.mark.parametrize(("name", "options"), RULES)
def test_states_are_those_of_a_fresh_pass_at_every_step(translator, name, options, steps) -> None:
    rule = rules.make(name, options)
    found = in_loops(translator, rule, sources(), steps)
    with torch.inference_mode():
        expected = [plainly(translator, rule, text, steps(len(text))) for text in sources()]
    assert all(map(same, found, expected))
    assert len({tuple(writing.tokens) for writing in found}) > 2  # they are no trivial ones


@pytest.mark.parametrize("reuse", REUSE)
@pytest.mark.parametrize(("name", "options"), RULES)
def test_a_sentence_does_not_depend_on_its_neighbours(translator, name, options, reuse) -> None:
    rule, texts = rules.make(name, options), sources()
    together = in_loops(translator, rule, texts, STEPS[0], reuse)
    alone = [in_loops(translator, rule, [text], STEPS[0], reuse)[0] for text in texts]
    assert all(map(same, together, alone))
    assert [w.score for w in together] == pytest.approx([w.score for w in alone], abs=1e-4)


@pytest.mark.parametrize("options", [("le", {"d": 1000}), ("greedy", {}), ("waitk", {"k": 1000})])
def test_who_waits_for_the_end_translates_whole_sentences(translator, options) -> None:
    texts = sources()
    found = in_loops(translator, rules.make(*options), texts, STEPS[0])
    search = {"mt": SearchOptions(beam=1, max_ratio=-100).replace(max_length=0)}
    for text, writing in zip(texts, found, strict=True):
        batch = {"src_text": torch.tensor([text]), "src_text_lengths": torch.tensor([len(text)])}
        limit = {"mt": search["mt"].replace(max_ratio=-longest(len(text)))}
        with torch.inference_mode():
            hypothesis = translator.decode(batch, limit)["mt"][0][0]
        assert writing.tokens == hypothesis.tokens
        assert writing.seen == [len(text)] * len(writing.tokens)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_wait_k_writes_token_t_when_k_plus_t_less_1_are_read(translator, k: int) -> None:
    for text, writing in zip(sources(), in_loops(translator, rules.make("waitk", {"k": k}), sources(), STEPS[0])):
        assert writing.seen == [min(k + t - 1, len(text)) for t in range(1, len(writing.tokens) + 1)]


@pytest.mark.parametrize("d", [0, 2])
def test_le_is_never_longer_than_what_is_seen_less_d(translator, d: int) -> None:
    for text, writing in zip(sources(), in_loops(translator, rules.make("le", {"d": d}), sources(), STEPS[0])):
        early = [(t, seen) for t, seen in enumerate(writing.seen, 1) if seen < len(text)]
        assert all(t <= seen - d for t, seen in early)


@pytest.mark.parametrize(("name", "options"), RULES)
def test_what_is_written_does_not_know_what_comes(translator, name, options) -> None:
    """Other words from position 5 on: all that was written before they were seen stays."""
    text = sources()[4]
    other = text[:5] + [FIRST + (token - FIRST + 3) % (END - FIRST) for token in text[5:]]
    a, b = (in_loops(translator, rules.make(name, options), [x], STEPS[0])[0] for x in (text, other))
    early = sum(seen <= 5 for seen in a.seen)
    assert (a.tokens[:early], a.seen[:early]) == (b.tokens[:early], b.seen[:early])
    assert early == sum(seen <= 5 for seen in b.seen)


def test_reusing_the_encoder_keeps_first_states(translator) -> None:
    text = sources()[0]
    with torch.inference_mode():
        prefixes = Prefixes(translator, torch.device("cpu"), reuse=True)
        prefixes.add(text, [2, 5])
        kept = prefixes.memory([(0, 1)])[0][0]
        fresh = [translator.encode(torch.tensor([text[:n]]), torch.tensor([n]))[0][0] for n in (2, 5)]
    torch.testing.assert_close(kept, torch.cat([fresh[0], fresh[1][3:]]), atol=1e-5, rtol=0)


def test_reusing_the_decoder_changes_what_is_written(translator) -> None:
    rule = rules.make("waitk", {"k": 1})
    none, decoder = (in_loops(translator, rule, sources(), STEPS[0], reuse) for reuse in ("none", "decoder"))
    assert [w.tokens for w in none] != [w.tokens for w in decoder]


def test_a_source_may_grow(translator) -> None:
    """What a live translation writes is what the same steps give when they are known beforehand."""
    text, rule = sources()[4], rules.make("le", {"d": 1})
    prefixes = Prefixes(translator, torch.device("cpu"))
    prefixes.add([], [])
    loops = Loops(translator, rule, prefixes, longest)
    loops.begin([0], whole=False)
    with torch.inference_mode():
        for start in range(0, 12, 3):
            prefixes.grow(0, text[: start + 3])
            loops.whole = [start == 9]
            loops.run()
    assert same(loops.rows[0], in_loops(translator, rule, [text], STEPS[1])[0])


def test_no_translation_is_longer_than_allowed(translator, monkeypatch) -> None:
    monkeypatch.setattr("tests.test_simultaneous.longest", lambda seen: 3)
    rule = rules.make("waitk", {"k": 1})
    found = in_loops(translator, rule, sources(), STEPS[0])
    assert max(len(writing.tokens) for writing in found) == 3
    with torch.inference_mode():
        assert all(map(same, found, (plainly(translator, rule, text, STEPS[0](len(text))) for text in sources())))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("waitk", {"d": 3}, "rule waitk: unknown option 'd'; choose from k"),
        ("greedy", {"d": 3}, "rule greedy: unknown option 'd'; it has none"),
        ("waitk", {"k": 0}, "rule waitk: k is 0"),
        ("le", {"d": -1}, "rule le: d is -1"),
        ("wait", {}, "unknown rule 'wait'; choose from greedy, le,"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rules.make(name, options)
