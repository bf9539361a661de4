"""ONNX import: ops, subgraphs, functions, external data, parameters."""

import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, parser

import deepseek as ds
import deepseek.onnx as ds_onnx


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model('<ir_version: 8, opset_import: ["" : 18, "local" : 1]>\n' + text)


def test_import_is_lazy():
    code = "import deepseek, deepseek.onnx, sys; assert 'onnx' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_mlp_with_any_batch():
    proto = model("""agraph (float[N, 3] x) => (float[N, 2] y)
        <float[3, 2] w = {1, 2, 3, 4, 5, 6}, float[2] b = {-10, 1}> {
          h = MatMul(x, w)
          s = Add(h, b)
          y = Relu(s)
        }""")
    net = ds_onnx.load(proto)
    for batch in (1, 4):
        x = np.random.default_rng(0).normal(size=(batch, 3)).astype(np.float32)
        want = np.maximum(x @ np.array([[1, 2], [3, 4], [5, 6]], np.float32) + np.array([-10, 1], np.float32), 0)
        np.testing.assert_allclose(net(x).numpy(), want, rtol=1e-5)


def test_initializers_are_parameters():
    proto = model("agraph (float[N, 2] x) => (float[N, 1] y) <float[2, 1] w = {1, 2}> { y = MatMul(x, w) }")
    net = ds_onnx.load(proto, trainable=True)
    named = dict(net.named_parameters())
    assert list(named) == ["w"]
    net(ds.ones(3, 2)).sum().backward()
    np.testing.assert_allclose(named["w"].grad.numpy(), [[3], [3]])


def test_subgraphs_see_values_around_them():
    proto = model("""agraph (float[2] x, bool c) => (float[2] y) {
          k = Constant <value = float {10}> ()
          y = If (c) <then_branch = t () => (float[2] a) { a = Add(x, k) }, else_branch = e () => (float[2] b) { b = Sub(x, k) }>
        }""")
    net = ds_onnx.load(proto)
    x = np.array([1, 2], np.float32)
    assert net(x, np.array(True)).tolist() == [11, 12]
    assert net(x, np.array(False)).tolist() == [-9, -8]


def test_model_functions_and_attributes():
    proto = model("""agraph (float[2] x) => (float[2] y) { y = local.shift <by = 3.0> (x) }
        <domain: "local", opset_import: ["" : 18]> shift <by> (a) => (b) {
          c = Constant <value_float: float = @by> ()
          b = Add(a, c)
        }""")
    assert ds_onnx.load(proto)(np.zeros(2, np.float32)).tolist() == [3, 3]


def test_external_data(tmp_path):
    w = np.arange(600, dtype=np.float32).reshape(20, 30)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 20])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 30])],
                              [onnx.numpy_helper.from_array(w, "w")])  # fmt: skip
    path = tmp_path / "model.onnx"
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(proto, str(path), save_as_external_data=True, location="weights", size_threshold=0)
    assert (tmp_path / "weights").stat().st_size >= w.nbytes
    x = np.ones((2, 20), np.float32)
    np.testing.assert_allclose(ds_onnx.load(path)(x).numpy(), x @ w, rtol=1e-5)


def test_errors_name_the_node():
    proto = model("agraph (float[2] x) => (float[2] y) { y = NoSuchOp(x) }")
    with pytest.raises(ds.Error, match="op NoSuchOp"):
        ds_onnx.load(proto)(np.zeros(2, np.float32))
    net = ds_onnx.load(model("agraph (float[2] x) => (float[2] y) { y = Relu(x) }"))
    with pytest.raises(ds.Error, match="input 'x' is missing"):
        net()


RNG = np.random.default_rng(0)
F = RNG.normal(size=(2, 3, 6, 6)).astype(np.float32)
CASES = {
    "Conv": ("Conv <pads = [1, 0, 2, 1], strides = [2, 1]> (a, b)", [F, RNG.normal(size=(4, 3, 3, 2)).astype(np.float32)]),
    "ConvTranspose": ("ConvTranspose <strides = [2, 3], output_padding = [1, 0]> (a, b)", [F, RNG.normal(size=(3, 2, 3, 3)).astype(np.float32)]),
    "AveragePool": ("AveragePool <kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 0, 1]> (a)", [F]),
    "Slice": ("Slice (a, b, c, d, e)", [F, *(np.array(v) for v in ([-1, 1], [-100, 5], [2, 3], [-2, 2]))]),
    "Einsum": ('Einsum <equation = "bcij,bcjk->bik"> (a, b)', [F, RNG.normal(size=(2, 3, 6, 2)).astype(np.float32)]),
    "ScatterND": ("ScatterND (a, b, c)", [F, np.array([[0, 1], [1, -1]]), np.ones((2, 6, 6), np.float32)]),
    "LayerNormalization": ("LayerNormalization <axis = 2> (a, b)", [F, RNG.normal(size=(6, 6)).astype(np.float32)]),
    "Resize": ('Resize <mode = "cubic"> (a, , b)', [F, np.array([1, 1, 1.5, 0.7], np.float32)]),
    "GatherND": ("GatherND <batch_dims = 1> (a, b)", [F, np.array([[[0, 1]], [[2, 3]]])]),
    "CumSum": ("CumSum <exclusive = 1, reverse = 1> (a, b)", [F, np.array(2)]),
    "Mod": ("Mod (a, b)", [np.array([-7, 7, -7]), np.array([3, -3, -3])]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_against_reference(name):
    from onnx.reference import ReferenceEvaluator

    step, arrays = CASES[name]
    names = "abcde"[: len(arrays)]
    kinds = {"float32": "float", "int64": "int64"}
    inputs = ", ".join(f"{kinds[x.dtype.name]}{list(x.shape) or ''} {n}" for n, x in zip(names, arrays))
    proto = model(f"agraph ({inputs}) => ({kinds[arrays[0].dtype.name]}[] y) {{ y = {step} }}")
    proto.graph.output[0].type.tensor_type.shape.SetInParent()
    want = ReferenceEvaluator(proto).run(None, dict(zip(names, arrays)))
    got = ds_onnx.Backend.prepare(proto).run(arrays)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-4, atol=1e-5)


# ---- export


@pytest.fixture
def exportable():
    from deepseek import _C

    if not hasattr(_C, "graph"):
        pytest.skip("the binding gives no graph")


class Small(ds.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = ds.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = ds.nn.BatchNorm2d(4)
        self.head = ds.nn.Linear(4, 5)

    def forward(self, x):
        return self.head(ds.functional.gelu(self.norm(self.conv(x))).mean((2, 3)))


def test_export_any_batch(tmp_path, exportable, capsys):
    net = Small()
    path = tmp_path / "small.onnx"
    proto = ds_onnx.export(net, ds.randn(2, 3, 6, 6), path, dynamic_batch=True, external_data=True)
    assert "largest difference" in capsys.readouterr().out
    assert {"conv.weight", "norm.running_mean", "head.bias"} <= {t.name for t in proto.graph.initializer}
    assert (tmp_path / "small.onnx.data").exists()
    back = ds_onnx.load(path)
    for batch in (1, 7):
        x = ds.randn(batch, 3, 6, 6)
        net.eval()
        np.testing.assert_allclose(back(x).detach().numpy(), net(x).detach().numpy(), rtol=1e-4, atol=1e-5)


FUNCTIONS = {
    "shapes": lambda x: (x.reshape(-1), x[:, 1:], x[::2], ds.cat([x, x], 1), ds.flip(x, [0])),
    "statistics": lambda x: (x.mean(0), x.var(0), x.amax(1), x.argmax(1), ds.logsumexp(x, 1), ds.cumsum(x, 1)),
    "logic": lambda x: (ds.where(x > 0, x, -x), (x > 0).any(1), ds.tril(x), ds.sort(x, 1)[0]),
    "attention": lambda x: ds.functional.scaled_dot_product_attention(x, x, x, is_causal=True),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_export_functions_of_any_size(name, exportable):
    f = FUNCTIONS[name]
    proto = ds_onnx.export(f, ds.randn(4, 6), dynamic_axes={0: {0: "rows"}}, verbose=False)
    prepared = ds_onnx.Backend.prepare(proto)
    for rows in (2, 9):
        x = ds.randn(rows, 6)
        want = f(x)
        for a, b in zip(prepared.run([x.numpy()]), want if isinstance(want, tuple) else (want,)):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-5)


def test_export_lists_what_it_cannot_write(exportable):
    with pytest.raises(ds.Error, match="no ONNX form is known for special_unary lgamma"):
        ds_onnx.export(lambda x: ds.lgamma(x), ds.rand(3) + 1, verbose=False)


def test_export_warns_of_what_was_baked_in(exportable):
    with pytest.warns(UserWarning, match="differs"):
        ds_onnx.export(lambda x: x * float(x[0].item()), ds.arange(1, 5).float(), verbose=False)
