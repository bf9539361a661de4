"""The array API judge's cases of matrices and Fourier transforms."""

from __future__ import annotations

import math

FLOATS, COMPLEX = ("float32", "float64"), ("complex64", "complex128")
NUMERIC = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", *FLOATS, *COMPLEX)


class Linear:
    """What Judge has of them."""

    def matrices(self):
        st, np, out = self.st, self.np, {}

        def draw_matrix(draw, t, m, n, batch=()):
            x = self.array(draw, t, (*batch, m, n), span=(-3, 3), special=False)
            return x

        def regular(draw, t, n, batch=()):
            return draw_matrix(draw, t, n, n, batch) + np.eye(n, dtype=t) * 20

        def products(name):
            def f(draw):
                t = self.dtype(draw, NUMERIC)
                m, k, n, batch = *(draw(st.integers(1, 4)) for _ in range(3)), draw(st.sampled_from([(), (2,)]))
                a, b = draw_matrix(draw, t, m, k, batch), draw_matrix(draw, t, k, n, batch)
                if name == "matmul":
                    form = draw(st.sampled_from([0, 1, 2]))
                    a = a[..., 0, :] if form == 1 and not batch else a
                    b = b[..., :, 0] if form == 2 and not batch else b
                    self.both(lambda xp, x, y: x @ y, a, b, loose=20)
                elif name == "tensordot":
                    self.both(lambda xp, x, y: xp.tensordot(x, y, axes=([x.ndim - 1], [y.ndim - 2])), a, b, loose=20)
                else:
                    self.both(lambda xp, x, y: xp.vecdot(x, y, axis=-1), a, draw_matrix(draw, t, m, k, batch), loose=20)

            return f

        def linear(call, square=True, loose=1e3, dtypes=FLOATS + COMPLEX, hermitian=False):
            def f(draw):
                t, n, batch = self.dtype(draw, dtypes), draw(st.integers(1, 4)), draw(st.sampled_from([(), (2,)]))
                x = regular(draw, t, n, batch) if square else draw_matrix(draw, t, n, draw(st.integers(1, 4)), batch) + np.asarray(0, t)
                if hermitian:
                    x = (x + np.swapaxes(x, -1, -2).conj()).astype(t)
                self.both(call, x, loose=loose)

            return f

        la = lambda name, **kw: lambda xp, x: getattr(xp.linalg, name)(x, **kw)  # noqa: E731

        def solve(draw):
            t, n = self.dtype(draw, FLOATS + COMPLEX), draw(st.integers(1, 4))
            b = draw_matrix(draw, t, n, draw(st.integers(1, 3)))
            self.both(lambda xp, x, y: xp.linalg.solve(x, y), regular(draw, t, n), b[:, 0] if draw(st.booleans()) else b, loose=1e3)

        def norm(name):
            def f(draw):
                t = self.dtype(draw, FLOATS)
                keep = draw(st.booleans())
                x = draw_matrix(draw, t, draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.sampled_from([(), (2,)])))
                if name == "vector_norm":
                    axis, ord = self.axes(draw, x.ndim), draw(st.sampled_from([0, 1, 2, 3, math.inf, -math.inf]))
                    if axis == ():
                        axis = None
                    self.both(lambda xp, x: xp.linalg.vector_norm(x, axis=axis, keepdims=keep, ord=ord), x, loose=100)
                else:
                    ord = draw(st.sampled_from(["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf]))
                    self.both(lambda xp, x: xp.linalg.matrix_norm(x, keepdims=keep, ord=ord), x, loose=1e3)

            return f

        def cross(draw):
            t, shape = self.dtype(draw, NUMERIC), (draw(st.integers(1, 3)), 3)
            self.both(lambda xp, x, y: xp.linalg.cross(x, y), self.array(draw, t, shape, span=(-5, 5)), self.array(draw, t, shape, span=(-5, 5)), loose=100)

        def outer(draw):
            t = self.dtype(draw, NUMERIC)
            self.both(lambda xp, x, y: xp.linalg.outer(x, y), *(self.array(draw, t, (draw(st.integers(0, 4)),), span=(-5, 5)) for _ in range(2)))

        def on_matrix(name, **options):
            def f(draw):
                t = self.dtype(draw, NUMERIC)
                x, k = draw_matrix(draw, t, draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.sampled_from([(), (2,)]))), draw(st.integers(-2, 2))
                self.both(lambda xp, x: getattr(xp.linalg, name)(x, offset=k), x, loose=20)

            return f

        out.update({n: products(n) for n in ("matmul", "tensordot", "vecdot")})
        out.update({
            "linalg.det": linear(la("det"), loose=1e6), "linalg.inv": linear(la("inv")), "linalg.slogdet": linear(la("slogdet"), loose=1e4), "linalg.solve": solve,
            "linalg.cholesky": linear(lambda xp, x: xp.linalg.cholesky(xp.matmul(xp.matrix_transpose(xp.conj(x)), x)), loose=1e5),
            "linalg.eigvalsh": linear(la("eigvalsh"), hermitian=True, loose=1e4),
            "linalg.eigh": linear(lambda xp, x: (lambda w, v: (w, xp.matmul(v * xp.astype(w[..., None, :], v.dtype), xp.matrix_transpose(xp.conj(v)))))(*xp.linalg.eigh(x)), hermitian=True, loose=1e5),
            "linalg.qr": linear(lambda xp, x: (lambda q, r: (xp.matmul(q, r), xp.abs(r)))(*xp.linalg.qr(x)), loose=1e5),
            "linalg.svd": linear(lambda xp, x: (lambda u, s, v: (s, xp.matmul(u * xp.astype(s[..., None, :], u.dtype), v)))(*xp.linalg.svd(x, full_matrices=False)), loose=1e5),
            "linalg.svdvals": linear(la("svdvals"), square=False, loose=1e4), "linalg.pinv": linear(la("pinv"), loose=1e4),
            "linalg.matrix_power": linear(lambda xp, x: xp.linalg.matrix_power(x, 3), loose=1e7), "linalg.matrix_rank": linear(la("matrix_rank")),
            "linalg.matrix_norm": norm("matrix_norm"), "linalg.vector_norm": norm("vector_norm"), "linalg.cross": cross, "linalg.outer": outer,
            "linalg.diagonal": on_matrix("diagonal"), "linalg.trace": on_matrix("trace"),
        })  # fmt: skip
        return out

    def transforms(self):
        st, out = self.st, {}

        def one(name, dtypes):
            def f(draw):
                t, shape = self.dtype(draw, dtypes), self.shape(draw, least=1, side=1)
                axis, n = draw(st.integers(-len(shape), len(shape) - 1)), draw(st.none() | st.integers(2, 6))
                norm = draw(st.sampled_from(["backward", "ortho", "forward"]))
                if name in ("irfft", "hfft") and n is None and shape[axis] < 2:
                    return
                self.both(lambda xp, x: getattr(xp.fft, name)(x, n=n, axis=axis, norm=norm), self.array(draw, t, shape, span=(-9, 9)), loose=1e3)

            return f

        def many(name, dtypes):
            def f(draw):
                t, shape = self.dtype(draw, dtypes), self.shape(draw, least=1, side=2)
                axes = tuple(draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1, max_size=len(shape))))
                norm = draw(st.sampled_from(["backward", "ortho", "forward"]))
                self.both(lambda xp, x: getattr(xp.fft, name)(x, axes=axes, norm=norm), self.array(draw, t, shape, span=(-9, 9)), loose=1e3)

            return f

        for name, dtypes in {"fft": COMPLEX, "ifft": COMPLEX, "rfft": FLOATS, "irfft": COMPLEX, "hfft": COMPLEX, "ihfft": FLOATS}.items():
            out[f"fft.{name}"] = one(name, dtypes)
        for name, dtypes in {"fftn": COMPLEX, "ifftn": COMPLEX, "rfftn": FLOATS, "irfftn": COMPLEX}.items():
            out[f"fft.{name}"] = many(name, dtypes)
        for name in ("fftshift", "ifftshift"):

            def shift(draw, name=name):
                shape = self.shape(draw, least=1)
                axes = self.axes(draw, len(shape))
                self.both(lambda xp, x: getattr(xp.fft, name)(x, axes=axes), self.array(draw, self.dtype(draw, FLOATS + COMPLEX), shape))

            out[f"fft.{name}"] = shift
        for name in ("fftfreq", "rfftfreq"):

            def frequencies(draw, name=name):
                n, d, t = draw(st.integers(1, 9)), draw(st.sampled_from([1.0, 0.5])), self.dtype(draw, FLOATS)
                self.both(lambda xp: getattr(xp.fft, name)(n, d=d, dtype=getattr(xp, t)))

            out[f"fft.{name}"] = frequencies
        return out
