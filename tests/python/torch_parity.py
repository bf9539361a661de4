"""Compares a function or layer with torch's on the same inputs: values and gradients."""

import numpy as np
import pytest

import deepseek as ds

torch = pytest.importorskip("torch", reason="torch is the reference")
torch.set_num_threads(1)


_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "bool": torch.bool}


def to_torch(x, grad=False):
    if isinstance(x, np.ndarray):  # by way of lists: Debian's torch does not know NumPy 2
        t = torch.tensor(x.tolist(), dtype=_DTYPES[x.dtype.name]).reshape(x.shape)
        return t.requires_grad_() if grad and t.is_floating_point() else t
    return x


def to_ds(x, grad=False):
    if isinstance(x, np.ndarray):
        t = ds.tensor(x)
        return t.requires_grad_() if grad and t.dtype.is_floating_point else t
    return x


def flat(out):
    return [t for o in out for t in flat(o)] if isinstance(out, (tuple, list)) else [] if out is None else [out]


def array(x):
    if isinstance(x, torch.Tensor):
        return np.array(x.detach().tolist()).reshape(tuple(x.shape))
    return np.asarray(x.detach().numpy() if hasattr(x, "detach") else x)


def close(a, b, what, rtol=2e-4, atol=2e-5):
    a, b = array(a), array(b)
    assert a.shape == b.shape, f"{what}: {a.shape} is not {b.shape}"
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=what)


def seeds(outs):
    rng = np.random.default_rng(7)
    return [rng.standard_normal(tuple(o.shape)).astype(np.float32) for o in outs]


def check(ours, theirs, *inputs, grads=True, no_grad=None, rtol=2e-4, atol=2e-5, **kwargs):
    """Calls both with the inputs (NumPy arrays become tensors, others pass) and compares all that comes out."""
    fixed = no_grad or ()
    a = [to_ds(x, grads and i not in fixed) for i, x in enumerate(inputs)]
    b = [to_torch(x, grads and i not in fixed) for i, x in enumerate(inputs)]
    mine = flat(ours(*a, **{k: to_ds(v) for k, v in kwargs.items()}))
    ref = flat(theirs(*b, **{k: to_torch(v) for k, v in kwargs.items()}))
    assert len(mine) == len(ref)
    for i, (m, r) in enumerate(zip(mine, ref)):
        close(m, r, f"output {i}", rtol, atol)
    if not grads:
        return
    pairs = [(m, r) for m, r in zip(mine, ref) if r.requires_grad]
    if not pairs:
        return
    both = seeds([r for _, r in pairs])
    sum((m * ds.tensor(s)).sum() for (m, _), s in zip(pairs, both)).backward()
    sum((r * to_torch(s)).sum() for (_, r), s in zip(pairs, both)).backward()
    for i, (m, r) in enumerate(zip(a, b)):
        if isinstance(r, torch.Tensor) and r.grad is not None and (m.grad is not None or r.grad.any()):
            assert m.grad is not None, f"input {i} has no gradient"
            close(m.grad, r.grad, f"gradient of input {i}", rtol * 5, atol * 5)


def check_module(ours, theirs, *inputs, forward_kwargs=None, **options):
    """The same for two modules: the state dicts have the same names, and torch's values are loaded into ours."""
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state), "names of the state dict"
    ours.load_state_dict({k: ds.tensor(array(v)) for k, v in state.items()})
    assert ours.training == theirs.training
    kwargs = forward_kwargs or {}
    check(ours, theirs, *inputs, **options, **kwargs)
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters()):
        if q.grad is not None:
            assert p.grad is not None, f"{name} has no gradient"
            close(p.grad, q.grad, f"gradient of {name}", 1e-3, 1e-4)
    for (name, p), (_, q) in zip(ours.named_buffers(), theirs.named_buffers()):
        close(p, q, f"buffer {name}")
