"""Gradients as a user asks for them: grad, functions of one's own, vjp, jvp, jacobian, hessian, vmap, checkpoint."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

from . import _C, _recorded
from ._anomaly import detect_anomaly
from ._random import default_generator

Tensor = _C.Tensor
Error = _C.Error

__all__ = [
    "Function", "backward", "checkpoint", "detect_anomaly", "enable_grad", "functional", "grad", "hessian", "hvp",
    "inference_mode", "is_grad_enabled", "jacobian", "jvp", "no_grad", "set_grad_enabled", "vhp", "vjp", "vmap",
]  # fmt: skip

is_grad_enabled = _C.is_grad_enabled


class _GradMode(contextlib.ContextDecorator):
    """A context manager, and a decorator, that switches the recording of gradients."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._before: list[bool] = []

    def __enter__(self) -> _GradMode:
        self._before.append(_C.set_grad_enabled(self._on))
        return self

    def __exit__(self, *_: Any) -> None:
        _C.set_grad_enabled(self._before.pop())


class no_grad(_GradMode):
    """Nothing recorded inside has a gradient. Also a decorator."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__(False)


class enable_grad(no_grad):
    """Gradients are recorded again inside no_grad."""

    def __init__(self, function: Any = None) -> None:
        _GradMode.__init__(self, True)


class inference_mode(_GradMode):
    """no_grad; inference_mode(False) leaves everything as it is."""

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__(not mode if isinstance(mode, bool) else False)

    def __enter__(self) -> _GradMode:
        self._before.append(_C.is_grad_enabled())
        if not self._on:
            _C.set_grad_enabled(False)
        return self


class set_grad_enabled(_GradMode):
    """Switches recording at once; as a context manager, until its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._before.append(_C.set_grad_enabled(mode))

    def __enter__(self) -> _GradMode:
        return self

    def __call__(self, function: Any) -> Any:
        _C.set_grad_enabled(self._before.pop())  # a decorator switches inside of the function only
        mode = self._on

        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            with set_grad_enabled(mode):
                return function(*args, **kwargs)

        return inner


def _tuple(x: Any) -> tuple[Any, ...]:
    return (x,) if isinstance(x, Tensor) else tuple(x)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the outputs, each times its grad_output, summed, with respect to the inputs.

    create_graph: the gradients can be differentiated again. allow_unused: None where an input does not matter
    (materialize_grads: zeros), else that is an error.
    """
    outs, ins = _tuple(outputs), _tuple(inputs)
    seeds = [None] * len(outs) if grad_outputs is None else list(_tuple(grad_outputs))
    if is_grads_batched:
        rows = [grad(outs, ins, [None if s is None else s[i] for s in seeds], True, create_graph, True, False, True)
                for i in range(next(s for s in seeds if s is not None).shape[0])]  # fmt: skip
        return tuple(_stack(column) for column in zip(*rows))
    for i, (o, s) in enumerate(zip(outs, seeds)):
        if s is not None and s.shape != o.shape:
            raise Error(f"[grad] grad_output {i} is {s.shape}, the output {o.shape}")
        if s is None and o.numel() != 1:
            raise Error(f"[grad] output {i} of shape {o.shape} needs a grad_output of that shape")
    for i, x in enumerate(ins):
        if not x.requires_grad:
            raise Error(f"[grad] input {i} does not require a gradient")
    if not any(o.requires_grad for o in outs):
        raise Error("[grad] no output depends on anything that requires a gradient")
    unused = bool(allow_unused) or materialize_grads
    keep = create_graph if retain_graph is None else retain_graph
    gs = _C.grad(list(outs), list(ins), seeds, keep, create_graph, True)
    if not unused and any(g is None for g in gs):
        i = [g is None for g in gs].index(True)
        raise Error(f"[grad] input {i} has no part in the outputs: give allow_unused=True for None there")
    if materialize_grads:
        gs = [_zeros(x) if g is None else g for g, x in zip(gs, ins)]
    return tuple(gs)


def _zeros(x: Tensor) -> Tensor:
    return _C.full(x.shape, 0.0, x.dtype, x.device)


def _stack(xs: Sequence[Tensor], dim: int = 0) -> Tensor:
    return _C.concat([_C.unsqueeze(x, dim) for x in xs], dim)


def backward(tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
    """Adds the gradients of several tensors to the leaves they depend on."""
    outs = _tuple(tensors)
    seeds = [None] * len(outs) if grad_tensors is None else list(_tuple(grad_tensors))
    for i, (o, s) in enumerate(zip(outs, seeds)):
        keep = retain_graph or create_graph or i + 1 < len(outs)
        o.backward(s, keep, create_graph, None if inputs is None else list(_tuple(inputs)))


# ---- a function with a gradient of its own


class _Context:
    """What forward leaves for backward."""

    def __init__(self) -> None:
        self._saved: tuple[Any, ...] = ()
        self._outputs: tuple[Any, ...] = ()
        self._not_differentiable: tuple[Any, ...] = ()
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True

    def save_for_backward(self, *tensors: Any) -> None:
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        return self._saved

    def mark_non_differentiable(self, *tensors: Any) -> None:
        self._not_differentiable = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Inputs that forward writes in place need no telling here: arrays are values."""

    def set_materialize_grads(self, value: bool) -> None:
        self.materialize_grads = value


class Function:
    """Subclass with static forward(ctx, *args) and backward(ctx, *grads), then call Class.apply(*args).

    Or forward(*args) and setup_context(ctx, inputs, output), as functorch has it.
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        raise NotImplementedError("a Function needs forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError("a Function needs backward(ctx, *grads)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def apply(cls, *args: Any) -> Any:
        ctx = _Context()
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        wanted = [a for a, need in zip(args, ctx.needs_input_grad) if need] if _C.is_grad_enabled() else []
        with no_grad():
            if cls.setup_context is Function.setup_context:
                out = cls.forward(ctx, *args)
            else:
                out = cls.forward(*args)
                cls.setup_context(ctx, args, out)
        if not wanted:
            return out
        outs = _tuple(out) if out is not None else ()
        dead = [any(o is n for n in ctx._not_differentiable) for o in outs]
        live = [o for o, d in zip(outs, dead) if not d]
        like = [(o.shape, o.dtype, o.device) for o in outs]

        def vjp(*grads: Any) -> list[Any]:
            given, full = iter(grads), []
            for d, (shape, dtype, device) in zip(dead, like):
                g = None if d else next(given)
                full.append(_C.full(shape, 0.0, dtype, device) if g is None and ctx.materialize_grads else g)
            back = cls.backward(ctx, *full)
            back = back if isinstance(back, (tuple, list)) else (back,)
            if len(back) < len(args):
                raise Error(f"[{cls.__name__}] backward gave {len(back)} gradients for {len(args)} arguments")
            return [g for g, need in zip(back, ctx.needs_input_grad) if need]

        made = iter(_C.custom([_C.detach(o) for o in live], wanted, vjp, cls.__name__))
        result = tuple(o if d else next(made) for o, d in zip(outs, dead))
        return result[0] if isinstance(out, Tensor) else result


def once_differentiable(f: Callable[..., Any]) -> Callable[..., Any]:
    """For a backward that cannot be differentiated itself."""
    return functools.wraps(f)(lambda ctx, *grads: no_grad()(f)(ctx, *grads))


# ---- derivatives of functions


def _leaves(inputs: Any, create_graph: bool) -> tuple[Any, ...]:
    """Inputs to differentiate by: fresh leaves, or continuing the caller's graph."""
    return tuple(x + 0 if create_graph and x.requires_grad else x.detach().requires_grad_() for x in _tuple(inputs))


def _like_inputs(inputs: Any, values: Sequence[Any]) -> Any:
    return values[0] if isinstance(inputs, Tensor) else tuple(values)


def _detached(x: Any, keep: bool) -> Any:
    if keep:
        return x
    return x.detach() if isinstance(x, Tensor) else tuple(_detached(y, keep) for y in x)


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), v times its Jacobian)."""
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        out = func(*xs)
        gs = _grads(_tuple(out), xs, None if v is None else _tuple(v), create_graph, strict)
    return _detached(out, create_graph), _detached(_like_inputs(inputs, gs), create_graph)


def _grads(outs: Any, xs: Any, seeds: Any, create_graph: bool, strict: bool = False) -> tuple[Any, ...]:
    if not any(o.requires_grad for o in outs):
        if strict:
            raise Error("[grad] the output does not depend on the inputs")
        return tuple(_zeros(x) for x in xs)
    return grad(outs, xs, seeds, True, create_graph, allow_unused=not strict, materialize_grads=not strict)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), its Jacobian times v): the gradient of a vjp by its own vector."""
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        vs = tuple(_ones(x) for x in xs) if v is None else _tuple(v)
        for x, t in zip(xs, vs):
            if x.shape != t.shape:
                raise Error(f"[jvp] v is {t.shape}, the input {x.shape}")
        out = func(*xs)
        outs = _tuple(out)
        seeds = tuple(_zeros(o).requires_grad_() for o in outs)
        back = _grads(outs, xs, seeds, True, strict)
        out_grads = _grads(back, seeds, vs, create_graph)
    return _detached(out, create_graph), _detached(_like_inputs(out, out_grads), create_graph)


def _ones(x: Tensor) -> Tensor:
    return _C.full(x.shape, 1.0, x.dtype, x.device)


def jacobian(func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False) -> Any:
    """d func / d input of shape (output..., input...); tuples of them for several outputs or inputs."""
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        out = func(*xs)
        tables = []
        for o in _tuple(out):
            flat = o.reshape(-1)
            rows = [_grads((flat[i],), xs, None, create_graph, strict) for i in range(flat.shape[0])]
            table = [
                _C.reshape(_stack([r[k] for r in rows]), [*o.shape, *x.shape]) if rows else _C.full((*o.shape, *x.shape), 0.0, x.dtype, x.device)
                for k, x in enumerate(xs)
            ]
            tables.append(_like_inputs(inputs, table))
    return _detached(_like_inputs(out, tables), create_graph)


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, **_: Any) -> Any:
    """The second derivatives of a function of one number, (input..., input...) each."""

    def slope(*xs: Any) -> Any:
        out = func(*xs)
        if out.numel() != 1:
            raise Error(f"[hessian] the function must give one number, got {out.shape}")
        return _like_inputs(inputs, _grads((out.reshape(()),), xs, None, True, strict))

    return jacobian(slope, inputs, create_graph, strict)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), v times its Hessian)."""
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        out = func(*xs)
        first = _grads(_tuple(out), xs, None, True, strict)
        gs = _grads(first, xs, _tuple(v) if v is not None else tuple(_ones(g) for g in first), create_graph)
    return _detached(out, create_graph), _detached(_like_inputs(inputs, gs), create_graph)


hvp = vhp  # the Hessian is symmetric


class functional:
    """The derivatives of functions under one name, as torch.autograd.functional has them."""

    vjp, jvp, jacobian = staticmethod(vjp), staticmethod(jvp), staticmethod(jacobian)
    hessian, vhp, hvp = staticmethod(hessian), staticmethod(vhp), staticmethod(hvp)


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None) -> Callable[..., Any]:
    """func over a dimension of its arguments, the results stacked along out_dims.

    func is called once an example and only records, so everything it may do is allowed: any function, shapes and
    branches that depend on values, gradients inside, vmap inside vmap. It costs one recording an example; the examples
    are computed together when something looks at them.
    """

    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims = in_dims if isinstance(in_dims, (tuple, list)) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise Error(f"[vmap] in_dims names {len(dims)} arguments, got {len(args)}")
        sizes = {n for a, d in zip(args, dims) for n in _sizes(a, d)}
        if len(sizes) != 1:
            raise Error(f"[vmap] the mapped dimensions must have one extent, got {sorted(sizes)}")
        results = [func(*(_example(a, d, i) for a, d in zip(args, dims)), **kwargs) for i in range(sizes.pop())]
        return _joined(results, out_dims)

    return functools.wraps(func)(mapped)


def _sizes(arg: Any, dim: Any) -> list[int]:
    if dim is None:
        return []
    if isinstance(arg, Tensor):
        return [arg.shape[dim]]
    items = arg.values() if isinstance(arg, dict) else arg
    dims = dim.values() if isinstance(dim, dict) else dim if isinstance(dim, (tuple, list)) else [dim] * len(items)
    return [n for a, d in zip(items, dims) for n in _sizes(a, d)]


def _example(arg: Any, dim: Any, i: int) -> Any:
    if dim is None:
        return arg
    if isinstance(arg, Tensor):
        return arg.select(dim, i)
    if isinstance(arg, dict):
        return {k: _example(a, dim[k] if isinstance(dim, dict) else dim, i) for k, a in arg.items()}
    dims = dim if isinstance(dim, (tuple, list)) else [dim] * len(arg)
    return type(arg)(_example(a, d, i) for a, d in zip(arg, dims))


def _joined(results: list[Any], dims: Any) -> Any:
    first = results[0]
    if isinstance(first, Tensor):
        if dims is None:
            return first
        rank = first.ndim + 1
        return _stack(results, dims + rank if dims < 0 else dims)
    if isinstance(first, dict):
        return {k: _joined([r[k] for r in results], dims) for k in first}
    if isinstance(first, (tuple, list)):
        each = dims if isinstance(dims, (tuple, list)) else [dims] * len(first)
        return type(first)(_joined([r[k] for r in results], each[k]) for k in range(len(first)))
    raise TypeError(f"[vmap] the function must give tensors, got {type(first).__name__}")


# ---- recomputing instead of keeping


def checkpoint(function: Callable[..., Any], *args: Any, use_reentrant: Any = None, preserve_rng_state: bool = True, **kwargs: Any) -> Any:
    """function(*args) without keeping what its backward needs: that is computed again then, with the same random
    numbers. Gradients reach the arguments and whatever else (a module's parameters) the function uses."""
    if not _C.is_grad_enabled() or _recorded.active:
        return function(*args, **kwargs)
    state = default_generator.get_state()
    places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    stops = [args[i].detach().requires_grad_() for i in places]
    out = function(*_with(args, places, stops), **kwargs)
    outs = _tuple(out)
    live = [k for k, o in enumerate(outs) if isinstance(o, Tensor) and o.requires_grad]
    if not live:
        return out
    own = {_C.node_id(s) for s in stops}
    around = [leaf for leaf in _C.leaves([outs[k] for k in live]) if _C.node_id(leaf) not in own]
    values = [_C.detach(outs[k]) for k in live]
    _C.eval(values)  # now, so that the second run is no part of this one

    def vjp(*grads: Any) -> list[Any]:
        now = default_generator.get_state()
        if preserve_rng_state:
            default_generator.set_state(state)
        with enable_grad():
            again = [args[i].detach().requires_grad_() for i in places]
            made = _tuple(function(*_with(args, places, again), **kwargs))
        if preserve_rng_state:
            default_generator.set_state(now)
        pairs = [(made[k], g) for k, g in zip(live, grads) if g is not None]
        return _C.grad([o for o, _ in pairs], again + around, [g for _, g in pairs], False, False, True)

    made = _C.custom(values, [args[i] for i in places] + around, vjp, "checkpoint")
    result = [*outs]
    for k, o in zip(live, made):
        result[k] = o
    return result[0] if isinstance(out, Tensor) else type(out)(result)


def _with(args: tuple[Any, ...], places: list[int], values: list[Any]) -> list[Any]:
    out = list(args)
    for i, v in zip(places, values):
        out[i] = v
    return out
