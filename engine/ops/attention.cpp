// Attention a block of queries at a time. A block sees all the keys it may, so its softmax needs no second look; what a
// block held is gone before the next one, and the gradient makes it again.
#include <algorithm>
#include <cmath>

#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"

namespace ds {
namespace {

constexpr int64_t kBlock = 128;   // queries
constexpr double kNever = -1e30;  // a score that has no share, and no NaN in a row of nothing else

// (groups, q or k, width), everything in float32 or float64; the mask is (groups or 1, q or 1, k or 1).
struct Call {
  Tensor mask;
  bool causal;
  double scale;
};

struct Block {
  int64_t begin, end, keys;
};
std::vector<Block> blocks(int64_t queries, int64_t keys, bool causal) {
  std::vector<Block> out;
  for (int64_t i = 0; i < queries; i += kBlock) {
    int64_t end = std::min(queries, i + kBlock);
    out.push_back({i, end, causal ? std::min(keys, end) : keys});
  }
  return out;
}

Tensor part(const Tensor& x, int64_t dim, int64_t begin, int64_t end) {
  return x.size(dim) == 1 ? x : slice(x, dim, begin, end);
}

// The shares of a block of queries in its keys.
Tensor shares(const Tensor& q, const Tensor& k, const Call& c, const Block& b) {
  Tensor s = matmul(q * c.scale, transpose(k, -2, -1)), seen;
  if (c.causal && b.keys > b.begin + 1) {
    auto line = [&](int64_t from, int64_t to) {
      return arange(static_cast<double>(from), static_cast<double>(to), 1, DType::i64, q.device());
    };
    seen = unsqueeze(less_equal(line(0, b.keys), unsqueeze(line(b.begin, b.end), 1)), 0);
  }
  Tensor mask = c.mask ? part(part(c.mask, 1, b.begin, b.end), 2, 0, b.keys) : c.mask;
  bool choice = mask && mask.dtype() == DType::boolean;
  if (mask && !choice) s = s + mask;
  if (choice) seen = seen ? logical_and(seen, mask) : mask;
  if (seen) s = where(seen, s, like(s, kNever));
  Tensor p = softmax(s, -1);
  return choice ? where(seen, p, like(p, 0)) : p;
}

Tensor forward(const Tensor& q, const Tensor& k, const Tensor& v, const Call& c) {
  std::vector<Tensor> out;
  for (const Block& b : blocks(q.size(1), k.size(1), c.causal))
    out.push_back(matmul(shares(slice(q, 1, b.begin, b.end), slice(k, 1, 0, b.keys), c, b), slice(v, 1, 0, b.keys)));
  return out.size() == 1 ? out[0] : concat(out, 1);
}

Tensor add_rows(const Tensor& total, const Tensor& rows, int64_t length) {
  Tensor all = rows.size(1) == length ? rows : pad(rows, {0, 0, 0, length - rows.size(1)});
  return total ? total + all : all;
}

// (dq, dk, dv), and the mask's where it was added and wants one.
std::vector<Tensor> backward(const Tensor& q, const Tensor& k, const Tensor& v, const Call& c, const Tensor& g,
                             bool wants_mask) {
  std::vector<Tensor> dq, dmask;
  Tensor dk, dv;
  for (const Block& b : blocks(q.size(1), k.size(1), c.causal)) {
    Tensor qb = slice(q, 1, b.begin, b.end), kb = slice(k, 1, 0, b.keys), vb = slice(v, 1, 0, b.keys);
    Tensor gb = slice(g, 1, b.begin, b.end), p = shares(qb, kb, c, b);
    Tensor dp = matmul(gb, transpose(vb, -2, -1));
    Tensor ds = p * (dp - sum(p * dp, {-1}, true));
    dq.push_back(matmul(ds, kb) * c.scale);
    dk = add_rows(dk, matmul(transpose(ds, -2, -1), qb) * c.scale, k.size(1));
    dv = add_rows(dv, matmul(transpose(p, -2, -1), gb), v.size(1));
    if (wants_mask) dmask.push_back(b.keys == k.size(1) ? ds : pad(ds, {0, k.size(1) - b.keys}));
  }
  std::vector<Tensor> out{concat(dq, 1), dk, dv};
  if (wants_mask) out.push_back(concat(dmask, 1));
  return out;
}

// Added masks that want a gradient have all the scores' extents.
Tensor blocked(const Tensor& q, const Tensor& k, const Tensor& v, const Call& c) {
  Tensors in{q, k, v};
  if (c.mask) in.push_back(c.mask);
  bool any = std::any_of(in.begin(), in.end(), [](const Tensor& t) { return t.requires_grad(); });
  if (!any || NoGrad::active()) return forward(q, k, v, c);
  Tensors all;
  {
    NoGrad none;
    all.push_back(forward(q, k, v, c));
  }
  for (const Tensor& t : in) all.push_back(t);
  return append1(std::make_unique<BlockedAttention>(c.causal, c.scale), std::move(all));
}

Tensor merge(const Tensor& x, const Shape& to) {  // broadcast, then (groups, length, width)
  Tensor y = broadcast_to(x, to);
  return reshape(y, {-1, y.size(-2), y.size(-1)});
}

Tensor repeat_heads(const Tensor& x, int64_t times) {  // each head's keys serve `times` heads of queries
  std::vector<int64_t> wide(x.shape().begin(), x.shape().end()), flat = wide;
  wide.insert(wide.end() - 2, times);
  flat[flat.size() - 3] *= times;
  return reshape(broadcast_to(unsqueeze(x, -3), Shape{std::span<const int64_t>(wide)}), flat);
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
  const char* op = "scaled_dot_product_attention";
  for (const Tensor* t : {&q, &k, &v})
    if (t->rank() < 2 || !is_floating(t->dtype()) || t->dtype() != q.dtype())
      fail(op, "one floating dtype of (...,length,width) is needed, got ", q.type(), ", ", k.type(), ", ", v.type());
  if (q.size(-1) != k.size(-1) || k.size(-2) != v.size(-2))
    fail(op, "q ", q.shape(), ", k ", k.shape(), " and v ", v.shape(), " do not fit");
  if (size_of(q.dtype()) == 2) {
    AttentionOptions wide = o;
    if (o.mask && o.mask.dtype() != DType::boolean) wide.mask = cast(o.mask, DType::f32);
    auto f = [](const Tensor& t) { return cast(t, DType::f32); };
    return cast(scaled_dot_product_attention(f(q), f(k), f(v), wide), q.dtype());
  }
  if (q.rank() >= 3 && k.rank() >= 3 && q.size(-3) != k.size(-3) && k.size(-3) > 1) {
    if (k.size(-3) != v.size(-3) || q.size(-3) % k.size(-3))
      fail(op, q.size(-3), " heads of queries do not divide into groups for ", k.size(-3), " and ", v.size(-3));
    int64_t times = q.size(-3) / k.size(-3);
    return scaled_dot_product_attention(q, repeat_heads(k, times), repeat_heads(v, times), o);
  }
  auto batch_of = [](const Tensor& t) { return Shape{std::span<const int64_t>(t.shape().begin(), t.rank() - 2)}; };
  Shape batch = broadcast_shapes(op, broadcast_shapes(op, batch_of(q), batch_of(k)), batch_of(v));
  auto whole = [&](int64_t rows, int64_t columns) {
    Shape s = batch;
    s.push_back(rows), s.push_back(columns);
    return s;
  };
  Call c{o.mask, o.causal, o.scale != 0 ? o.scale : 1 / std::sqrt(static_cast<double>(q.size(-1)))};
  if (c.mask) {
    bool choice = c.mask.dtype() == DType::boolean;
    if (!choice) c.mask = cast(c.mask, q.dtype());
    bool shared = c.mask.numel() == (c.mask.rank() >= 2 ? c.mask.size(-1) * c.mask.size(-2) : c.mask.numel());
    if (shared && !c.mask.requires_grad()) {
      while (c.mask.rank() > 2) c.mask = squeeze(c.mask, 0);
      c.mask = unsqueeze(broadcast_to(c.mask, {q.size(-2), k.size(-2)}), 0);
    } else {
      c.mask = merge(c.mask, whole(q.size(-2), k.size(-2)));
    }
  }
  Tensor y = blocked(merge(q, whole(q.size(-2), q.size(-1))), merge(k, whole(k.size(-2), k.size(-1))),
                     merge(v, whole(v.size(-2), v.size(-1))), c);
  Shape shape = whole(q.size(-2), v.size(-1));
  return reshape(y, {shape.begin(), shape.end()});
}

std::vector<Tensor> BlockedAttention::vjp(TensorSpan in, TensorSpan, TensorSpan grads) const {
  Call c{in.size() > 4 ? in[4] : Tensor(), causal_, scale_};
  Grads out = backward(in[1], in[2], in[3], c, grads[0], c.mask && c.mask.requires_grad());
  out.insert(out.begin(), Tensor());  // of the result: it is not looked through
  out.resize(in.size());
  return out;
}

Attributes BlockedAttention::attributes() const {
  return {{"function", std::string(kName)}, {"causal", int64_t{causal_}}, {"scale", scale_}};
}

Made BlockedAttention::make(const Given& g) {
  std::span<const Type> in = g.inputs();
  if (in.size() != 4 && in.size() != 5) fail(kName, "takes 4 or 5 inputs, got ", in.size());
  for (const Type& t : in.first(4))
    if (t.shape.rank() != 3 || t.dtype != in[0].dtype || (t.dtype != DType::f32 && t.dtype != DType::f64))
      fail(kName, "float32 or float64 of (groups,length,width) is needed, got ", t);
  const Shape &y = in[0].shape, &q = in[1].shape, &k = in[2].shape, &v = in[3].shape;
  if (!(y == Shape{q[0], q[1], v[2]}) || !(k == Shape{q[0], v[1], q[2]}) || v[0] != q[0])
    fail(kName, "result ", y, ", q ", q, ", k ", k, " and v ", v, " do not fit");
  if (in.size() == 5) {
    const Type& mask = in[4];
    bool fits = mask.shape.rank() == 3 && (mask.dtype == DType::boolean || mask.dtype == in[0].dtype);
    for (int i = 0; fits && i < 3; ++i) fits = mask.shape[i] == 1 || mask.shape[i] == (i < 2 ? q[i] : k[1]);
    if (!fits) fail(kName, "the mask ", mask, " does not fit q ", q, " and k ", k);
  }
  return std::make_unique<BlockedAttention>(g.integer("causal", 0, 1) != 0, g.number("scale"));
}

}  // namespace ds
