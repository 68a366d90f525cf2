"""Rules that learn: rewards, the policy gradient against the enumerated expectation, what moves and what does not."""

import json
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import torch
from sacrebleu.metrics import BLEU

from espnet_ext.scoring.latency import al_hyp
from espnet_ext.simul import rules
from espnet_ext.simul.policy_gradient import SampledLoops, gradient_loss, normalised
from espnet_ext.simul.rewards import ORDERS, ngrams, prefix_bleu
from espnet_ext.simul.rules._learned import Texts
from espnet_ext.simul.rules._policy import returns_to_go
from espnet_ext.training.history import read_history
from tests.test_models import END, FIRST, batch_of, build
from tests.test_mutual_training import load, run
from tests.test_simultaneous import STEPS, in_loops, plainly, same, sources, translator

__all__ = ["translator"]
REFERENCE = [7, 8, 9, 7, 8, 5]


def sentence_bleu(hypothesis: list[int], reference: list[int]) -> float:
    """sacreBLEU's sentence BLEU with add-one smoothing."""
    matches, totals = [], []
    for n in range(1, ORDERS + 1):
        theirs = ngrams(reference, n)
        matches.append(sum(min(ngrams(hypothesis, n).count(g), theirs.count(g)) for g in set(ngrams(hypothesis, n))))
        totals.append(len(ngrams(hypothesis, n)))
    sizes = len(hypothesis), len(reference)
    return BLEU.compute_bleu(matches, totals, *sizes, smooth_method="add-k", smooth_value=1).score / 100


@pytest.mark.parametrize("hypothesis", [[7, 8, 9, 7, 8, 5], [7, 8, 8, 8, 7, 7, 8, 9, 1], [1, 2, 3], [9, 5], [7]])
def test_bleu_of_every_beginning(hypothesis: list[int]) -> None:
    found = prefix_bleu(hypothesis, REFERENCE)
    assert found[0] == 0.0
    assert found[1:] == pytest.approx([sentence_bleu(hypothesis[:n], REFERENCE) for n in range(1, len(hypothesis) + 1)])


def policy(name: str, seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    rule = rules.make(name, options)
    rule.build(16)
    for parameter in rule.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return rule


LEARNED = ["tn", "sl", "rl"]


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_rule_decides_alike_in_a_batch_and_in_a_plain_loop(translator, name: str) -> None:
    rule = policy(name, seed=1, hidden=8)
    with torch.inference_mode():
        found = in_loops(translator, rule, sources(), STEPS[0])
        alone = [in_loops(translator, rule, [text], STEPS[0])[0] for text in sources()]
        plain = [plainly(translator, rule, text, STEPS[0](len(text))) for text in sources()]
    assert all(map(same, found, alone)) and all(map(same, found, plain))
    early = [seen < len(text) for text, w in zip(sources(), found) for seen in w.seen]
    assert any(early) and not all(early)


@pytest.mark.parametrize("name", LEARNED)
def test_what_a_learned_rule_does_knows_nothing_of_what_comes(translator, name: str) -> None:
    """Other words after a place: what was decided and written before they were seen stays, for several networks."""
    early, late = 0, 0
    for seed, text, place in product(range(6), [t for t in sources() if len(t) > 4], (1, 2, 4)):
        other = text[:place] + [FIRST + (token - FIRST + 3) % (END - FIRST) for token in text[place:]]
        rule = policy(name, seed=seed, hidden=8)
        with torch.inference_mode():
            a, b = (in_loops(translator, rule, [x], STEPS[0])[0] for x in (text, other))
        before = sum(seen <= place for seen in a.seen)
        assert before == sum(seen <= place for seen in b.seen)
        assert (a.tokens[:before], a.seen[:before]) == (b.tokens[:before], b.seen[:before])
        early, late = early + before, late + (not same(a, b))
    assert early > 5 and late > 5  # something was written before, and something after it differs


HASTY: dict[str, dict[str, float]] = {"tn": {"d": 0.0, "alpha": 1.0}, "rl": {"cw": 1, "alpha": 1.0}}


class ForcedLoops(SampledLoops):
    """The first decisions as given; after them it stops."""

    def force(self, stops: list[bool]) -> None:
        self.forced = iter(stops)

    def draw(self, chances_N: torch.Tensor) -> torch.Tensor:
        return torch.tensor([next(self.forced, True) for _ in chances_N])


def every_trajectory(translator: Any, rule: Any, texts: Texts) -> Iterator[tuple[Any, ...]]:
    """All the ways to decide on one sentence: (writing, states, stops, trajectory)."""
    open_prefixes: list[list[bool]] = [[]]
    while open_prefixes:
        forced = open_prefixes.pop()
        loops = ForcedLoops(translator, rule, texts.prefixes(translator), texts.longest)
        loops.force(forced)
        writings = texts.write(loops)
        states_ND, stops_N, trajectories = loops.trajectories()
        made = stops_N.tolist()
        # where it stopped by itself, it might have gone on
        open_prefixes += [[*made[:i], False] for i in range(len(forced), len(made))]
        yield writings[0], states_ND, stops_N, trajectories


def cost_of_lag(writing: Any, trajectory: Any) -> float:
    return 0.3 * max(0.0, al_hyp(writing.seen, 3, 0) - 1.0)


def cost_of_waits(writing: Any, trajectory: Any) -> float:
    """The decisions one after the other, with a counter of what was read since something was written."""
    cost = 0.0
    for tokens, now, stop in zip(trajectory.tokens, trajectory.seen, trajectory.stops):
        waited = now - max([0, *writing.seen[:tokens]])
        if stop:
            cost += 0.3 * {-1: 0, 0: 1, 1: 2}[min(1, max(-1, waited + 1 - 2))]
    return cost


@pytest.mark.parametrize(
    ("name", "options", "cost"),
    [("tn", {"d": 1.0, "alpha": 0.3}, cost_of_lag), ("rl", {"cw": 2, "alpha": 0.3}, cost_of_waits)],
)
def test_the_policy_gradient_is_that_of_the_expected_reward(translator, name, options, cost) -> None:
    """Enumerated: the gradient of sum_a p(a) r(a), against the mean of the estimates with their returns to go."""
    rule = policy(name, hidden=4, **options)
    texts = Texts({"src_text": torch.tensor([sources()[3][:3]]), "src_text_lengths": torch.tensor([3])} | target())
    texts.extra = -2  # at most 2, 4, 4 tokens
    expected, estimate, mass = 0.0, 0.0, 0.0
    written = set()
    for writing, states_ND, stops_N, trajectories in every_trajectory(translator, rule, texts):
        logits_N2 = rule.policy(states_ND)
        probability = logits_N2.log_softmax(-1).gather(1, stops_N.long()[:, None]).sum().exp()
        bleus = prefix_bleu(writing.tokens, texts.references[0])
        # r = growth of BLEU at every token, then BLEU, less what waiting costs
        reward = sum(b - a for a, b in pairwise(bleus)) + bleus[-1] - cost(writing, trajectories[0])
        expected = expected + probability * reward
        returns = [returns_to_go(bleus, trajectories[0], *rule.costs(writing, trajectories[0], 3))]
        estimate = estimate + probability.detach() * -gradient_loss(logits_N2, stops_N, trajectories, returns)
        mass += float(probability.detach())
        written.add((*writing.tokens, *writing.seen))
    assert mass == pytest.approx(1.0, abs=1e-5)
    assert len(written) > 2
    parameters = list(rule.parameters())
    exact, found = (torch.autograd.grad(value, parameters, retain_graph=True) for value in (expected, estimate))
    assert max(float(gradient.abs().max()) for gradient in exact) > 1e-4
    for a, b in zip(exact, found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def target() -> dict[str, torch.Tensor]:
    return {"text": torch.tensor([[11, 1, 12, 13]]), "text_lengths": torch.tensor([4])}


def test_returns_are_normalised_over_the_batch() -> None:
    flat = torch.tensor([value for row in normalised([[1.0, 2.0], [], [6.0]]) for value in row])
    assert float(flat.mean()) == pytest.approx(0.0, abs=1e-6) and float(flat.std()) == pytest.approx(1.0)
    assert normalised([[3.0], []]) == [[0.0], []]


@pytest.mark.parametrize("name", LEARNED)
def test_the_translator_does_not_move_and_has_no_dropout(name: str, tmp_path) -> None:
    model = build("simultaneous", tmp_path, model_conf={"rule": name, "hidden": 8, **HASTY.get(name, {})})
    assert model.learns({"rule": name}) and not model.learns({"rule": "le"})
    model.train()
    assert model.rule.training and not any(module.training for module in model.mt.modules())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(3)
    loss, stats, _ = model(**batch_of())
    loss.backward()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    optimizer.step()
    moved = {key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"rule"}
    assert all(torch.isfinite(value).all() for value in stats.values())


@pytest.mark.parametrize("name", LEARNED)
def test_mixed_precision_changes_no_decision(name: str, tmp_path) -> None:
    """Training computes in bf16 where it can; what is learned here is computed as it is decoded."""
    model = build("simultaneous", tmp_path, model_conf={"rule": name, "hidden": 8, **HASTY.get(name, {})}).eval()
    plain = model(**batch_of())[1]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(**batch_of())[1]
    assert {key: float(value) for key, value in mixed.items()} == {key: float(value) for key, value in plain.items()}


def test_trajectories_are_drawn_from_the_generator_that_a_checkpoint_keeps(tmp_path) -> None:
    model = build("simultaneous", tmp_path, model_conf={"rule": "tn", "hidden": 8, "d": 0, "alpha": 1.0}).train()
    batch, losses = batch_of(), []
    for seed in (1, 1, *range(2, 8)):
        torch.manual_seed(seed)
        losses.append(float(model(**batch)[0].detach()))
    assert losses[0] == losses[1]
    assert len(set(losses)) > 2
    model.eval()
    with torch.no_grad():
        first, second = (model(**batch_of())[1]["reward"] for _ in range(2))
    assert first == second  # outside training nothing is drawn


def test_tn_learns_when_to_stop(translator) -> None:
    """On sentences whose best translation needs little of the source, a lag beyond d* costs more than it brings."""
    rule = policy("tn", d=0.0, alpha=1.0, trajectories=8, hidden=16).train()
    texts = Texts(batch_of())
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.02)
    torch.manual_seed(0)
    rewards = []
    for _ in range(40):
        loss, stats = rule.loss(translator, texts)
        rewards.append(float(stats["reward"]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.2


def test_the_oracle_writes_what_the_translator_ranks_high() -> None:
    path = rules.find("sl").path
    assert path([[True, False], [False, True]], 2) == [(0, 0, False), (0, 1, True), (1, 1, False)]
    assert path([[False, True], [False, True]], 2) == [(0, 0, True), (1, 0, True)]  # the last step is no decision
    assert path([], 3) == []


def plain_oracle(translator: Any, texts: Texts, rank: int) -> list[tuple[torch.Tensor, bool]]:
    """States and decisions, a sentence and a decision at a time."""
    found = []
    for source, reference in zip(texts.sources, texts.references):
        seen, written = 1, 0
        while seen < len(source) and written < len(reference):
            memory = translator.encode(torch.tensor([source[:seen]]), torch.tensor([seen]))
            text = torch.tensor([[translator.sos, *reference[:written]]])
            state_D = translator.decoder.states(*memory, text)[0, -1]
            stop = reference[written] not in translator.decoder.output(state_D).topk(rank).indices.tolist()
            found.append((state_D, stop))
            seen, written = seen + stop, written + (not stop)
    return found


def test_the_oracle_of_a_batch_is_that_of_each_sentence_by_itself(translator) -> None:
    texts, decided = Texts(batch_of()), set()
    for rank in (6, 12, 18, 24):
        states_ND, stops_N = policy("sl", rank=rank, hidden=8).oracle(translator, texts)
        expected = plain_oracle(translator, texts, rank)
        assert stops_N.tolist() == [stop for _, stop in expected]
        decided |= {*stops_N.tolist()}
        wanted_ND = torch.stack([state_D for state_D, _ in expected])
        torch.testing.assert_close(states_ND, wanted_ND, atol=1e-4, rtol=1e-4)
    assert decided == {True, False}


def test_sl_learns_its_oracle(translator) -> None:
    rule, texts = policy("sl", rank=12, hidden=32), Texts(batch_of())
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.02)
    for _ in range(60):
        loss, stats = rule.loss(translator, texts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(stats["acc"]) > 0.9


def test_kills_change_no_bit(tmp_path: Path) -> None:
    """TN in the training loop: what was drawn before and after a kill is what is drawn without one."""
    assert json.loads(run("tests.support.kill_and_resume", str(tmp_path), "3", "1", "tn"))["kills"] == 3
    assert (tmp_path / "killed.log").read_text().count("resumed at") >= 1
    a, b = (load(tmp_path / name / "model.pth") for name in ("undisturbed", "killed"))
    assert all(torch.equal(a[key], b[key]) for key in a)
    one, other = (read_history(tmp_path / name / "history.jsonl") for name in ("undisturbed", "killed"))
    assert [entry["train"]["reward"] for entry in one] == [entry["train"]["reward"] for entry in other]
