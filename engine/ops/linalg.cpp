#include "engine/ops/linalg.h"

#include <algorithm>
#include <limits>

namespace ds {
namespace {

bool has_right_side(Linalg w) { return w >= Linalg::solve && w <= Linalg::solve_unit_upper; }
bool is_square_only(Linalg w) {
  return !(w == Linalg::qr || w == Linalg::qr_complete || w == Linalg::svd || w == Linalg::svd_full || w == Linalg::lu);
}
bool reads_upper(Linalg w) { return w == Linalg::solve_upper || w == Linalg::solve_unit_upper; }
bool is_unit(Linalg w) { return w == Linalg::solve_unit_lower || w == Linalg::solve_unit_upper; }
Linalg triangle(bool upper, bool unit) {
  if (unit) return upper ? Linalg::solve_unit_upper : Linalg::solve_unit_lower;
  return upper ? Linalg::solve_upper : Linalg::solve_lower;
}

Shape with_ends(const Shape& batch_of, std::initializer_list<int64_t> ends) {
  Shape s;
  for (int i = 0; i + 2 < batch_of.rank(); ++i) s.push_back(batch_of[i]);
  for (int64_t e : ends) s.push_back(e);
  return s;
}

int64_t rows(const Tensor& x) { return x.size(-2); }
int64_t columns(const Tensor& x) { return x.size(-1); }
Tensor mt(const Tensor& x) { return matrix_transpose(x); }
Tensor mm(const Tensor& a, const Tensor& b) { return matmul(a, b); }
Tensor column(const Tensor& v) { return unsqueeze(v, -1); }
Tensor row(const Tensor& v) { return unsqueeze(v, -2); }
Tensor left(const Tensor& x, int64_t n) { return slice(x, -1, 0, n); }
Tensor or_zero(const Tensor& g, const Tensor& like_this) {
  return g ? g : full(like_this.shape(), 0, like_this.dtype(), like_this.device());
}
std::vector<Tensor> call(Linalg w, std::vector<Tensor> in) {
  return append(std::make_unique<LinalgOp>(w), std::move(in));
}

// a^-1 b for a triangular a, and b a^-1.
Tensor tri_left(const Tensor& a, const Tensor& b, bool upper, bool unit = false) {
  return call(triangle(upper, unit), {a, b})[0];
}
Tensor tri_right(const Tensor& b, const Tensor& a, bool upper, bool unit = false) {
  return mt(tri_left(mt(a), mt(b), !upper, unit));
}

Tensor cholesky_gradient(const Tensor& l, const Tensor& g) {
  Tensor p = mm(mt(l), tril(g));
  p = tril(p) - diag_embed(diagonal(p)) * 0.5;
  Tensor s = tri_left(mt(l), tri_right(p, l, false), true);
  return (s + mt(s)) * 0.5;
}

// Of a matrix at least as tall as wide; of a wider one (x | y) = q (u | v) the columns y follow as q v.
Tensor qr_gradient(const Tensor& a, const Tensor& q, const Tensor& r, Tensor gq, const Tensor& gr) {
  int64_t m = rows(a), n = columns(a);
  if (m >= n) {
    Tensor w = mm(r, mt(gr)) - mm(mt(gq), q);
    Tensor sym = tril(w) + mt(tril(w, -1));
    return tri_right(gq + mm(q, sym), mt(r), false);
  }
  Tensor y = slice(a, -1, m, n), u = left(r, m), gu = left(gr, m), gv = slice(gr, -1, m, n);
  gq = gq + mm(y, mt(gv));
  return concat({qr_gradient(left(a, m), q, u, gq, gu), mm(q, gv)}, -1);
}

// 1 / (x_j - x_i), 0 where they are equal: on the diagonal, and where vectors of one value have no gradient of their
// own.
Tensor gaps(const Tensor& x) {
  Tensor d = row(x) - column(x), same = equal(d, like(d, 0));
  return where(same, like(x, 0), 1.0 / where(same, like(x, 1), d));
}

Tensor svd_gradient(TensorSpan out, TensorSpan grads) {
  const Tensor &u = out[0], &s = out[1], &vh = out[2];
  Tensor v = mt(vh), e = gaps(s * s);
  Tensor inner = diag_embed(or_zero(grads[1], s)), outside;
  auto skew = [](const Tensor& x) { return x - mt(x); };
  if (grads[0]) inner = inner + skew(mm(mt(u), grads[0])) * e * row(s);
  if (grads[2]) inner = inner + column(s) * (skew(mm(vh, mt(grads[2]))) * e);
  Tensor g = mm(mm(u, inner), vh);
  if (grads[0] && rows(u) > columns(u)) {
    Tensor w = grads[0] / row(s);
    g = g + mm(w - mm(u, mm(mt(u), w)), vh);
  }
  if (grads[2] && columns(vh) > rows(vh)) {
    Tensor w = grads[2] / column(s);
    g = g + mm(u, w - mm(mm(w, v), vh));
  }
  return g;
}

Tensor eigh_gradient(TensorSpan out, TensorSpan grads) {
  const Tensor &values = out[0], &v = out[1];
  Tensor inner = diag_embed(or_zero(grads[0], values));
  if (grads[1]) inner = inner + mm(mt(v), grads[1]) * gaps(values);
  Tensor g = mm(mm(v, inner), mt(v));
  return (g + mt(g)) * 0.5;  // of a symmetric matrix, as Cholesky's
}

Tensor unpermute_rows(const Tensor& x, const Tensor& pivots) {
  Tensor at = broadcast_to(unsqueeze(argsort(pivots, -1), -1), x.shape());
  return gather(x, -2, at);
}

Tensor lu_gradient(TensorSpan in, TensorSpan out, TensorSpan grads) {
  const Tensor &l = out[1], &u = out[2];
  if (rows(in[0]) != columns(in[0])) fail("lu", "only square matrices have a gradient, got ", in[0].shape());
  Tensor inner = tril(mm(mt(l), or_zero(grads[1], l)), -1) + triu(mm(or_zero(grads[2], u), mt(u)));
  return unpermute_rows(tri_left(mt(l), tri_right(inner, mt(u), false), true, true), out[0]);
}

}  // namespace

const char* name_of(Linalg w) {
  static constexpr const char* kNames[] = {"cholesky", "qr",    "qr",    "svd",   "svd",   "eigh",    "lu",
                                           "solve",    "solve", "solve", "solve", "solve", "slogdet", "det"};
  return kNames[static_cast<int>(w)];
}

static constexpr const char* kLinalgs[] = {
    "cholesky", "qr",    "qr_complete", "svd",         "svd_full",         "eigh",
    "lu",       "solve", "solve_lower", "solve_upper", "solve_unit_lower", "solve_unit_upper",
    "slogdet",  "det"};  // of Linalg

Attributes LinalgOp::attributes() const { return {{"what", std::string(kLinalgs[static_cast<int>(what_)])}}; }

Made LinalgOp::make(const Given& g) {
  auto what = static_cast<Linalg>(g.choice("what", kLinalgs));
  g.takes(has_right_side(what) ? 2 : 1);
  return std::make_unique<LinalgOp>(what);
}

Types LinalgOp::infer(std::span<const Type> in) const {
  const char* op = name_of(what_);
  const Type& a = in[0];
  for (const Type& t : in) {
    if (t.dtype != a.dtype || (t.dtype != DType::f32 && t.dtype != DType::f64))
      fail(op, "float32 or float64 matrices are needed, got ", t);
    if (t.shape.rank() < 2) fail(op, "matrices (...,m,n) are needed, got ", t);
  }
  int64_t m = a.shape[a.shape.rank() - 2], n = a.shape[a.shape.rank() - 1], k = std::min(m, n);
  if (is_square_only(what_) && m != n) fail(op, "square matrices are needed, got ", a);
  if (has_right_side(what_)) {
    const Shape& b = in[1].shape;
    if (!(with_ends(b, {m, 0}) == with_ends(a.shape, {b[b.rank() - 2], 0})))
      fail(op, "the right side ", b, " does not fit ", a.shape);
    return {in[1]};
  }
  auto t = [&](std::initializer_list<int64_t> ends) { return Type{a.dtype, with_ends(a.shape, ends)}; };
  switch (what_) {
    case Linalg::cholesky:
      return {a};
    case Linalg::qr:
      return {t({m, k}), t({k, n})};
    case Linalg::qr_complete:
      return {t({m, m}), t({m, n})};
    case Linalg::svd:
      return {t({m, k}), t({k}), t({k, n})};
    case Linalg::svd_full:
      return {t({m, m}), t({k}), t({n, n})};
    case Linalg::eigh:
      return {t({m}), a};
    case Linalg::lu:
      return {{DType::i64, with_ends(a.shape, {m})}, t({m, k}), t({k, n})};
    case Linalg::slogdet:
      return {t({}), t({})};
    default:
      return {t({})};
  }
}

Grads LinalgOp::vjp(TensorSpan in, TensorSpan out, TensorSpan grads) const {
  switch (what_) {
    case Linalg::cholesky:
      return {cholesky_gradient(out[0], grads[0])};
    case Linalg::qr_complete:
      if (rows(in[0]) > columns(in[0])) fail("qr", "the complete one of ", in[0].shape(), " has no gradient");
      [[fallthrough]];
    case Linalg::qr:
      return {qr_gradient(in[0], out[0], out[1], or_zero(grads[0], out[0]), or_zero(grads[1], out[1]))};
    case Linalg::svd_full:
      if ((grads[0] || grads[2]) && rows(in[0]) != columns(in[0]))
        fail("svd", "only the reduced one of ", in[0].shape(), " has a gradient");
      [[fallthrough]];
    case Linalg::svd:
      return {svd_gradient(out, grads)};
    case Linalg::eigh:
      return {eigh_gradient(out, grads)};
    case Linalg::lu:
      return {lu_gradient(in, out, grads)};
    case Linalg::solve: {
      Tensor gb = call(Linalg::solve, {mt(in[0]), grads[0]})[0];
      return {neg(mm(gb, mt(out[0]))), gb};
    }
    case Linalg::slogdet:
      return {grads[1] ? column(column(grads[1])) * mt(inv(in[0])) : Tensor()};
    case Linalg::det:
      return {column(column(grads[0] * out[0])) * mt(inv(in[0]))};
    default: {
      bool upper = reads_upper(what_), unit = is_unit(what_);
      Tensor gb = tri_left(mt(in[0]), grads[0], !upper, unit), ga = neg(mm(gb, mt(out[0])));
      return {upper ? triu(ga, unit ? 1 : 0) : tril(ga, unit ? -1 : 0), gb};
    }
  }
}

void LinalgOp::eval(Execution& e) const {
  const Type& a = e.input_type(0);
  int rank = a.shape.rank();
  LinalgCall c{what_, a.dtype, 1, a.shape[rank - 2], a.shape[rank - 1], 0, {}, {}};
  for (int i = 0; i + 2 < rank; ++i) c.batch *= a.shape[i];
  int outputs = what_ == Linalg::svd || what_ == Linalg::svd_full || what_ == Linalg::lu ? 3
                : what_ <= Linalg::eigh && what_ != Linalg::cholesky                     ? 2
                : what_ == Linalg::slogdet                                               ? 2
                                                                                         : 1;
  for (int i = 0; i < outputs; ++i) c.out[i] = e.output(i);
  if (e.output_device().kind == DeviceKind::null) return;
  if (e.output_device().kind != DeviceKind::cpu)
    fail(name_of(what_), "runs on the cpu only, the matrix is on ", e.output_device().str());
  c.in[0] = e.contiguous(0);
  if (has_right_side(what_)) {
    c.in[1] = e.contiguous(1);
    c.k = e.input_type(1).shape[e.input_type(1).shape.rank() - 1];
  }
  if (c.batch > 0) linalg_on_host(e.context(), c);
}

Cost LinalgOp::cost(std::span<const Type> in, std::span<const Type> out) const {
  Cost c = Op::cost(in, out);
  const Shape& s = in[0].shape;
  c.flops = static_cast<double>(s.numel()) * static_cast<double>(std::min(s[s.rank() - 1], s[s.rank() - 2])) *
            (what_ == Linalg::svd || what_ == Linalg::svd_full || what_ == Linalg::eigh ? 10 : 1);
  return c;
}

// ---- functions

Tensor eye(int64_t n, int64_t m, DType t, Device d) {
  if (m < 0) m = n;
  Tensor i = arange(0, static_cast<double>(n), 1, DType::i64, d),
         j = arange(0, static_cast<double>(m), 1, DType::i64, d);
  return cast(equal(unsqueeze(i, 1), unsqueeze(j, 0)), t);
}

namespace {
// Column minus row, for each element of the last two dimensions.
Tensor offsets(const char* op, const Tensor& x) {
  if (x.rank() < 2) fail(op, "matrices (...,m,n) are needed, got ", x.shape());
  auto line = [&](int64_t n) { return arange(0, static_cast<double>(n), 1, DType::i64, x.device()); };
  return unsqueeze(line(columns(x)), 0) - unsqueeze(line(rows(x)), 1);
}
}  // namespace

Tensor tril(const Tensor& x, int64_t diagonal) {
  Tensor o = offsets("tril", x);
  return where(less_equal(o, like(o, static_cast<double>(diagonal))), x, like(x, 0));
}
Tensor triu(const Tensor& x, int64_t diagonal) {
  Tensor o = offsets("triu", x);
  return where(greater_equal(o, like(o, static_cast<double>(diagonal))), x, like(x, 0));
}
Tensor diag_embed(const Tensor& x) {
  if (x.rank() < 1) fail("diag_embed", "vectors (...,n) are needed, got ", x.shape());
  return where(eye(x.size(-1), -1, DType::boolean, x.device()), unsqueeze(x, -1), like(x, 0));
}
Tensor diagonal(const Tensor& x) {
  if (x.rank() < 2) fail("diagonal", "matrices (...,m,n) are needed, got ", x.shape());
  int64_t k = std::min(rows(x), columns(x));
  std::vector<int64_t> shape(x.shape().begin(), x.shape().end());
  shape[shape.size() - 2] = k, shape.back() = 1;
  Shape at{std::span<const int64_t>(shape)};
  Tensor i = broadcast_to(unsqueeze(arange(0, static_cast<double>(k), 1, DType::i64, x.device()), 1), at);
  return squeeze(gather(slice(x, -2, 0, k), -1, i), -1);
}
Tensor matrix_transpose(const Tensor& x) { return transpose(x, -2, -1); }

Tensor cholesky(const Tensor& a, bool upper) {
  Tensor l = call(Linalg::cholesky, {a})[0];
  return upper ? mt(l) : l;
}
QR qr(const Tensor& a, bool complete) {
  auto out = call(complete ? Linalg::qr_complete : Linalg::qr, {a});
  return {out[0], out[1]};
}
SVD svd(const Tensor& a, bool full_matrices) {
  auto out = call(full_matrices ? Linalg::svd_full : Linalg::svd, {a});
  return {out[0], out[1], out[2]};
}
Tensor svdvals(const Tensor& a) { return svd(a, false).s; }
Eigh eigh(const Tensor& a) {
  auto out = call(Linalg::eigh, {a});
  return {out[0], out[1]};
}
LU lu(const Tensor& a) {
  auto out = call(Linalg::lu, {a});
  return {out[0], out[1], out[2]};
}

namespace {
Tensor solve_with(Linalg w, const Tensor& a, const Tensor& b) {
  if (a.rank() < 2 || b.rank() < 2)
    fail(name_of(w), "matrices (...,n,n) and (...,n,k) are needed, got ", a.shape(), " and ", b.shape());
  Shape batch = broadcast_shapes(name_of(w), with_ends(a.shape(), {}), with_ends(b.shape(), {}));
  Shape to_a = batch, to_b = batch;
  for (int64_t back : {-2, -1}) to_a.push_back(a.size(back)), to_b.push_back(b.size(back));
  return call(w, {broadcast_to(a, to_a), broadcast_to(b, to_b)})[0];
}
double cut(const Tensor& a, double rtol) {
  double epsilon =
      a.dtype() == DType::f32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
  return rtol >= 0 ? rtol : epsilon * static_cast<double>(std::max(rows(a), columns(a)));
}
}  // namespace

Tensor solve(const Tensor& a, const Tensor& b) { return solve_with(Linalg::solve, a, b); }
Tensor triangular_solve(const Tensor& a, const Tensor& b, bool upper, bool unitriangular) {
  return solve_with(triangle(upper, unitriangular), a, b);
}
Tensor inv(const Tensor& a) {
  if (a.rank() < 2) fail("inv", "square matrices are needed, got ", a.shape());
  return solve(a, eye(rows(a), -1, a.dtype(), a.device()));
}
Tensor det(const Tensor& a) { return call(Linalg::det, {a})[0]; }
SlogDet slogdet(const Tensor& a) {
  auto out = call(Linalg::slogdet, {a});
  return {out[0], out[1]};
}
Tensor pinv(const Tensor& a, double rtol) {
  SVD d = svd(a, false);
  Tensor there = less(amax(d.s, {-1}, true) * cut(a, rtol), d.s);
  Tensor inverse = where(there, 1.0 / where(there, d.s, like(a, 1)), like(a, 0));
  return mm(mt(d.vh) * row(inverse), mt(d.u));
}
Tensor matrix_rank(const Tensor& a, double rtol) {
  Tensor s = svdvals(a);
  return sum(less(amax(s, {-1}, true) * cut(a, rtol), s), {-1});
}

}  // namespace ds
