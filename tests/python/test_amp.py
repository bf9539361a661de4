"""Autocast, loss scaling and the training loop."""

import io

import numpy as np
import pytest

import deepseek as ds

F = ds.functional


def r(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def test_autocast_narrows_products_only():
    layer, conv, norm = ds.nn.Linear(4, 3), ds.nn.Conv2d(1, 2, 3), ds.nn.LayerNorm(3)
    x = ds.tensor(r(5, 4))
    with ds.autocast(dtype=ds.bfloat16):
        y = layer(x)
        assert y.dtype == ds.bfloat16 and (x @ ds.tensor(r(4, 2))).dtype == ds.bfloat16
        assert conv(ds.tensor(r(1, 1, 4, 4))).dtype == ds.bfloat16
        assert norm(y).dtype == ds.float32 and F.softmax(y, 1).dtype == ds.float32
        with ds.autocast(enabled=False):
            assert layer(x).dtype == ds.float32
        loss = F.cross_entropy(y, ds.tensor([0, 1, 2, 0, 1]))
        assert loss.dtype == ds.float32
    assert layer(x).dtype == ds.float32 and (x @ ds.tensor(r(4, 2))).dtype == ds.float32
    loss.backward()
    assert layer.weight.grad.dtype == ds.float32
    plain = ds.nn.Linear(4, 3)
    plain.load_state_dict(layer.state_dict())
    F.cross_entropy(plain(x), ds.tensor([0, 1, 2, 0, 1])).backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), plain.weight.grad.numpy(), atol=0.02)


def test_autocast_decorates_and_refuses():
    f = ds.autocast(ds.bfloat16)(lambda x: F.linear(x, x))
    assert f(ds.ones(2, 2)).dtype == ds.bfloat16
    with pytest.raises(ds.Error, match="int64"):
        ds.autocast(dtype=ds.int64)


def test_scaler_leaves_out_what_is_not_finite():
    p = ds.ones(2).requires_grad_()
    o = ds.optim.SGD([p], lr=1.0)
    scaler = ds.amp.GradScaler(init_scale=8.0, growth_interval=2)
    scaler.scale((p * ds.tensor([1.0, float("inf")])).sum()).backward()
    scaler.step(o), scaler.update()
    assert p.tolist() == [1, 1] and scaler.get_scale() == 4.0
    for _ in range(2):
        o.zero_grad()
        scaler.scale(p.sum() * 0.25).backward()
        assert p.grad.tolist() == [1.0, 1.0]
        scaler.step(o), scaler.update()
    assert p.tolist() == [0.5, 0.5] and scaler.get_scale() == 8.0
    with pytest.raises(ds.Error, match="twice"):
        scaler.unscale_(o), scaler.unscale_(o)
    other = ds.amp.GradScaler()
    other.load_state_dict(scaler.state_dict())
    assert other.get_scale() == 8.0


def problem(n=48):
    ds.manual_seed(1)
    x = r(n, 6)
    y = (x @ r(6, 3, seed=1)).argmax(1)
    model = ds.nn.Sequential(ds.nn.Linear(6, 16), ds.nn.ReLU(), ds.nn.Linear(16, 3))
    return model, ds.data.TensorDataset(ds.tensor(x), ds.tensor(y))


def test_accumulated_gradients_are_those_of_the_large_batch():
    results = []
    for size, steps in ((16, 1), (4, 4)):
        model, data = problem()
        o = ds.optim.AdamW(model.parameters(), lr=0.01)
        history = ds.fit(model, ds.data.DataLoader(data, size), o, F.cross_entropy, epochs=2, gradient_accumulation_steps=steps, progress=False)
        results.append([p.detach().numpy() for p in model.parameters()])
        assert len(history["loss"]) == 2 * 48 // size and len(history.epochs) == 2
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("precision", [None, "bfloat16", "float16"])
def test_trainer_learns_resumes_and_reports(precision, tmp_path, capsys):
    if precision and not hasattr(ds, precision):
        pytest.skip(f"this build has no {precision}")
    model, data = problem()
    train, held = ds.data.random_split(data, [0.75, 0.25])
    optimizer = ds.optim.AdamW(model.parameters(), lr=0.02)
    schedule = ds.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    trainer = ds.Trainer(
        model, optimizer, F.cross_entropy, precision=precision, clip_grad_norm=1.0, scheduler=schedule, ema=ds.optim.EMA(model, 0.9),
        metrics={"accuracy": ds.utils.accuracy}, gradient_accumulation_steps=2,
    )  # fmt: skip
    loader = ds.data.DataLoader(train, 6, shuffle=True)
    history = trainer.fit(loader, 8, ds.data.DataLoader(held, 12))
    assert history.epochs[-1]["loss"] < 0.6 * history.epochs[0]["loss"] and "val_accuracy" in history.epochs[-1]
    assert "epoch 8 100%" in capsys.readouterr().err
    ds.save(trainer.state_dict(), tmp_path / "state.ds")
    model2, _ = problem()
    o2 = ds.optim.AdamW(model2.parameters())
    again = ds.Trainer(model2, o2, F.cross_entropy, scheduler=ds.optim.lr_scheduler.CosineAnnealingLR(o2, 100), ema=ds.optim.EMA(model2), precision=precision)
    again.load_state_dict(ds.load(tmp_path / "state.ds"))
    assert again.epoch == 8 and again.updates == trainer.updates and o2.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    np.testing.assert_array_equal(model2[0].weight.detach().numpy(), model[0].weight.detach().numpy())


def test_progress_line():
    stream = io.StringIO()
    bar = ds.utils.Progress(range(4), "epoch 1", stream=stream)
    for _ in bar:
        bar.set(loss=0.5)
    assert "epoch 1 100% |########################| 4/4" in stream.getvalue() and "loss 0.5" in stream.getvalue()


def test_history_plots(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    history = ds.utils.History()
    for i in range(5):
        history.record(loss=1 / (i + 1))
    history.end_epoch(loss=0.4)
    history.plot(path=tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
