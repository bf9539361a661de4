"""Jobs train by any optimizer of ds.optim: the engine's steps are Python's, on any ranks, and resume to the bit."""

import numpy as np
import pytest
from test_trace import checkpoint, data_of, engine, header

import deepseek as ds
from deepseek import _trace, _trace_optimizer

nn, F, optim = ds.nn, ds.functional, ds.optim
STEPS = 12

# By name: the optimizer of some parameters, its learning rate, and whether it looks at each element alone.
OPTIMIZERS = {
    "SGD nesterov": (lambda ps: optim.SGD(ps, 0.05, momentum=0.9, nesterov=True, weight_decay=0.01), True),
    "SGD dampening": (lambda ps: optim.SGD(ps, 0.05, momentum=0.9, dampening=0.3, maximize=False), False),
    "Adam": (lambda ps: optim.Adam(ps, 0.01, weight_decay=0.02), True),
    "AdamW amsgrad": (lambda ps: optim.AdamW(ps, 0.01, amsgrad=True, betas=(0.5, 0.7)), True),
    "Adamax": (lambda ps: optim.Adamax(ps, 0.01, weight_decay=0.01), True),
    "NAdam": (lambda ps: optim.NAdam(ps, 0.01, weight_decay=0.01), False),
    "RAdam": (lambda ps: optim.RAdam(ps, 0.01, betas=(0.9, 0.99), weight_decay=0.01, decoupled_weight_decay=True), True),
    "LAMB": (lambda ps: optim.LAMB(ps, 0.02, weight_decay=0.01), False),
    "Adagrad": (lambda ps: optim.Adagrad(ps, 0.05, lr_decay=0.1, initial_accumulator_value=0.2), True),
    "Adadelta": (lambda ps: optim.Adadelta(ps, 0.9, weight_decay=0.01), True),
    "RMSprop": (lambda ps: optim.RMSprop(ps, 0.01, momentum=0.8, centered=True), True),
    "Lion": (lambda ps: optim.Lion(ps, 0.002, weight_decay=0.1), True),
    "Adafactor": (lambda ps: optim.Adafactor(ps, 0.05, weight_decay=0.01), False),
    "Muon": (lambda ps: optim.Muon([p for p in ps if p.ndim == 2], 0.02), False),
}


def network():
    ds.manual_seed(4)
    return nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 5))


def eager(model, optimizer, x, y, samples, rates=None):
    losses = []
    base = [group["lr"] for group in optimizer.param_groups]
    for step, indices in enumerate(samples):
        for group, lr in zip(optimizer.param_groups, base):
            group["lr"] = lr * (rates[step] if rates else 1.0)
        optimizer.zero_grad()
        value = F.cross_entropy(model(ds.tensor(x[indices])), ds.tensor(y[indices]))
        value.backward()
        optimizer.step()
        losses.append(float(value.item()))
    return losses


@pytest.fixture
def job(tmp_path):
    """run(model, optimizer, ...): the engine's training of it, and what the file says."""
    x, y = data_of((20,), 5)
    _trace.write_tensors(tmp_path / "data", (x, y))

    def run(model, optimizer, job="job", traced=True, **more):
        if traced:
            _trace.trace(model, None, x[:2], y[:2], tmp_path / "graph", optimizer)
        return engine(tmp_path, tmp_path / "graph", tmp_path / "data", optimizer="graph", lr=_trace_optimizer.base_lr(optimizer),
                      **{"batch": 16, "steps": STEPS, "job": job, **more})  # fmt: skip

    run.data, run.folder = (x, y), tmp_path
    return run


def state_of(folder, job):
    return {n: t.numpy().tobytes() for n, t in checkpoint(folder, job).items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_engine_steps_as_python_does(name, job):
    make, elementwise = OPTIMIZERS[name]
    model = network()
    got = job(model, make(model.parameters()))
    optimizer = make(model.parameters())
    np.testing.assert_allclose(got["losses"], eager(model, optimizer, *job.data, got["samples"]), rtol=1e-6)
    state = checkpoint(job.folder)
    for n, p in model.named_parameters():
        np.testing.assert_allclose(state["model." + n].numpy(), p.detach().numpy(), rtol=2e-5, atol=2e-6, err_msg=n)
        for kind, value in optimizer.state.get(p, {}).items():
            if kind != "step":
                value = value.numpy() if isinstance(value, ds.Tensor) else value
                np.testing.assert_allclose(state[f"optimizer.{kind}.{n}"].numpy(), value, rtol=1e-4, atol=1e-6, err_msg=kind)
    updates = header(job.folder / "graph")["optimizer"]["updates"]
    assert (len(updates) == 1) == elementwise or name in ("NAdam", "SGD dampening")


@pytest.mark.parametrize("name", ["Lion", "RAdam", "RMSprop", "Adadelta", "NAdam", "LAMB", "Adafactor"])
def test_ranks_and_a_stop_change_no_bit(name, job):
    make, elementwise = OPTIMIZERS[name]
    model = network()
    optimizer = make(model.parameters())
    one = job(model, optimizer, job="one", shards=4)
    assert np.mean(one["losses"][-3:]) < one["losses"][0]
    for zero in (0, 1):
        two = job(model, optimizer, job=f"two{zero}", traced=False, shards=4, ranks=2, zero=zero)
        assert two["losses"] == one["losses"]
        assert state_of(job.folder, f"two{zero}") == state_of(job.folder, "one")
        unshared = [w for w in two["warnings"] if "strategy.zero" in w]
        assert len(unshared) == (zero == 1 and not elementwise)
        assert all(type(optimizer).__name__ in w for w in unshared)
    first = job(model, optimizer, job="pieces", traced=False, shards=4, ranks=2, stop_at=5)
    rest = job(model, optimizer, job="pieces", traced=False, shards=4, ranks=1)
    assert 0 < len(first["losses"]) < STEPS
    assert first["losses"] + rest["losses"] == one["losses"]
    assert state_of(job.folder, "pieces") == state_of(job.folder, "one")


def in_groups(model):
    """Biases without decay and faster; the last layer slower."""
    first, last = model[0], model[2]
    return [{"params": [first.weight], "weight_decay": 0.1}, {"params": [first.bias, last.bias], "weight_decay": 0.0, "lr": 0.02},
            {"params": [last.weight], "lr": 0.001}]  # fmt: skip


@pytest.mark.parametrize("make", [lambda g: optim.AdamW(g, 0.01), lambda g: optim.SGD(g, 0.01, momentum=0.9), lambda g: optim.LAMB(g, 0.01)], ids=["AdamW", "SGD", "LAMB"])
def test_groups_have_their_own_settings(make, job):
    model = network()
    got = job(model, make(in_groups(model)), job="one", shards=4)
    assert [u["lr"] for u in header(job.folder / "graph")["optimizer"]["updates"]][0] == 1.0
    two = job(model, make(in_groups(model)), job="two", shards=4, ranks=2)
    assert two["losses"] == got["losses"]
    assert state_of(job.folder, "two") == state_of(job.folder, "one")
    np.testing.assert_allclose(got["losses"], eager(model, make(in_groups(model)), *job.data, got["samples"]), rtol=1e-6)


def test_the_schedule_moves_every_groups_rate(job):
    model = network()
    got = job(model, optim.Lion(in_groups(model), 0.01), schedule="cosine", warmup=4)
    share = [(k + 1) / 4 if k < 4 else 0.5 * (1 + np.cos(np.pi * (k - 4) / (STEPS - 4))) for k in range(STEPS)]
    want = eager(model, optim.Lion(in_groups(model), 0.01), *job.data, got["samples"], share)
    np.testing.assert_allclose(got["losses"], want, rtol=1e-6)


def test_bytes_for_states_train_and_resume(job):
    """What AdamW8bit rounds by chance differs from Python's, and is the same on any ranks and after a stop."""

    def make(model):
        return optim.AdamW8bit(model.parameters(), 0.01, min_size=64)

    model = network()
    one = job(model, make(model), job="one", shards=4)
    assert job(model, make(model), job="two", traced=False, shards=4, ranks=2)["losses"] == one["losses"]
    first = job(model, make(model), job="pieces", traced=False, shards=4, stop_at=5)
    assert first["losses"] + job(model, make(model), job="pieces", traced=False, shards=4)["losses"] == one["losses"]
    assert state_of(job.folder, "pieces") == state_of(job.folder, "one")
    state = checkpoint(job.folder, "one")
    assert state["optimizer.exp_avg.0.weight"].dtype == ds.uint8 and state["optimizer.exp_avg.0.bias"].dtype == ds.float32
    assert "optimizer.exp_avg_top.0.bias" not in state
    np.testing.assert_allclose(one["losses"], eager(model, make(model), *job.data, one["samples"]), rtol=0.02)


def test_what_the_optimizer_has_not_stays(job):
    model = network()
    before = model[0].weight.detach().numpy().copy()
    got = job(model, optim.Lion(model[2].parameters(), 0.01))
    state = checkpoint(job.folder)
    np.testing.assert_array_equal(state["model.0.weight"].numpy(), before)
    assert "optimizer.exp_avg.2.weight" in state and "optimizer.exp_avg.0.weight" not in state
    np.testing.assert_allclose(got["losses"], eager(model, optim.Lion(model[2].parameters(), 0.01), *job.data, got["samples"]), rtol=1e-6)
    _trace.trace(model, None, *(d[:2] for d in job.data), job.folder / "graph", optim.AdamW(model[2].parameters()))
    told = header(job.folder / "graph")
    assert [p["name"] for p in told["parameters"] if p["trained"]] == ["2.weight", "2.bias"] and "optimizer" not in told


def test_a_scalar_parameter_is_updated_as_the_others_are(job):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.scale = nn.Linear(20, 5), nn.Parameter(ds.tensor(2.0))

        def forward(self, x):
            return self.fc(x) * self.scale

    model = Scaled()
    got = job(model, optim.Adamax(model.parameters(), 0.01), ranks=2)
    assert not any("strategy.zero" in w for w in got["warnings"])
    assert len(header(job.folder / "graph")["optimizer"]["updates"]) == 1
    np.testing.assert_allclose(got["losses"], eager(model, optim.Adamax(model.parameters(), 0.01), *job.data, got["samples"]), rtol=2e-6)


class Late(optim.Optimizer):
    """Steps along the gradient of the step before: nothing of this one's is in the new parameter."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.05})

    def _initial(self, group, p):
        return {"last": ds.zeros_like(p), "was": ds.zeros_like(p)}

    def _update(self, group, p, g, state):
        step = state["last"] * group["lr"]
        state["last"], state["was"] = g, p
        return p - step


def test_states_may_be_the_gradient_and_the_parameter_themselves(job):
    model = network()
    one = job(model, Late(model.parameters()), job="one", shards=4)
    for zero in (0, 1):
        two = job(model, Late(model.parameters()), job=f"two{zero}", traced=False, shards=4, ranks=2, zero=zero)
        assert two["losses"] == one["losses"]
        assert state_of(job.folder, f"two{zero}") == state_of(job.folder, "one")
    optimizer = Late(model.parameters())
    np.testing.assert_allclose(one["losses"], eager(model, optimizer, *job.data, one["samples"]), rtol=1e-6)


class Closure(optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def step(self, closure=None):
        return closure()


class Looks(optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def _update(self, group, p, g, state):
        return p - g * group["lr"] if group["lr"] > 0.01 and float(group["lr"]) else p


class Appears(optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def _update(self, group, p, g, state):
        state["late"] = g
        return p - g


def hooked(ps):
    optimizer = optim.Lion(ps)
    optimizer.register_step_pre_hook(lambda *_: None)
    return optimizer


REFUSED = {
    "closure": (Closure, "Closure has a step"), "late": (Appears, "late"), "hook": (hooked, "hooks"),
    "foreign": (lambda _: optim.Lion([ds.ones(3).requires_grad_()]), "none of the model's"),
    "still": (lambda ps: optim.Lion(ps, 0.0), "above 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_recorded_is_named(case, job):
    make, says = REFUSED[case]
    model = network()
    with pytest.raises(ds.Error, match=says):
        job(model, make(model.parameters()))


def test_python_that_looks_at_the_rate_is_refused(job):
    model = network()
    with pytest.raises((ds.Error, TypeError)):
        _trace.trace(model, None, *(d[:2] for d in job.data), job.folder / "graph", Looks(model.parameters()))


def test_a_file_without_an_optimizer_says_so(job):
    model = network()
    x, y = job.data
    _trace.trace(model, None, x[:2], y[:2], job.folder / "graph")
    with pytest.raises(AssertionError, match="train.optimizer.name: graph .* holds none"):
        job(model, optim.Lion(model.parameters()), traced=False)
