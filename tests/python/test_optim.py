"""deepseek.optim against torch.optim over some steps, and what torch 1.13 has not against its definition."""

import copy
import math

import numpy as np
import pytest
from torch_parity import array, close, to_torch, torch

import deepseek as ds

optim = ds.optim


def r(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


CASES = [
    ("SGD", dict(lr=0.1)), ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.01)), ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, maximize=True)), ("Adam", dict(lr=0.05)), ("Adam", dict(lr=0.05, weight_decay=0.1)),
    ("Adam", dict(lr=0.05, amsgrad=True, betas=(0.5, 0.7))), ("AdamW", dict(lr=0.05, weight_decay=0.3)), ("AdamW", dict(lr=0.05, amsgrad=True, eps=1e-3)),
    ("Adagrad", dict(lr=0.1, lr_decay=0.1, initial_accumulator_value=0.2)), ("Adadelta", dict(lr=0.9, weight_decay=0.1)), ("Adamax", dict(lr=0.1)),
    ("RMSprop", dict(lr=0.01)), ("RMSprop", dict(lr=0.01, momentum=0.8, centered=True, weight_decay=0.1)), ("NAdam", dict(lr=0.05)), ("RAdam", dict(lr=0.05, betas=(0.9, 0.9))),
]  # fmt: skip


def run(lib, tensor, opt, params, steps):
    x, y = tensor(r(8, 4, seed=1)), tensor(r(8, 3, seed=2))
    for _ in range(steps):
        opt.zero_grad()
        w, b = params
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        opt.step()
    return loss


@pytest.mark.parametrize("name, options", CASES, ids=[f"{n}-{'-'.join(map(str, o))}" for n, o in CASES])
def test_like_torch(name, options):
    if name == "NAdam" and torch.__version__ < "2":
        pytest.skip("torch 1.13's NAdam is not today's")
    ours = [ds.tensor(v).requires_grad_() for v in (r(4, 3), r(3))]
    theirs = [to_torch(v, True) for v in (r(4, 3), r(3))]
    a = getattr(optim, name)(ours, **options)
    b = getattr(torch.optim, name)(theirs, **options)
    la, lb = run(ds, ds.tensor, a, ours, 8), run(torch, to_torch, b, theirs, 8)
    for m, t in zip(ours, theirs):
        close(m, t, name, 1e-3, 1e-5)
    close(la, lb, "loss", 1e-3)
    again = getattr(optim, name)(ours, **options)
    again.load_state_dict(copy.deepcopy(a.state_dict()))
    saved = [p.detach().clone() for p in ours]
    run(ds, ds.tensor, a, ours, 3)
    first = [array(p) for p in ours]
    for p, s in zip(ours, saved):
        p.data = s
    run(ds, ds.tensor, again, ours, 3)
    for p, f in zip(ours, first):
        np.testing.assert_allclose(array(p), f, rtol=1e-5, atol=1e-7)


def one_step(opt, w, g):
    p = ds.tensor(w).requires_grad_()
    o = opt([p])
    p.grad = ds.tensor(g)
    o.step()
    return array(p), o


def test_lion():
    w, g = r(4, 3), r(4, 3, seed=1)
    p, o = one_step(lambda ps: optim.Lion(ps, lr=0.1, weight_decay=0.5), w, g)
    np.testing.assert_allclose(p, w * 0.95 - 0.1 * np.sign(g), rtol=1e-5)
    np.testing.assert_allclose(array(next(iter(o.state.values()))["exp_avg"]), g * 0.01, rtol=1e-4)


def test_lamb():
    w, g = r(4, 3), r(4, 3, seed=1)
    p, _ = one_step(lambda ps: optim.LAMB(ps, lr=0.1, weight_decay=0.01, eps=0.0), w, g)
    step = np.sign(g) + 0.01 * w
    np.testing.assert_allclose(p, w - 0.1 * np.linalg.norm(w) / np.linalg.norm(step) * step, rtol=1e-4)


def test_muon_makes_steps_orthogonal():
    w, g = r(6, 4), r(6, 4, seed=1)
    p, _ = one_step(lambda ps: optim.Muon(ps, lr=0.1, weight_decay=0.0), w, g)
    singular = np.linalg.svd((w - p) / 0.1 / math.sqrt(6 / 4), compute_uv=False)
    assert singular.min() > 0.6 and singular.max() < 1.3
    with pytest.raises(ds.Error, match="AdamW"):
        optim.Muon([ds.ones(3).requires_grad_()])


def test_adafactor_first_step():
    w, g = r(4, 3), r(4, 3, seed=1)
    p, o = one_step(lambda ps: optim.Adafactor(ps, lr=0.1), w, g)
    rows, columns = (g * g).mean(1, keepdims=True), (g * g).mean(0, keepdims=True)
    step = g / np.sqrt(rows * columns / rows.mean())
    step /= max(1.0, np.sqrt((step**2).mean()))
    alpha = max(1e-3, np.sqrt((w * w).mean())) * 0.1
    np.testing.assert_allclose(p, w - alpha * step, rtol=1e-4)
    assert {k: getattr(v, "shape", v) for k, v in next(iter(o.state.values())).items()} == {"step": 1, "row_var": (4, 1), "col_var": (1, 3)}


def test_8bit_states_follow_adamw():
    ds.manual_seed(0)
    final = {}
    target = r(64, 128, seed=3)
    for cls in (optim.AdamW, optim.AdamW8bit):
        p = ds.tensor(r(64, 128)).requires_grad_()
        o = cls([p], lr=0.02)
        for _ in range(200):
            o.zero_grad()
            ((p - ds.tensor(target)) ** 2).mean().backward()
            o.step()
        final[cls] = float(((array(p) - target) ** 2).mean())
    state = o.state[p]
    assert state["exp_avg"].dtype == ds.uint8 and state["exp_avg"].shape == (32, 256)
    assert final[optim.AdamW8bit] < max(2 * final[optim.AdamW], 2e-3)


def test_quantising_is_near():
    from deepseek.optim.adamw8bit import dequantize, quantize

    x = ds.tensor(r(4, 256))
    code, top = quantize(x, 127, True)
    back = array(dequantize(code, top, 127, True))
    assert abs(back - array(x)).max() < 2 * array(top).max() / 127
    code, top = quantize(abs(x), 255, False)
    assert (array(code) > 0).all()


def test_groups_and_errors():
    a, b = ds.ones(2).requires_grad_(), ds.ones(2).requires_grad_()
    o = optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b]}], lr=0.1)
    (a.sum() + b.sum()).backward()
    o.step()
    assert a.tolist() == [0, 0] and np.allclose(b.tolist(), 0.9)
    assert a.is_leaf and a.requires_grad
    for call, text in [
        (lambda: optim.SGD([]), "no parameters"), (lambda: optim.SGD([a, a]), "two places"), (lambda: optim.SGD([a * 2]), "no leaf"),
        (lambda: optim.Adam([a], lr=-1), "lr -1"), (lambda: o.load_state_dict({"state": {}, "param_groups": []}), "0 parameter groups"),
    ]:  # fmt: skip
        with pytest.raises(ds.Error, match=text):
            call()
    with pytest.raises(TypeError, match="moment"):
        optim.SGD([a], moment=0.9)


def test_a_step_is_one_plan():
    model = ds.nn.Sequential(ds.nn.Linear(8, 16), ds.nn.BatchNorm1d(16), ds.nn.ReLU(), ds.nn.Linear(16, 4))
    x, y = ds.tensor(r(5, 8)), ds.tensor(np.array([0, 1, 2, 3, 0]))
    for make in (lambda p: optim.AdamW(p), lambda p: optim.SGD(p, 0.1, momentum=0.9)):
        o = make(model.parameters())
        for i in range(4):
            before = ds._C.executor_stats()
            o.zero_grad()
            loss = ds.functional.cross_entropy(model(x), y)
            loss.backward()
            ds.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            o.step()
            assert ds._C.evaluated(model[1].running_mean) and ds._C.evaluated(model[1].num_batches_tracked)
            loss.item()
            after = ds._C.executor_stats()
            assert after["evaluations"] - before["evaluations"] == 1
            assert i < 3 or after["plans"] == before["plans"]


S = optim.lr_scheduler
TS = torch.optim.lr_scheduler
SCHEDULES = [
    ("StepLR", dict(step_size=3, gamma=0.5)), ("MultiStepLR", dict(milestones=[2, 5, 5])), ("ExponentialLR", dict(gamma=0.8)), ("ConstantLR", dict(total_iters=4)),
    ("LinearLR", dict(total_iters=6, end_factor=0.7)), ("PolynomialLR", dict(total_iters=7, power=2.0)), ("CosineAnnealingLR", dict(T_max=6, eta_min=0.01)),
    ("CosineAnnealingWarmRestarts", dict(T_0=3, T_mult=2)), ("CosineAnnealingWarmRestarts", dict(T_0=4)), ("LambdaLR", dict(lr_lambda=lambda e: 1 / (e + 1))),
    ("MultiplicativeLR", dict(lr_lambda=lambda e: 0.9)), ("OneCycleLR", dict(max_lr=0.5, total_steps=20)), ("OneCycleLR", dict(max_lr=0.5, total_steps=20, three_phase=True, anneal_strategy="linear")),
]  # fmt: skip


def pair():
    return (optim.SGD([ds.ones(1).requires_grad_()], lr=0.2, momentum=0.9), torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.2, momentum=0.9))


@pytest.mark.parametrize("name, options", SCHEDULES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(SCHEDULES)])
@pytest.mark.filterwarnings("ignore")
def test_schedules_like_torch(name, options):
    a, b = pair()
    ours, theirs = getattr(S, name)(a, **options), getattr(TS, name)(b, **options)
    for _ in range(18):
        assert math.isclose(a.param_groups[0]["lr"], b.param_groups[0]["lr"], rel_tol=1e-6, abs_tol=1e-9)
        assert math.isclose(a.param_groups[0]["momentum"], b.param_groups[0]["momentum"], rel_tol=1e-6)
        ours.step(), theirs.step()
    state = ours.state_dict()
    lr = a.param_groups[0]["lr"]
    ours.load_state_dict(state)
    assert ours.get_last_lr() == [lr]


@pytest.mark.filterwarnings("ignore")
def test_sequence_and_plateau():
    a, b = pair()
    ours = S.SequentialLR(a, [S.LinearLR(a, total_iters=3), S.ExponentialLR(a, 0.9)], [4])
    theirs = TS.SequentialLR(b, [TS.LinearLR(b, total_iters=3), TS.ExponentialLR(b, 0.9)], [4])
    for _ in range(10):
        assert math.isclose(a.param_groups[0]["lr"], b.param_groups[0]["lr"], rel_tol=1e-6)
        ours.step(), theirs.step()
    a, b = pair()
    ours, theirs = S.ReduceLROnPlateau(a, patience=1, cooldown=1), TS.ReduceLROnPlateau(b, patience=1, cooldown=1)
    for metric in (1.0, 0.9, 0.95, 0.95, 0.95, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8):
        ours.step(metric), theirs.step(metric)
        assert math.isclose(a.param_groups[0]["lr"], b.param_groups[0]["lr"], rel_tol=1e-6)


def test_averages():
    model = ds.nn.Linear(2, 1)
    ema, swa = optim.EMA(model, 0.5), optim.AveragedModel(model)
    start = array(model.weight).copy()
    swa.update_parameters(model)
    ds.nn.init.constant_(model.weight, 3.0)
    ema.update(), swa.update_parameters(model)
    d = min(0.5, 2 / 11)
    with ema.average_parameters():
        np.testing.assert_allclose(array(model.weight), start * d + 3 * (1 - d), rtol=1e-5)
    np.testing.assert_array_equal(array(model.weight), np.full((1, 2), 3.0))
    np.testing.assert_allclose(array(swa.module.weight), (start + 3) / 2, rtol=1e-5)
    norm = ds.nn.BatchNorm1d(3)
    data = [ds.tensor(r(8, 3, seed=i)) for i in range(4)]
    optim.update_bn(data, norm)
    np.testing.assert_allclose(array(norm.running_mean), np.mean([array(d).mean(0) for d in data], 0), atol=1e-5)
