"""The system task_aware: what tells its tasks apart, and what must not."""

from argparse import Namespace
from typing import Any

import pytest
import torch

from espnet_ext.espnet.task import STTask
from espnet_ext.models.task_aware import EXAMPLES
from espnet_ext.nn.loss import IGNORE
from espnet_ext.task_aware.names import cut
from tests.test_models import END, FIRST, TASKS, TOKENS, batch_of, config_of

TEXT: dict[str, Any] = {"mt": TASKS["mt"], "back": {**TASKS["mt"], "src": "de", "tgt": "en"}}
READS = {"st": "speech", "asr": "speech", "mt": "src_text", "back": "src_text"}
WAYS: list[dict[str, Any]] = [
    {},
    {"tcn": "explicit"},
    {"tcn": "implicit", "tcn_conf": {"width": 8, "attention_heads": 2}},
    {"tcn": "explicit", "condition": "input"},
    {"tcn": "implicit", "condition": "input"},
    {"task_tokens": True, "share_decoder_input_output_embed": True, "share_encoder_decoder_input_embed": True},
]
MAML = [{**way, "strategy": "maml", "order": order} for way in WAYS[:3] for order in (1, 2)]


def model_of(tasks: dict[str, Any] = TASKS, **conf: Any) -> Any:
    torch.manual_seed(2)
    config = config_of("task_aware", tasks=tasks, model_conf=conf)
    config["encoder_conf"] = {**config["encoder_conf"], "input_layer": "conv2d_k3s2"}
    return STTask.build_model(Namespace(**config))


def batch_for(model: Any, task: str, **sizes: Any) -> dict[str, torch.Tensor]:
    whole, number = batch_of(**sizes), model.streams.index(task)
    batch = {key: whole[key] for name in (READS[task], "text") for key in (name, f"{name}_lengths")}
    return {**batch, "task": torch.full((len(batch["text"]),), number)}


@pytest.mark.parametrize("conf", [*WAYS, *MAML], ids=str)
def test_every_task_learns(conf: dict[str, Any]) -> None:
    model = model_of(**conf).train()
    batches = [batch_for(model, task) for task in TASKS]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    losses = []
    for _ in range(2):
        total = torch.zeros(1)
        for batch in batches:
            loss, stats, weight = model(**batch)
            assert weight == 3
            assert all(torch.isfinite(value).all() for value in stats.values())
            loss.backward()
            total += loss.detach()
        losses.append(total)
        missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert not missing
        optimizer.step()
        optimizer.zero_grad()
    assert losses[1] < losses[0]


@pytest.mark.parametrize("conf", WAYS, ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_neither_loss_nor_search_depend_on_padding(conf: dict[str, Any], task: str) -> None:
    model = model_of(**conf).eval()
    if "tcn" in conf:
        for tensor in (model.stored_SE,) if conf["tcn"] == "implicit" else (model.tcn.ffn.weight.data,):
            tensor += 0.3 * torch.randn(tensor.shape)
    options = {task: model.search_options({})[task].replace(beam=3, max_length=6)}
    whole, sizes, frames = batch_for(model, task), (5, 3, 1), (70, 64, 33)
    with torch.no_grad():
        together, found = model(**whole)[0].item(), model.decode(whole, options)
        assert found.keys() == {task}
        alone = []
        for i in range(3):
            one = {key: value[i : i + 1] for key, value in whole.items()}
            one |= {k: one[k][:, : (frames if k == "speech" else sizes)[i]] for k in (READS[task], "text")}
            alone.append(model(**one)[0].item())
            again = model.decode(one, options)[task][0][0]
            assert again.tokens == found[task][i][0].tokens
            assert abs(again.score - found[task][i][0].score) < 1e-4
    assert abs(sum(alone) / 3 - together) < 1e-4 * abs(together)


@pytest.mark.parametrize("tcn", ["explicit", "implicit"])
def test_at_the_start_it_is_the_model_without_task_network_to_the_bit(tcn: str) -> None:
    plain, aware = model_of().eval(), model_of(tcn=tcn).eval()
    aware.load_state_dict(plain.state_dict(), strict=False)
    for task in TASKS:
        assert torch.equal(plain(**batch_for(plain, task))[0], aware(**batch_for(aware, task))[0])


@pytest.mark.parametrize("task", TASKS)
def test_nobodys_embedding_comes_from_its_own_target(task: str) -> None:
    """Another target of the first example changes the embeddings of others, and never its own."""
    model = model_of(tcn="implicit", tcn_conf={"dropout_rate": 0.0}).train()
    torch.nn.init.normal_(model.tcn.ffn.weight)
    for seed in range(20):
        given = []
        for first in (FIRST, FIRST + 1):
            batch = batch_for(model, task)
            batch["text"][0, :5] = first
            source = model.source(task, *model.read(task, batch))
            torch.manual_seed(seed)
            given.append(model.embedding(model.streams.index(task), source, (batch["text"], batch["text_lengths"])))
        same = (given[0] == given[1]).all(1).tolist()
        assert same[0]
        assert same.count(False) == 1


def test_a_batch_of_one_takes_the_mean_of_the_batches_before() -> None:
    model = model_of(tcn="implicit").train()
    torch.nn.init.normal_(model.tcn.ffn.weight)
    model(**batch_for(model, "mt"))
    before = model.stored_SE[2].clone()
    assert not torch.equal(before, model.stored_SE[0])
    one = {key: value[:1] for key, value in batch_for(model, "mt").items()}
    source = model.source("mt", *model.read("mt", one))
    given = model.embedding(2, source, (one["text"], one["text_lengths"]))
    assert torch.equal(given[0], model.stored_SE[2])  # which this batch has moved
    given.sum().backward()
    assert not model.tcn.ffn.weight.grad.any()


def test_the_embeddings_of_inference_are_means_over_training_examples() -> None:
    model = model_of(tcn="implicit").eval()
    torch.nn.init.normal_(model.tcn.ffn.weight)
    batches = [(["a", "b", "c"], batch_for(model, task)) for task in ("asr", "mt") for _ in range(EXAMPLES)]
    found = model.complete(batches)
    assert found.keys() == {"asr", "mt"}
    for task, (ids, vectors) in found.items():
        assert len(ids) == len(vectors) == -(-EXAMPLES // 3) * 3
        mean = torch.tensor(vectors).mean(0)
        assert torch.allclose(model.stored_SE[model.streams.index(task)], mean, atol=1e-4)
    assert torch.equal(model.stored_SE[0], torch.tensor([1.0] * 16 + [0.0] * 16))


def test_the_network_of_tasks_moves_in_the_outer_step_only() -> None:
    """With an inner rate so large that the inner step is all: the loss is that of the moved model."""
    model = model_of(tcn="explicit", strategy="maml", inner_lr=0.1).train()
    batch = batch_for(model, "st")
    seen = []
    model.tcn.register_forward_hook(lambda *_: seen.append(model.tcn.ffn.weight.clone()))
    model(**batch)[0].backward()
    assert torch.equal(seen[0], seen[1])
    assert model.tcn.ffn.weight.grad.any()


def test_words_before_the_source() -> None:
    model = model_of(tasks=TEXT, condition="text").eval()
    assert model.before_source["mt"] != model.before_source["back"] or TOKENS  # of a vocabulary without letters
    batch = batch_for(model, "mt")
    model.before_source = {"mt": [FIRST], "back": [FIRST + 1]}
    losses = [model(**{**batch, "task": torch.full((3,), i)})[0].item() for i in range(2)]
    assert losses[0] != losses[1]
    by_hand = {**batch, "src_text": torch.cat([torch.full((3, 1), FIRST), batch["src_text"]], 1)}
    by_hand["src_text_lengths"] = batch["src_text_lengths"] + 1
    model.before_source = {"mt": [], "back": []}
    assert model(**by_hand)[0].item() == pytest.approx(losses[0], abs=1e-6)
    assert (batch["src_text"] == IGNORE).any()


def test_a_name_in_words_is_the_longest_tokens_from_the_left() -> None:
    assert cut("ab b", ["<blank>", "<unk>", "a", "\u2581a", "\u2581ab", "\u2581", "b"]) == [4, 5, 6]
    assert cut("c", ["<blank>", "<unk>", "\u2581"]) == [2, 1]


@pytest.mark.parametrize(
    ("conf", "tasks", "message"),
    [
        ({"tcn": "some"}, TASKS, "tcn: 'some'; choose from none, explicit, implicit"),
        ({"order": 3}, TASKS, "order: 3; choose from 1, 2"),
        ({"condition": "text"}, TASKS, "task st reads speech, and no words can stand before it"),
        ({"condition": "text", "tcn": "explicit"}, TEXT, "tcn must be none, not explicit"),
    ],
)
def test_mistakes_are_named(conf: dict[str, Any], tasks: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(tasks=tasks, **conf)


def test_targets_of_all_tasks_begin_alike() -> None:
    assert set(model_of().starts.values()) == {END}
    assert len(set(model_of(task_tokens=True).starts.values())) == 3
