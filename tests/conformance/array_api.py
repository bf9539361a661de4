"""The array API standard 2024.12 as a judge: our namespace against array-api-strict on inputs that Hypothesis makes."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings

from lib.array_api_linear import Linear

EXAMPLES = 60  # a function
FLOATS, COMPLEX = ("float32", "float64"), ("complex64", "complex128")
SIGNED, UNSIGNED = ("int8", "int16", "int32", "int64"), ("uint8", "uint16", "uint32", "uint64")
INTS = SIGNED + UNSIGNED
REAL, NUMERIC, ALL = INTS + FLOATS, INTS + FLOATS + COMPLEX, ("bool", *INTS, *FLOATS, *COMPLEX)

UNARY = {
    **dict.fromkeys("acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 reciprocal sin sinh sqrt tan tanh".split(), FLOATS + COMPLEX),
    **dict.fromkeys("ceil floor trunc".split(), REAL),
    **dict.fromkeys("abs negative positive round sign square isfinite isinf isnan".split(), NUMERIC),
    **dict.fromkeys("conj real".split(), NUMERIC), "imag": COMPLEX, "signbit": FLOATS, "logical_not": ("bool",), "bitwise_invert": ("bool", *INTS),
}  # fmt: skip
BINARY = {
    **dict.fromkeys("add multiply subtract".split(), NUMERIC), "divide": FLOATS + COMPLEX,
    **dict.fromkeys("atan2 copysign hypot logaddexp nextafter".split(), FLOATS),
    **dict.fromkeys("equal not_equal".split(), ALL), **dict.fromkeys("less less_equal greater greater_equal maximum minimum".split(), REAL),
    **dict.fromkeys("floor_divide remainder".split(), REAL), "pow": NUMERIC,
    **dict.fromkeys("bitwise_and bitwise_or bitwise_xor".split(), ("bool", *INTS)),
    **dict.fromkeys("bitwise_left_shift bitwise_right_shift".split(), INTS), **dict.fromkeys("logical_and logical_or logical_xor".split(), ("bool",)),
}  # fmt: skip
OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "remainder", "**": "pow", "&": "bitwise_and",
             "|": "bitwise_or", "^": "bitwise_xor", "<<": "bitwise_left_shift", ">>": "bitwise_right_shift", "<": "less", "<=": "less_equal",
             ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal"}  # fmt: skip


class Judge(Linear):
    """Draws arguments, calls both namespaces with them and compares."""

    compared = 0

    def __init__(self):
        import array_api_strict as strict
        import hypothesis.extra.numpy as hnp
        import numpy as np
        from hypothesis import strategies as st

        import deepseek as ds

        strict.set_array_api_strict_flags(api_version="2024.12")
        self.np, self.st, self.hnp, self.strict, self.ds, self.ours = np, st, hnp, strict, ds, ds.asarray(0).__array_namespace__()

    # ---- inputs

    def dtype(self, draw, names):
        return draw(self.st.sampled_from(names))

    def elements(self, name, span=None, special=True):
        st = self.st
        if name == "bool":
            return st.booleans()
        if name in INTS:
            info = self.np.iinfo(name)
            low, high = span or (info.min, info.max)
            return st.integers(max(low, int(info.min)), min(high, int(info.max)))
        if name in COMPLEX:
            part = st.integers(-40, 40).map(lambda i: i / 8)
            return st.builds(complex, part, part)
        low, high = span or (-100, 100)
        width = 32 if name == "float32" else 64
        numbers = st.floats(low, high, width=width, allow_nan=False, allow_subnormal=False)
        return numbers | st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan]) if special and span is None else numbers

    def shape(self, draw, least=0, most=3, side=0):
        return draw(self.hnp.array_shapes(min_dims=max(least, 0), max_dims=most, min_side=side, max_side=4)) if most else ()

    def array(self, draw, name, shape, **options):
        return draw(self.hnp.arrays(name, shape, elements=self.elements(name, **options)))

    def any_shape(self, draw, **options):
        return () if options.get("least", 0) == 0 and draw(self.st.booleans()) and draw(self.st.booleans()) else self.shape(draw, **{"least": 1, **options})

    def axes(self, draw, rank):
        st = self.st
        if rank == 0:
            return draw(st.sampled_from([None, ()]))
        one = st.integers(-rank, rank - 1)
        return draw(st.none() | one | st.lists(st.integers(0, rank - 1), unique=True, max_size=rank).map(tuple))

    # ---- comparing

    def both(self, call, *arrays, loose=1.0):
        """call(xp, *arrays) for both namespaces, compared."""
        theirs, their_error = self.attempt(call, self.strict, [self.strict.asarray(a) for a in arrays])
        if their_error is not None:
            return  # what the standard leaves open, or forbids
        mine, my_error = self.attempt(call, self.ours, [self.ds.asarray(a.copy()) for a in arrays])
        if my_error is not None:
            raise AssertionError(f"{type(my_error).__name__}: {my_error}; expected {theirs!r:.60}")
        self.compared += 1
        self.same(mine, theirs, loose)

    def attempt(self, call, xp, arrays):
        try:
            with warnings.catch_warnings(), self.np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return call(xp, *arrays), None
        except Exception as e:
            return None, e

    def same(self, mine, theirs, loose=1.0):
        np = self.np
        if isinstance(theirs, (tuple, list)):
            if len(mine) != len(theirs):
                raise AssertionError(f"{len(mine)} results, {len(theirs)} are expected")
            if hasattr(theirs, "_fields") and getattr(mine, "_fields", None) != theirs._fields:
                raise AssertionError(f"fields {getattr(mine, '_fields', None)}, {theirs._fields} are expected")
            for m, t in zip(mine, theirs):
                self.same(m, t, loose)
            return
        if not hasattr(theirs, "shape"):
            if mine != theirs and not (mine != mine and theirs != theirs):
                raise AssertionError(f"{mine!r}, {theirs!r} is expected")
            return
        if not isinstance(mine, self.ds.Tensor):
            raise AssertionError(f"a {type(mine).__name__} instead of an array")
        got, want = np.asarray(mine.detach().numpy()), np.asarray(theirs._array)
        if got.dtype != want.dtype or got.shape != want.shape:
            raise AssertionError(f"{got.dtype} {got.shape}, {want.dtype} {want.shape} is expected")
        tiny = {"float32": 2e-5, "complex64": 2e-5, "float64": 1e-10, "complex128": 1e-10}.get(want.dtype.name, 0) * loose
        np.testing.assert_allclose(got, want, rtol=tiny, atol=tiny if loose > 1 else tiny / 100, equal_nan=True)

    # ---- judgements: name -> function of draw

    def cases(self):
        st, np = self.st, self.np
        out = {}

        def unary(name, dtypes):
            def f(draw):
                t = self.dtype(draw, dtypes)
                self.both(lambda xp, x: getattr(xp, name)(x), self.array(draw, t, self.any_shape(draw)))

            return f

        def pair(draw, dtypes, name=""):
            t = self.dtype(draw, dtypes)
            u = t if draw(st.booleans()) else self.dtype(draw, [d for d in dtypes if self.promotes(t, d)])
            shape = self.any_shape(draw)
            other = tuple(1 if draw(st.integers(0, 4)) == 0 else n for n in shape)[draw(st.integers(0, 1)) * bool(shape) :]
            span = {"bitwise_left_shift": (0, 7), "bitwise_right_shift": (0, 7), "pow": (0, 5), "floor_divide": (1, 100), "remainder": (1, 100)}.get(name)
            return self.array(draw, t, shape, **({"span": (-10, 10)} if name == "pow" else {})), self.array(draw, u, other, span=span)

        def binary(name, dtypes):
            def f(draw):
                a, b = pair(draw, dtypes, name)
                self.both(lambda xp, x, y: getattr(xp, name)(x, y), a, b)

            return f

        for name, dtypes in UNARY.items():
            out[name] = unary(name, dtypes)
        for name, dtypes in BINARY.items():
            out[name] = binary(name, dtypes)
        for symbol, name in OPERATORS.items():

            def operator(draw, symbol=symbol, name=name):
                a, b = pair(draw, BINARY[name], name)
                forms = [f"x {symbol} y", f"x {symbol} s"] + ([f"s {symbol} x"] if name not in ("pow", "floor_divide", "remainder", "bitwise_left_shift", "bitwise_right_shift") else [])
                form, scalar = draw(st.sampled_from(forms)), b.reshape(-1)[0].item() if b.size else 1
                scalar = scalar if a.dtype.kind == b.dtype.kind and (a.dtype.kind not in "iu" or np.iinfo(a.dtype).min <= scalar <= np.iinfo(a.dtype).max) else None
                if "s" in form.split() and scalar is None:
                    form = f"x {symbol} y"
                self.both(lambda xp, x, y: eval(form, {"x": x, "y": y, "s": scalar}), a, b)

            out[f"operator {symbol}"] = operator
        for module in (self.reductions, self.shapes, self.searches, self.creation, self.matrices, self.transforms, self.dtypes):
            out.update(module())
        return out

    def promotes(self, a, b):
        try:
            self.strict.result_type(getattr(self.strict, a), getattr(self.strict, b))
            return True
        except TypeError:
            return False

    def reductions(self):
        st, out = self.st, {}

        def reduction(name, dtypes, **options):
            def f(draw):
                t, shape = self.dtype(draw, dtypes), self.any_shape(draw, side=1)
                x = self.array(draw, t, shape, span=None if t == "bool" or name in ("max", "min") else (-4, 4))
                axis, keep = self.axes(draw, len(shape)), draw(st.booleans())
                more = {k: draw(s) for k, s in options.items()}
                self.both(lambda xp, x: getattr(xp, name)(x, axis=axis, keepdims=keep, **more), x, loose=20)

            return f

        for name, dtypes in {"sum": NUMERIC, "prod": NUMERIC, "mean": FLOATS + COMPLEX, "max": REAL, "min": REAL, "all": ALL, "any": ALL}.items():
            out[name] = reduction(name, dtypes)
        for name in ("var", "std"):
            out[name] = reduction(name, FLOATS, correction=st.sampled_from([0.0, 1.0, 0.5]))

        def counted(draw):
            t, shape = self.dtype(draw, ALL), self.any_shape(draw)
            axis, keep = self.axes(draw, len(shape)), draw(st.booleans())
            self.both(lambda xp, x: xp.count_nonzero(x, axis=axis, keepdims=keep), self.array(draw, t, shape))

        def cumulative(name):
            def f(draw):
                t, shape = self.dtype(draw, NUMERIC), self.shape(draw, least=1)
                axis, initial = draw(st.integers(-len(shape), len(shape) - 1)), draw(st.booleans())
                self.both(lambda xp, x: getattr(xp, name)(x, axis=axis, include_initial=initial), self.array(draw, t, shape, span=(-4, 4)), loose=20)

            return f

        def best(name):
            def f(draw):
                t, shape = self.dtype(draw, REAL), self.any_shape(draw, side=1)
                axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None
                keep = draw(st.booleans())
                self.both(lambda xp, x: getattr(xp, name)(x, axis=axis, keepdims=keep), self.array(draw, t, shape, span=(-9, 9)))

            return f

        def diff(draw):
            t, shape = self.dtype(draw, NUMERIC), self.shape(draw, least=1, side=1)
            axis, n = draw(st.integers(-len(shape), len(shape) - 1)), draw(st.integers(0, 3))
            self.both(lambda xp, x: xp.diff(x, axis=axis, n=n), self.array(draw, t, shape, span=(-9, 9)), loose=20)

        out.update(count_nonzero=counted, cumulative_sum=cumulative("cumulative_sum"), cumulative_prod=cumulative("cumulative_prod"), argmax=best("argmax"), argmin=best("argmin"), diff=diff)
        return out

    def shapes(self):
        st, out = self.st, {}

        def on_array(f, least=0, side=0, dtypes=ALL):
            def g(draw):
                shape = self.any_shape(draw, least=least, side=side)
                x = self.array(draw, self.dtype(draw, dtypes), shape)
                call = f(draw, shape)
                if call is not None:
                    self.both(call, x)

            return g

        one = lambda draw, shape: draw(st.integers(-len(shape), len(shape) - 1))  # noqa: E731

        def with_axis(name):
            def f(draw, shape):
                axis = one(draw, shape)
                return lambda xp, x: getattr(xp, name)(x, axis=axis)

            return f

        def expand(draw, shape):
            axis = draw(st.integers(-len(shape) - 1, len(shape)))
            return lambda xp, x: xp.expand_dims(x, axis=axis)

        def flip(draw, shape):
            axis = self.axes(draw, len(shape))
            return lambda xp, x: xp.flip(x, axis=axis)

        def permute(draw, shape):
            axes = tuple(draw(st.permutations(range(len(shape)))))
            return lambda xp, x: xp.permute_dims(x, axes)

        def moveaxis(draw, shape):
            a, b = one(draw, shape), one(draw, shape)
            return lambda xp, x: xp.moveaxis(x, a, b)

        def reshape(draw, shape):
            size = math.prod(shape)
            to = draw(st.sampled_from([(size,), (-1,) if size else (size,), (1, size), (size, 1, 1), tuple(reversed(shape))]))
            return lambda xp, x: xp.reshape(x, to)

        def roll(draw, shape):
            shift, axis = draw(st.integers(-6, 6)), None if not shape else draw(st.none() | st.integers(-len(shape), len(shape) - 1))
            return lambda xp, x: xp.roll(x, shift, axis=axis)

        def squeeze(draw, shape):
            ones = [i for i, n in enumerate(shape) if n == 1]
            if not ones:
                return None
            axis = draw(st.sampled_from(ones))
            return lambda xp, x: xp.squeeze(x, axis=axis)

        def repeat(draw, shape):
            times, axis = draw(st.integers(0, 3)), None if not shape else draw(st.none() | st.integers(-len(shape), len(shape) - 1))
            return lambda xp, x: xp.repeat(x, times, axis=axis)

        def tile(draw, shape):
            times = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)))
            return lambda xp, x: xp.tile(x, times)

        def broadcast(draw, shape):
            to = (draw(st.integers(1, 3)), *shape)
            return lambda xp, x: xp.broadcast_to(x, to)

        def triangle(name):
            def f(draw, shape):
                k = draw(st.integers(-3, 3))
                return lambda xp, x: getattr(xp, name)(x, k=k)

            return f

        def key(draw, shape):
            parts = []
            for n in shape:
                what = draw(st.integers(0, 3))
                if what == 0 and n:
                    parts.append(draw(st.integers(-n, n - 1)))
                elif what == 1:
                    parts.append(slice(draw(st.none() | st.integers(0, n)), draw(st.none() | st.integers(0, n)), draw(st.sampled_from([None, 1, 2]))))
                else:
                    parts.append(slice(None))
            if draw(st.booleans()):
                parts.insert(draw(st.integers(0, len(parts))), None)
            k = tuple(parts)
            return lambda xp, x: x[k]

        def mask(draw, shape):
            m = draw(self.hnp.arrays("bool", shape))
            return lambda xp, x: x[(self.ds if xp is self.ours else xp).asarray(m)]

        def join(name):
            def f(draw):
                t, shape = self.dtype(draw, ALL), self.shape(draw, least=1)
                axis = draw(st.integers(-len(shape), len(shape) - 1))
                xs = [self.array(draw, t, shape) for _ in range(draw(st.integers(1, 3)))]
                self.both(lambda xp, *xs: getattr(xp, name)(list(xs), axis=axis), *xs)

            return f

        def together(name):
            def f(draw):
                n = draw(st.integers(1, 3))
                if name == "meshgrid":
                    t, indexing = self.dtype(draw, NUMERIC), draw(st.sampled_from(["ij", "xy"]))
                    xs = [self.array(draw, t, (draw(st.integers(0, 3)),)) for _ in range(n)]
                    self.both(lambda xp, *xs: list(xp.meshgrid(*xs, indexing=indexing)), *xs)
                else:
                    shape = self.shape(draw, least=1)
                    xs = [self.array(draw, self.dtype(draw, ALL), shape[draw(st.integers(0, len(shape))) :]) for _ in range(n)]
                    self.both(lambda xp, *xs: list(xp.broadcast_arrays(*xs)), *xs)

            return f

        out.update(
            expand_dims=on_array(expand), flip=on_array(flip), permute_dims=on_array(permute), moveaxis=on_array(moveaxis, least=1), reshape=on_array(reshape),
            roll=on_array(roll), squeeze=on_array(squeeze), repeat=on_array(repeat), tile=on_array(tile), broadcast_to=on_array(broadcast),
            unstack=on_array(with_axis("unstack"), least=1), concat=join("concat"), stack=join("stack"), tril=on_array(triangle("tril"), least=2),
            triu=on_array(triangle("triu"), least=2), indexing=on_array(key), boolean_indexing=on_array(mask, least=1), meshgrid=together("meshgrid"),
            broadcast_arrays=together("broadcast_arrays"), matrix_transpose=on_array(lambda draw, shape: lambda xp, x: xp.matrix_transpose(x), least=2),
            mT=on_array(lambda draw, shape: lambda xp, x: x.mT, least=2), T=on_array(lambda draw, shape: (lambda xp, x: x.T) if len(shape) == 2 else None, least=2),
            attributes=on_array(lambda draw, shape: lambda xp, x: (x.ndim, x.size, x.shape)),
        )  # fmt: skip
        return out

    def searches(self):
        st, out = self.st, {}

        def clip(draw):
            t, shape = self.dtype(draw, REAL), self.any_shape(draw)
            x = self.array(draw, t, shape)
            low, high = sorted(draw(st.tuples(st.integers(0, 50), st.integers(0, 50))))
            low, high = (float(v) if t in FLOATS else v for v in (low, high))
            low, high = draw(st.sampled_from([(low, high), (None, high), (low, None)]))
            self.both(lambda xp, x: xp.clip(x, low, high), x)

        def ordered(name):
            def f(draw):
                t, shape = self.dtype(draw, REAL), self.shape(draw, least=1)
                axis, down = draw(st.integers(-len(shape), len(shape) - 1)), draw(st.booleans())
                self.both(lambda xp, x: getattr(xp, name)(x, axis=axis, descending=down), self.array(draw, t, shape, span=(-5, 5)))

            return f

        def unique(name):
            def f(draw):
                x = self.array(draw, self.dtype(draw, ALL), self.any_shape(draw))
                self.both(lambda xp, x: getattr(xp, name)(x), x)

            return f

        def nonzero(draw):
            self.both(lambda xp, x: xp.nonzero(x), self.array(draw, self.dtype(draw, ALL), self.shape(draw, least=1)))

        def take(draw):
            shape = self.shape(draw, least=1, side=1)
            axis = draw(st.integers(-len(shape), len(shape) - 1))
            at = self.np.asarray(draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), max_size=4)), dtype="int64")
            self.both(lambda xp, x, i: xp.take(x, i, axis=axis), self.array(draw, self.dtype(draw, ALL), shape), at)

        def take_along(draw):
            shape = self.shape(draw, least=1, side=1)
            axis = draw(st.integers(-len(shape), len(shape) - 1))
            to = list(shape)
            to[axis] = draw(st.integers(1, 4))
            at = draw(self.hnp.arrays("int64", tuple(to), elements=st.integers(0, shape[axis] - 1)))
            self.both(lambda xp, x, i: xp.take_along_axis(x, i, axis=axis), self.array(draw, self.dtype(draw, ALL), shape), at)

        def search(draw):
            t, side = self.dtype(draw, REAL), draw(st.sampled_from(["left", "right"]))
            line = self.np.sort(self.array(draw, t, (draw(st.integers(1, 6)),), span=(-9, 9)))
            self.both(lambda xp, x, v: xp.searchsorted(x, v, side=side), line, self.array(draw, t, self.any_shape(draw), span=(-9, 9)))

        def where(draw):
            shape = self.any_shape(draw)
            t = self.dtype(draw, ALL)
            u = self.dtype(draw, [d for d in ALL if self.promotes(t, d)])
            self.both(lambda xp, c, x, y: xp.where(c, x, y), draw(self.hnp.arrays("bool", shape)), self.array(draw, t, shape), self.array(draw, u, shape[1:]))

        out.update(clip=clip, sort=ordered("sort"), argsort=ordered("argsort"), nonzero=nonzero, take=take, take_along_axis=take_along, searchsorted=search, where=where)
        out.update({n: unique(n) for n in ("unique_all", "unique_counts", "unique_inverse", "unique_values")})
        return out

    def creation(self):
        st, out = self.st, {}

        def made(f, dtypes=NUMERIC):
            def g(draw):
                t = self.dtype(draw, dtypes)
                call = f(draw, t)
                self.both(lambda xp: call(xp, getattr(xp, t)))

            return g

        def arange(draw, t):
            low = 0 if t in UNSIGNED else -20
            a, b, c = draw(st.integers(low, 20)), draw(st.integers(low, 20)), draw(st.integers(1, 5))
            return lambda xp, d: xp.arange(a, b, c, dtype=d)

        def linspace(draw, t):
            a, b, n, end = draw(st.integers(-9, 9)), draw(st.integers(-9, 9)), draw(st.integers(1, 9)), draw(st.booleans())
            return lambda xp, d: xp.linspace(float(a), float(b), n, dtype=d, endpoint=end)

        def eye(draw, t):
            n, m, k = draw(st.integers(0, 4)), draw(st.none() | st.integers(0, 4)), draw(st.integers(-4, 4))
            return lambda xp, d: xp.eye(n, m, k=k, dtype=d)

        def full(draw, t):
            shape, value = self.any_shape(draw), draw(self.elements(t))
            return lambda xp, d: xp.full(shape, value, dtype=d)

        def filled(name):
            def f(draw, t):
                shape = self.any_shape(draw)
                return lambda xp, d: getattr(xp, name)(shape, dtype=d)

            return f

        def like(name):
            def f(draw):
                x, t = self.array(draw, self.dtype(draw, ALL), self.any_shape(draw)), draw(st.none() | st.sampled_from(NUMERIC))
                more = (2,) if name == "full_like" else ()
                self.both(lambda xp, x: getattr(xp, name)(x, *more, dtype=t and getattr(xp, t)), x)

            return f

        def listed(draw, t):
            data = self.array(draw, t, self.any_shape(draw)).tolist()
            return lambda xp, d: xp.asarray(data, dtype=d)

        def astype(draw):
            x, t = self.array(draw, self.dtype(draw, ALL), self.any_shape(draw), special=False, span=(0, 100)), self.dtype(draw, ALL)
            self.both(lambda xp, x: xp.astype(x, getattr(xp, t)), x)

        out.update(arange=made(arange, REAL), linspace=made(linspace, FLOATS), eye=made(eye), full=made(full, ALL), asarray=made(listed, ALL), astype=astype)
        out.update({n: made(filled(n)) for n in ("zeros", "ones")}, **{n + "_like": like(n + "_like") for n in ("zeros", "ones", "full")})
        return out

    def dtypes(self):
        st, out = self.st, {}
        kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]

        def isdtype(draw):
            t, k = self.dtype(draw, ALL), draw(st.sampled_from(kinds))
            self.both(lambda xp: xp.isdtype(getattr(xp, t), k))

        def result(draw):
            ts = draw(st.lists(st.sampled_from(ALL), min_size=1, max_size=3))
            call = lambda xp: str(xp.result_type(*(getattr(xp, t) for t in ts))).split(".")[-1].rstrip("'>")  # noqa: E731
            self.both(call)

        def can(draw):
            a, b = self.dtype(draw, ALL), self.dtype(draw, ALL)
            if a != "bool" and b != "bool":
                self.both(lambda xp: xp.can_cast(getattr(xp, a), getattr(xp, b)))

        def limits(draw):
            t = self.dtype(draw, FLOATS + INTS)

            def call(xp):
                i = (xp.finfo if t in FLOATS else xp.iinfo)(getattr(xp, t))
                return tuple(getattr(i, n) for n in (("bits", "eps", "max", "min", "smallest_normal") if t in FLOATS else ("bits", "max", "min")))

            self.both(call)

        def names(draw):
            wanted = [n for n in self.strict.__all__ if not n.startswith("_") and n not in ("ArrayAPIStrictFlags", "Device") and "flag" not in n.lower()]
            for n in wanted:
                if not hasattr(self.ours, n):
                    raise AssertionError(f"{n} is missing")
            for module in ("linalg", "fft"):
                for n in getattr(self.strict, module).__all__:
                    if not hasattr(getattr(self.ours, module), n):
                        raise AssertionError(f"{module}.{n} is missing")

        def dlpack(draw):
            x = self.array(draw, self.dtype(draw, INTS + FLOATS), self.any_shape(draw))
            self.both(lambda xp, x: xp.from_dlpack(x), x)

        out.update(isdtype=isdtype, result_type=result, can_cast=can, limits=limits, names=names, from_dlpack=dlpack)
        return out


def main(limit=None, only=None):
    import hypothesis
    from hypothesis import strategies as st

    judge = Judge()
    result = {"passed": 0, "failed": 0, "skipped": 0, "failures": [], "skips": {}}
    cases = judge.cases()
    for name in list(cases)[: limit or None]:
        if only and name not in only:
            continue

        @hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck), report_multiple_bugs=False, print_blob=False)
        @hypothesis.given(st.data())
        def run(data):
            cases[name](data.draw)  # noqa: B023  run before the next one is made

        judge.compared = name == "names"
        try:
            with contextlib.redirect_stdout(None):
                run()
            if judge.compared < 1:
                raise AssertionError("array-api-strict took none of the inputs")
            result["passed"] += 1
        except Exception as e:
            result["failed"] += 1
            result["failures"].append(f"{name}: {type(e).__name__} {' '.join(str(e).split())[:240]}")
    return result


if __name__ == "__main__":
    out = main(only=sys.argv[1:] or None)
    print({k: v for k, v in out.items() if k != "failures"})
    print("\n".join(out["failures"]))
