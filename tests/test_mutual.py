"""Mutual learning, distillation and multi-task learning of two peers: the equations, and who moves when."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.espnet.task import STTask
from espnet_ext.models._base import with_end, with_start
from espnet_ext.models._peers import cyclical_beta, divergences
from espnet_ext.nn.loss import IGNORE, smoothed_cross_entropy
from espnet_ext.training.errors import TrainError
from espnet_ext.training.step import make_steppers
from espnet_ext.training.warm_start import init_parts
from tests.support.toy import toy_options
from tests.support.toy_mutual import make_args, make_model
from tests.test_models import TOKENS, batch_of, config_of, read, save

JOINT = {"joint_embeddings": True, "share_decoder_input_output_embed": True}
CPU = torch.device("cpu")


def snapshot(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(module: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def steppers_of(model: Any, args: Any, folder: Path, **options: Any) -> list[Any]:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return make_steppers(model, STTask.build_optimizers(args, model), scaler, toy_options(folder, **options), CPU)


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(z) for z in row)
    return [math.exp(z) / total for z in row]


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_divergences_and_their_gradients(temperature: float, stop: bool) -> None:
    """Against sums written out in double precision: KL1 = sum p_mt ln(p_mt / p_st), KL2 the other way."""
    torch.manual_seed(1)
    st, mt = (torch.randn(2, 3, 5).requires_grad_() for _ in range(2))
    targets = torch.tensor([[1, 2, 3], [4, IGNORE, IGNORE]])
    kl1, kl2 = divergences(st, mt, targets, temperature, stop)
    expected = [0.0, 0.0]
    gradients = {name: torch.zeros(2, 3, 5, dtype=torch.float64) for name in ("st1", "mt1", "st2", "mt2")}
    for b, position in ((0, 0), (0, 1), (0, 2), (1, 0)):
        s, m = (softmax([z / temperature for z in x[b, position].tolist()]) for x in (st, mt))
        one, two = (sum(p * math.log(p / q) for p, q in zip(x, y)) for x, y in ((m, s), (s, m)))
        expected[0] += temperature**2 * one
        expected[1] += temperature**2 * two
        for v in range(5):
            gradients["st1"][b, position, v] = temperature * (s[v] - m[v])
            gradients["mt2"][b, position, v] = temperature * (m[v] - s[v])
            if not stop:  # through the first distribution, too
                gradients["mt1"][b, position, v] = temperature * m[v] * (math.log(m[v] / s[v]) - one)
                gradients["st2"][b, position, v] = temperature * s[v] * (math.log(s[v] / m[v]) - two)
    assert [kl1.item(), kl2.item()] == pytest.approx(expected, rel=1e-5)
    for number, term in enumerate((kl1, kl2), 1):
        found = torch.autograd.grad(term, (st, mt), retain_graph=True, materialize_grads=True)
        for name, gradient in zip(("st", "mt"), found):
            torch.testing.assert_close(gradient.double(), gradients[f"{name}{number}"], atol=1e-5, rtol=1e-4)


def test_beta_over_two_cycles() -> None:
    cycle = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert [cyclical_beta(t, 0.5, 10) for t in range(1, 21)] == pytest.approx(2 * cycle)
    assert [cyclical_beta(t, 0.75, 4) for t in range(1, 9)] == pytest.approx(2 * [0, 1 / 3, 2 / 3, 1])
    assert cyclical_beta(2501, 0.5, 5000) == 1.0 and cyclical_beta(2500, 0.5, 5000) == 2499 / 2500
    assert cyclical_beta(5001, 0.5, 5000) == 0.0 and cyclical_beta(3, 0.5, 0) == 1.0


def test_beta_is_one_in_validation() -> None:
    model = make_model(make_args())
    model.iteration = 1
    assert model.beta == 0.0 and model.eval().beta == 1.0


def test_only_the_peer_whose_turn_it_is_moves(tmp_path: Path) -> None:
    args = make_args(noisy=True)
    model = make_model(args)
    model.iteration = 2500
    batch, before = batch_of(), snapshot(model)
    first, second = steppers_of(model, args, tmp_path)
    assert first.step([(["a"], batch)], "").updated
    changed = moved(model, before)
    assert changed and {name.split(".")[0] for name in changed} == {"st"}
    assert not any(p.grad is not None for p in model.parameters())
    before = snapshot(model)
    assert second.step([(["a"], batch)], "").updated
    changed = moved(model, before)
    assert changed and {name.split(".")[0] for name in changed} == {"mt"}
    assert model.training and model.st.training and model.mt.training


def logits_of(model: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Teacher-forced on the same prefix, layer by layer as the systems are made."""
    speech, lengths = model.st.encoder(batch["speech"], batch["speech_lengths"])[:2]
    source = with_start(batch["src_text"], model.mt.src_sos, model.mt.src_eos)
    text, text_lengths = model.mt.encoder(source, batch["src_text_lengths"] + 1)[:2]
    prefix = with_start(batch["text"], model.st.sos, model.st.eos)
    return {"st": model.st.decoder(speech, lengths, prefix), "mt": model.mt.decoder(text, text_lengths, prefix)}


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("accum_grad", [1, 2])
def test_an_iteration_is_algorithm_1(tmp_path: Path, joint: bool, accum_grad: int) -> None:
    """Against plain torch.optim: update theta_st by L_ml, predict again, update theta_mt."""
    sgd = {"optim": "sgd", "optim_conf": {"lr": 0.1}, "mt_peer": {"optim_conf": {"lr": 0.05}}}
    args = make_args(model_conf={"joint_embeddings": joint}, **sgd)
    model = make_model(args)
    reference, before = copy.deepcopy(model), snapshot(model)
    model.iteration = 1000
    group = [(["a"], batch_of()), (["b"], batch_of((2, 4, 3), (60, 50, 44)))][:accum_grad]
    for stepper in steppers_of(model, args, tmp_path, grad_clip=0.5):
        assert stepper.step(group, "").updated
    beta, rates = 999 / 2500, {"st": 0.1, "mt": 0.05}
    optimizers = {name: torch.optim.SGD(getattr(reference, name).parameters(), rates[name]) for name in rates}
    for moving in ("st", "mt"):
        losses = []
        for _, batch in group:
            targets = with_end(batch["text"], batch["text_lengths"], reference.st.eos)
            logits = logits_of(reference, batch)
            if joint:  # the table that both share moves by the way of the learning peer alone
                logits = {name: x if name == moving else x.detach() for name, x in logits.items()}
            kl = divergences(logits["st"], logits["mt"], targets)
            losses.append(beta * sum(kl) / 3 + sum(smoothed_cross_entropy(x, targets, 0.1) for x in logits.values()))
        parameters = list(getattr(reference, moving).parameters())
        gradients = torch.autograd.grad(sum(losses) / accum_grad, parameters)
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizers[moving].step()
    wanted = dict(reference.named_parameters())
    for name, value in model.named_parameters():
        step = (wanted[name] - before[name]).norm()
        assert (value - wanted[name]).norm() < 1e-3 * step + 1e-6, name
        assert step > 1e-5 or "linear_k.bias" in name, name


@pytest.mark.parametrize("phase", ["st", "mt"])
def test_bf16_has_the_gradients_of_fp32(phase: str) -> None:
    """Weights that both peers have must not lose their gradient to the copy that the frozen one was given."""
    model = make_model(make_args(model_conf=JOINT))
    peer, gradients = getattr(model, phase), {}
    for amp in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            loss, *_ = model(phase=phase, **batch_of())
        gradients[amp] = torch.autograd.grad(loss, list(peer.parameters()))
    for (name, _), exact, rounded in zip(peer.named_parameters(), gradients[False], gradients[True], strict=True):
        if "linear_k.bias" not in name:  # its gradient is zero but for rounding
            assert (exact - rounded).norm() < 0.5 * exact.norm() + 1e-4, name


@pytest.mark.parametrize("dropout", [False, True])
def test_the_frozen_peer_has_no_noise_unless_it_should(dropout: bool) -> None:
    model = make_model(make_args(noisy=True, model_conf={"frozen_dropout": dropout}))
    batch = batch_of()
    for name in ("st", "mt"):
        one, other = (model.frozen_logits(name, batch, model.frozen_dropout) for _ in range(2))
        assert torch.equal(one, other) != dropout
        assert not one.requires_grad


def test_both_phases_read_the_same_batch() -> None:
    """SpecAugment of one must not be there in the other."""
    model, batch = make_model(make_args(noisy=True)), batch_of()
    before = {key: value.clone() for key, value in batch.items()}
    for phase in model.phases:
        model(phase=phase, **batch)
        assert all(torch.equal(batch[key], before[key]) for key in batch)


def test_joint_embeddings_are_one_table_also_when_loaded(tmp_path: Path) -> None:
    args = make_args(model_conf=JOINT)
    model = make_model(args)
    folder = save(tmp_path / "exp", vars(args))
    torch.save(model.state_dict(), folder / "model.pth")
    (folder / "checkpoint.pth").write_bytes((folder / "model.pth").read_bytes())
    loaded = load_experiment(folder).model
    resumed = make_model(make_args(model_conf=JOINT))
    resumed.load_state_dict(torch.load(folder / "checkpoint.pth", weights_only=True))
    for found in (model, loaded, resumed):
        table = found.mt.encoder.embed[0].weight
        others = [found.mt.decoder.embed[0], found.st.decoder.embed[0]]
        others += [found.mt.decoder.output_layer, found.st.decoder.output_layer]
        assert {other.weight.data_ptr() for other in others} == {table.data_ptr()}
        assert torch.equal(table, model.st.decoder.embed[0].weight)
    with pytest.raises(ValueError, match="two vocabularies; set `subwords: joint`"):
        make_model(make_args(model_conf=JOINT, token_list=TOKENS[::-1]))


def test_the_teacher_of_distillation_never_changes(tmp_path: Path) -> None:
    args = make_args(noisy=True, name="distill", mt_peer={})
    model = make_model(args)
    before = snapshot(model)
    assert model.st.training and not any(module.training for module in model.mt.modules())
    (stepper,) = steppers_of(model, args, tmp_path)
    for _ in range(2):
        assert stepper.step([(["a"], batch_of())], "").updated
    changed = moved(model, before)
    assert changed and {name.split(".")[0] for name in changed} == {"st"}
    assert all(p.grad is None for p in model.mt.parameters())


def test_distillation_is_equation_13() -> None:
    model = make_model(make_args(name="distill", mt_peer={}, model_conf={"beta_cycle": 10}))
    model.iteration, batch = 3, batch_of()
    targets = with_end(batch["text"], batch["text_lengths"], model.st.eos)
    logits = logits_of(model, batch)
    kl1, kl2 = divergences(logits["st"], logits["mt"], targets)
    expected = 0.4 * (kl1 + kl2) / 3 + smoothed_cross_entropy(logits["st"], targets, 0.1)
    loss, stats, _ = model(**batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert stats["kl1"].item() == pytest.approx(kl1.item() / 3, rel=1e-4) and stats["beta"].item() == pytest.approx(0.4)


@pytest.mark.parametrize(("direction", "terms"), [("kl1", [1, 0]), ("kl2", [0, 1]), ("both", [1, 1])])
def test_the_direction_chooses_the_terms(direction: str, terms: list[int]) -> None:
    model = make_model(make_args(model_conf={"direction": direction, "length_normalized_loss": True}))
    batch = batch_of()
    loss, stats, _ = model(**batch)
    kl = stats["loss_st"] + stats["loss_mt"] + terms[0] * stats["kl1"] + terms[1] * stats["kl2"]
    assert loss.item() == pytest.approx(kl.item(), rel=1e-5)
    logits = logits_of(model, batch)
    targets = with_end(batch["text"], batch["text_lengths"], model.st.eos)
    each = [divergences(*(logits[s][i : i + 1] for s in ("st", "mt")), targets[i : i + 1])[0] for i in range(3)]
    mean = sum(one.item() / count for one, count in zip(each, (6, 4, 2), strict=True)) / 3  # tokens and an end
    assert stats["kl1"].item() == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize(("direction", "phase"), [("kl1", "mt"), ("kl2", "st")])
def test_constant_targets_leave_a_term_to_one_peer(direction: str, phase: str) -> None:
    """With `stop_gradient: target` KL1 does not move M_mt, nor KL2 M_st."""
    model, batch = make_model(make_args(model_conf={"direction": direction, "stop_gradient": "target"})), batch_of()
    for name in model.phases:
        peer = getattr(model, name)
        found, alone = (
            torch.autograd.grad(loss, list(peer.parameters()))
            for loss in (model(phase=name, **batch)[0], peer.loss(batch)[0])
        )
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, alone, strict=True)) == (name == phase)


def test_multi_task_learning_shares_the_decoder() -> None:
    batch = batch_of()
    shared, apart = (make_model(make_args(name="mtl", mt_peer={}, model_conf={"shared_decoder": s})) for s in (1, 0))
    assert shared.mt.decoder is shared.st.decoder and apart.mt.decoder is not apart.st.decoder
    for model in (shared, apart):
        expected = (model.st.loss(batch)[0] + model.mt.loss(batch)[0]) / 2
        assert model(**batch)[0].item() == pytest.approx(expected.item(), rel=1e-6)


def test_each_peer_decodes_from_its_own_input() -> None:
    model = make_model(make_args()).eval()
    options = {s: o.replace(beam=2, max_length=6) for s, o in model.search_options({}).items()}
    batch = read(model, model.inputs, batch_of())
    with torch.no_grad():
        both = model.decode(batch, options)
        for stream, name in (("st", "speech"), ("mt", "src_text")):
            alone = model.decode({key: batch[key] for key in (name, f"{name}_lengths")}, options)
            assert alone == {stream: both[stream]}
    assert options["mt"].max_ratio == 2.0 and model.search_options({"mt": {"beam": 7}})["mt"].beam == 7


def test_whole_systems_are_where_training_starts(tmp_path: Path) -> None:
    for name in ("asr", "mt"):
        save(tmp_path / name, config_of(name))
    model = make_model(make_args())
    report = list(init_parts(model, {"st.encoder": "asr", "mt": "mt"}, tmp_path / "mutual"))
    asr, mt = (torch.load(tmp_path / name / "model.pth", weights_only=True) for name in ("asr", "mt"))
    assert all(torch.equal(value, asr[f"encoder.{name}"]) for name, value in model.st.encoder.state_dict().items())
    assert all(torch.equal(value, mt[name]) for name, value in model.mt.state_dict().items())
    assert f"mt from {tmp_path}/mt/model.pth: {len(mt)} of {len(mt)} tensors loaded" in report[1]
    wide = make_model(make_args(mt_peer={"decoder_conf": {"linear_units": 32}}))
    with pytest.raises(TrainError, match=r"mt.decoder.*feed_forward.* has shape .* there and"):
        list(init_parts(wide, {"mt": "mt"}, tmp_path / "mutual"))


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"direction": "kl3"}, "direction: 'kl3'; choose from both, kl1, kl2"),
        ({"stop_gradient": "st"}, "stop_gradient: 'st'; choose from peer, target"),
        ({"beta_ratio": 0.0}, "beta_ratio 0.0, .* the first must be over 0 and at most 1"),
    ],
)
def test_wrong_options_are_named(conf: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model(make_args(model_conf=conf))
