"""PyTorch's operator database as a judge: every entry whose name we have, forward, gradient and errors.

Values and gradients are compared with PyTorch's own on the database's sample inputs, at the database's tolerances.
Each entry runs in a process of its own, so that a crash or a hang is that entry's failure.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLES = 40  # of an entry and dtype at most
SECONDS = 60  # for an entry
RANDOM = {
    "bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal", "rand", "randint", "randint_like", "randn",
    "randn_like", "rand_like", "uniform", "empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted",
    "nn.functional.dropout", "nn.functional.dropout2d", "nn.functional.dropout3d", "nn.functional.alpha_dropout",
    "nn.functional.feature_alpha_dropout", "nn.functional.rrelu", "nn.functional.fractional_max_pool2d",
    "nn.functional.fractional_max_pool3d", "svd_lowrank", "pca_lowrank",
}  # fmt: skip


def ours(ds, name):
    """Our function of that name, or None."""
    special = {"T": lambda x: x.T, "H": lambda x: x.H, "mT": lambda x: x.mT, "mH": lambda x: x.mH, "__getitem__": lambda x, *k: x[k[0] if len(k) == 1 else k]}
    if name in special:
        return special[name]
    if name.startswith("__"):
        f = getattr(ds.Tensor, name, None)
        return f
    path = name.removeprefix("nn.").split(".")
    where = ds
    for part in path:
        where = getattr(where, part, None)
    if callable(where):
        return where
    return getattr(ds.Tensor, name, None) or getattr(ds.Tensor, name + "_", None)


class Converter:
    def __init__(self, ds, torch):
        self.ds, self.torch = ds, torch

    def to_ds(self, x, grads=None):
        torch, ds = self.torch, self.ds
        if isinstance(x, torch.Tensor):
            t = x.detach().resolve_conj().resolve_neg()
            out = ds.tensor(t.float().numpy(), dtype=ds.bfloat16) if t.dtype == torch.bfloat16 else ds.tensor(t.numpy())
            if x.requires_grad:
                out.requires_grad_()
                if grads is not None:
                    grads.append((x, out))
            return out
        if isinstance(x, torch.nn.PairwiseDistance):
            return ds.nn.PairwiseDistance(x.norm, x.eps, x.keepdim)
        if isinstance(x, torch.dtype):
            return getattr(ds, str(x).removeprefix("torch."))
        if isinstance(x, torch.device):
            return "cpu"
        if isinstance(x, torch.Size):
            return tuple(x)
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return type(x)(*(self.to_ds(y, grads) for y in x))
        if isinstance(x, (tuple, list)):
            return type(x)(self.to_ds(y, grads) for y in x)
        if isinstance(x, dict):
            return {k: self.to_ds(v, grads) for k, v in x.items() if k not in ("memory_format", "layout", "pin_memory") and not isinstance(v, (torch.layout, torch.memory_format))}
        return x

    def flat_ds(self, x):
        if isinstance(x, self.ds.Tensor):
            return [x]
        if isinstance(x, (tuple, list)):
            return [t for y in x for t in self.flat_ds(y)]
        return [x]

    def flat_torch(self, x):
        if isinstance(x, self.torch.Tensor):
            return [x]
        if isinstance(x, (tuple, list)):
            return [t for y in x for t in self.flat_torch(y)]
        return [x]

    def to_torch(self, x):
        torch, ds = self.torch, self.ds
        if isinstance(x, ds.Tensor):
            d = x.detach()
            if d.dtype.name == "bfloat16":
                return torch.tensor(d.to(ds.float32).numpy()).bfloat16()
            return torch.from_numpy(d.numpy().copy())
        return x

    def like(self, out, leaves):
        """Our output's structure with tensors as torch leaves, which are gathered."""
        if isinstance(out, self.ds.Tensor):
            t = self.to_torch(out)
            if t.dtype.is_floating_point or t.dtype.is_complex:
                t.requires_grad_()
            leaves.append((out, t))
            return t
        if isinstance(out, tuple) and hasattr(out, "_fields"):
            return type(out)(*(self.like(o, leaves) for o in out))
        if isinstance(out, (tuple, list)):
            return type(out)(self.like(o, leaves) for o in out)
        return out


TIES = {"kthvalue", "topk", "mode", "median", "nanmedian", "sort"}  # (values, indices): any index of the value is right
ADAPTED = {  # entries that call PyTorch's function with other arguments than their name's
    "where": lambda f: lambda x, condition, other: f(condition, x, other),
    "einsum": lambda f: lambda xs, equation: f(equation, *xs),
    "nn.functional.embedding": lambda f: lambda weight, index, **kw: f(index, weight, **kw),
    "nn.functional.embedding_bag": lambda f: lambda weight, index, **kw: f(index, weight, **kw),
    "fill": lambda f: lambda x, *a, **kw: f(x.clone(), *a, **kw),
    "zero_": lambda f: lambda x: f(x.clone()),
    "uniform": lambda f: lambda x, *a, **kw: f(x.clone(), *a, **{{"from": "from_"}.get(k, k): v for k, v in kw.items()}),
    "exponential": lambda f: lambda x, *a, **kw: f(x.clone(), *a, **kw),
    "polygamma": lambda f: lambda x, n, **kw: f(n, x, **kw),
    "special.polygamma": lambda f: lambda x, n, **kw: f(n, x, **kw),
    "linalg.pinv.singular": lambda f: lambda a, b, **kw: f(a @ b.mT, **kw),
    "linalg.lstsq.grad_oriented": lambda f: lambda a, b, driver: f(a, b, driver=driver)[:2],
    "normal.in_place": lambda f: lambda x, *a, **kw: x.clone().normal_(*a, **kw),
}


def tolerance(op, dtype, torch):
    from torch.testing._internal.common_device_type import toleranceOverride
    from torch.testing._internal.opinfo.core import DecorateInfo

    rtol, atol = {torch.float32: (1.3e-6, 1e-5), torch.float64: (1e-7, 1e-7), torch.complex64: (1.3e-6, 1e-5), torch.complex128: (1e-7, 1e-7)}.get(dtype, (0, 0))
    real = {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(dtype, dtype)
    for d in op.decorators:
        for inner in d.decorators if isinstance(d, DecorateInfo) else (d,):
            if isinstance(inner, toleranceOverride) and real in inner.d:
                atol, rtol = max(atol, inner.d[real].atol), max(rtol, inner.d[real].rtol)
    return rtol, atol


def scalar_name(x):
    return type(x).__name__ + (str(tuple(x.shape)) if hasattr(x, "shape") else "")


REFUSALS = (TypeError, ValueError, IndexError, RuntimeError, NotImplementedError)  # what a user may expect; ds.Error is two of them


def full_name(op):
    return op.name + ("." + op.variant_test_name if op.variant_test_name else "")


def draws(op, sample):
    """Whether the sample's result is random: its shape and dtype alone are compared."""
    if op.name == "nn.functional.multi_head_attention_forward":  # (..., dropout_p, out_proj_weight, out_proj_bias), training=
        return sample.args[9] > 0 and sample.kwargs.get("training", True)
    return op.name in RANDOM or sample.kwargs.get("dropout_p", 0) > 0


EXPLAINED = {  # failures that are not ours to mend
    "gradient cholesky_inverse": "PyTorch gives the other triangle, which is not looked at, a gradient",
    "gradient cholesky_solve": "PyTorch gives the other triangle, which is not looked at, a gradient",
    "forward cov": "aweights of float32 with numbers of float64: PyTorch adds them up in float32",
    "gradient cov": "aweights of float32 with numbers of float64: PyTorch adds them up in float32",
    "gradient as_strided_scatter": "PyTorch gives a number that is overwritten a gradient of 1",
    "forward as_strided.partial_views": "the input is a view and the strides are its base's: arrays here have no base that shows",
    "gradient as_strided.partial_views": "the input is a view and the strides are its base's: arrays here have no base that shows",
    "forward chalf": "there is no complex of float16",
    "forward masked.argmax": "PyTorch gives indices the values' dtype",
    "forward masked.argmin": "PyTorch gives indices the values' dtype",
}


class Entry:
    def __init__(self, op, ds, torch):
        self.op, self.ds, self.torch, self.conv = op, ds, torch, Converter(ds, torch)
        self.f = ours(ds, op.name)
        adapt = ADAPTED.get(full_name(op), ADAPTED.get(op.name))
        if adapt is not None:
            self.f = adapt(self.f)

    def call(self, sample, grads=None):
        to = self.conv.to_ds
        return self.f(to(sample.input, grads), *to(list(sample.args), grads), **to(dict(sample.kwargs), grads))

    def compare(self, got, want, dtype, what, random=False):
        torch = self.torch
        self.compared += 1
        got, want = self.conv.flat_torch(got), self.conv.flat_torch(want)
        if len(got) != len(want):
            raise AssertionError(f"{what}: {len(got)} results, PyTorch has {len(want)}")
        for g, w in zip(got, want):
            if isinstance(w, torch.Tensor):
                if not isinstance(g, torch.Tensor):
                    raise AssertionError(f"{what}: a {type(g).__name__}, PyTorch has a tensor")
                w = w.detach().resolve_conj().resolve_neg()
                if random:
                    if g.shape != w.shape or g.dtype != w.dtype:
                        raise AssertionError(f"{what}: {g.dtype} {tuple(g.shape)}, PyTorch has {w.dtype} {tuple(w.shape)}")
                    continue
                rtol, atol = tolerance(self.op, w.dtype if w.dtype.is_floating_point or w.dtype.is_complex else dtype, torch)
                torch.testing.assert_close(g.detach(), w, rtol=rtol, atol=atol, equal_nan=True, msg=lambda m: f"{what}: {' '.join(m.split())[:160]}")
            elif isinstance(w, float):
                rtol, atol = tolerance(self.op, dtype, torch)
                if not (abs(g - w) <= atol + rtol * abs(w) or g != g and w != w):
                    raise AssertionError(f"{what}: {g}, PyTorch has {w}")
            elif g != w and not isinstance(w, (torch.dtype, torch.device)):
                raise AssertionError(f"{what}: {g!r}, PyTorch has {w!r}")

    def samples(self, dtype, requires_grad):
        for i, s in enumerate(self.op.sample_inputs("cpu", dtype, requires_grad=requires_grad)):
            if i >= SAMPLES:
                return
            yield i, s

    def describe(self, i, s):
        return f"sample {i} ({', '.join(scalar_name(a) if hasattr(a, 'shape') else repr(a)[:40] for a in (s.input, *s.args))}, {s.kwargs!r:.80})"

    def forward(self):
        torch, known = self.torch, self.op.supported_dtypes("cpu")
        plain = [t for t in (torch.float64, torch.float32, torch.int64) if t in known]
        for dtype in plain or [t for t in (torch.complex128, torch.complex64) if t in known]:
            for i, s in self.samples(dtype, False):
                what = f"{dtype} {self.describe(i, s)}"
                try:
                    want = s.output_process_fn_grad(self.op(s.input, *s.args, **s.kwargs))
                except Exception:  # what PyTorch itself does not take
                    continue
                try:
                    _, s = next((j, t) for j, t in self.samples(dtype, False) if j == i) if self.op.inplace_variant is self.op.op else (i, s)
                    got = self.call(s)
                except Exception as e:
                    raise AssertionError(f"{what}: {type(e).__name__}: {' '.join(str(e).split())[:200]}") from e
                mine = s.output_process_fn_grad(self.conv.like(got, []))
                if self.op.name in TIES and isinstance(mine, tuple) and len(mine) == 2:
                    mine = self.settle(mine, want, s)
                try:
                    self.compare(mine, want, dtype, what, draws(self.op, s))
                except AssertionError:
                    if dtype != torch.float32 or not self.nearer(mine, s):
                        raise

    def nearer(self, mine, s):
        """Whether ours of float32 is what PyTorch computes in float64, which its own float32 is further from."""
        torch = self.torch

        def wide(x):
            return x.double() if isinstance(x, torch.Tensor) and x.dtype == torch.float32 else x

        s = s.transform(wide)
        want = self.conv.flat_torch(s.output_process_fn_grad(self.op(s.input, *s.args, **s.kwargs)))
        try:
            self.compare([wide(g) for g in self.conv.flat_torch(mine)], want, torch.float32, "float64")
        except AssertionError:
            return False
        return True

    def settle(self, mine, want, s):
        """mine with PyTorch's indices where ours are of equal values."""
        x = s.input.reshape(1) if s.input.ndim == 0 else s.input
        for d in range(x.ndim):
            try:
                keep = mine[1].ndim == x.ndim
                at = mine[1] if keep else mine[1].unsqueeze(d)
                values = x.gather(d, at) if keep else x.gather(d, at).squeeze(d)
                if self.torch.equal(values, mine[0].detach()):
                    return mine[0], want[1]
            except RuntimeError:
                continue
        return mine

    def gradient(self):
        torch, dtype = self.torch, self.torch.float64
        for i, s in self.samples(dtype, True):
            if draws(self.op, s):
                continue
            what = f"gradient {self.describe(i, s)}"
            pairs = []
            try:
                got = self.call(s, pairs)
            except Exception as e:
                raise AssertionError(f"{what}: {type(e).__name__}: {' '.join(str(e).split())[:200]}") from e
            outs = [o for o in self.conv.flat_torch(s.output_process_fn_grad(self.op(s.input, *s.args, **s.kwargs))) if isinstance(o, torch.Tensor) and o.requires_grad]
            if not outs or not pairs:
                continue
            generator = torch.Generator().manual_seed(0)
            seeds = [torch.randn(o.shape, dtype=o.dtype, generator=generator) for o in outs]
            want = torch.autograd.grad(outs, [x for x, _ in pairs], seeds, allow_unused=True)
            leaves = []
            mine = [o for o in self.conv.flat_torch(s.output_process_fn_grad(self.conv.like(got, leaves))) if isinstance(o, torch.Tensor) and o.requires_grad]
            mine = mine[: len(outs)] if len(mine) > len(outs) else mine
            if [m.shape for m in mine] != [o.shape for o in outs]:
                raise AssertionError(f"{what}: other outputs have gradients")
            floats = [(o, t) for o, t in leaves if t.requires_grad and o.requires_grad]
            back = torch.autograd.grad(mine, [t for _, t in floats], seeds, allow_unused=True) if floats else []
            used = [(o, b) for (o, _), b in zip(floats, back) if b is not None]
            if used:
                gs = self.ds.autograd.grad([o for o, _ in used], [y for _, y in pairs], [self.conv.to_ds(b) for _, b in used], allow_unused=True)
            else:
                gs = [None] * len(pairs)
            for (x, _), g, w in zip(pairs, gs, want):
                w = torch.zeros_like(x) if w is None else w
                g = torch.zeros_like(x) if g is None else self.conv.to_torch(g)
                self.compare(g, w, dtype, what)

    def errors(self):
        torch = self.torch
        for e in self.op.error_inputs("cpu"):
            try:
                self.op(e.sample_input.input, *e.sample_input.args, **e.sample_input.kwargs)
            except Exception:
                pass
            else:
                continue
            if not isinstance(e.sample_input.input, (torch.Tensor, tuple, list)) and any(isinstance(a, torch.Tensor) for a in e.sample_input.args):
                continue  # a number as the first operand is right in the array API of 2024
            if not e.error_regex and any(isinstance(a, (int, float)) for a in e.sample_input.args):
                continue  # likewise: a number where PyTorch wants a tensor
            if "out" in e.sample_input.kwargs or "layout" in e.sample_input.kwargs:
                continue  # out= of another dtype or of overlapping memory; sparse layouts
            try:
                got = self.call(e.sample_input)
                for t in self.conv.flat_ds(got):
                    if isinstance(t, self.ds.Tensor):
                        self.ds._C.eval([t])
            except REFUSALS:
                self.compared += 1
                continue
            raise AssertionError(f"no error for {scalar_name(e.sample_input.input)} {e.sample_input.args!r:.100} {e.sample_input.kwargs!r:.80}: PyTorch says {str(e.error_regex):.80}")

    def run(self):
        """{judgement: None or what failed}"""
        kinds = {"forward": self.forward}
        if self.op.supports_autograd and self.torch.float64 in self.op.supported_backward_dtypes("cpu") and self.op.name not in RANDOM:
            kinds["gradient"] = self.gradient
        if self.op.error_inputs_func is not None:
            kinds["errors"] = self.errors
        results = {}
        for kind, f in kinds.items():
            self.compared = 0
            try:
                f()
                if self.compared:
                    results[kind] = None
                elif kind == "forward" and self.op.supported_dtypes("cpu"):  # of the others there may be none that we share, or random ones only
                    results[kind] = "nothing was compared"
            except Exception as e:
                results[kind] = (str(e) if isinstance(e, AssertionError) else f"{type(e).__name__}: {e}").replace("\n", " ")[:400]
        return results


def isolated(job):
    """job() in a child process; a string of what ended it if it gave nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1), os.dup2(devnull, 2)
        try:
            os.write(write, json.dumps(job()).encode()[:60000])
        finally:
            os._exit(0)
    os.close(write)
    if not select.select([read], [], [], SECONDS)[0]:
        os.kill(child, signal.SIGKILL)
    data = b""
    while piece := os.read(read, 65536):
        data += piece
    os.close(read)
    status = os.waitpid(child, 0)[1]
    if data:
        return json.loads(data)
    return f"{SECONDS} s passed" if status == signal.SIGKILL else f"the process ended with status {status}"


def main(limit=None, only=None):
    warnings.filterwarnings("ignore")
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    import deepseek as ds

    torch.set_num_threads(1)
    result: dict = {"passed": 0, "failed": 0, "skipped": 0, "failures": [], "skips": {}, "groups": {}}

    missing: list[str] = []

    def count(kind, name, what):
        group = result["groups"].setdefault(kind, [0, 0])
        group[what is not None] += 1
        result["passed" if what is None else "failed"] += 1
        if what is not None:
            explained = EXPLAINED.get(f"{kind} {name}")
            result["failures"].append(f"{kind} {name}: {f'not ours: {explained}' if explained else what}")

    for op in op_db[:limit] if limit else op_db:
        name = full_name(op)
        if only and not any(o == op.name or o == name for o in only):
            continue
        if ours(ds, op.name) is None:
            result["skipped"] += 1
            missing.append(name)
            continue

        def job(op=op):
            ds.set_num_threads(1)
            torch.manual_seed(0)
            return Entry(op, ds, torch).run()

        got = isolated(job)
        if isinstance(got, str):
            count("forward", name, got)
        else:
            for kind, what in got.items():
                count(kind, name, what)
    if missing:
        result["skips"][f"no function of that name here ({' '.join(missing)})"] = len(missing)
    return result


if __name__ == "__main__":
    out = main(only=sys.argv[1:] or None)
    print(json.dumps({k: v for k, v in out.items() if k != "failures"}))
    print("\n".join(out["failures"]))
