// The numerics of LinalgOp, by Eigen.
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <atomic>
#include <cmath>

#include "engine/ops/linalg.h"

namespace ds {
namespace {

// Everything is computed in f64: f32 results are right to their last bits, and Eigen's templates are built once.
using Matrix = Eigen::MatrixXd;

// A place for f32 or f64 elements.
struct Out {
  void* data;
  DType type;
  void set(int64_t i, double x) const {
    if (type == DType::f32)
      static_cast<float*>(data)[i] = static_cast<float>(x);
    else
      static_cast<double*>(data)[i] = x;
  }
};

Matrix read(const void* from, DType t, int64_t first, int64_t m, int64_t n) {
  Matrix a(m, n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      int64_t at = first + i * n + j;
      a(i, j) = t == DType::f32 ? static_cast<const float*>(from)[at] : static_cast<const double*>(from)[at];
    }
  return a;
}
void write(const Matrix& a, Out to, int64_t rows) {  // the first `rows` of a
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < a.cols(); ++j) to.set(i * a.cols() + j, a(i, j));
}
void write_line(const Eigen::VectorXd& v, Out to) {
  for (int64_t i = 0; i < v.size(); ++i) to.set(i, v(i));
}
// Keeps one triangle of a.
void clear(Matrix& a, bool below) {
  for (int64_t j = 0; j < a.cols(); ++j)
    for (int64_t i = 0; i < a.rows(); ++i)
      if (below ? i > j : i < j) a(i, j) = 0.0;
}

bool cholesky(const Matrix& a, Out out) {
  Eigen::LLT<Matrix> f(a);
  Matrix l = f.matrixLLT();
  clear(l, false);
  write(l, out, l.rows());
  return f.info() == Eigen::Success;
}

void qr(const Matrix& a, bool complete, Out q, Out r) {
  int64_t m = a.rows(), n = a.cols(), k = complete ? m : std::min(m, n);
  Eigen::HouseholderQR<Matrix> f(a);
  Matrix whole = Matrix::Identity(m, k), upper = f.matrixQR();
  whole.applyOnTheLeft(f.householderQ());
  clear(upper, true);
  write(whole, q, m);
  write(upper, r, k);
}

bool svd(const Matrix& a, bool full, Out u, Out s, Out vh) {
  unsigned how = full ? Eigen::ComputeFullU | Eigen::ComputeFullV : Eigen::ComputeThinU | Eigen::ComputeThinV;
  Eigen::BDCSVD<Matrix> f(a, how);
  write(f.matrixU(), u, f.matrixU().rows());
  write_line(f.singularValues(), s);
  write(f.matrixV().transpose(), vh, f.matrixV().cols());
  return f.info() == Eigen::Success;
}

bool eigh(const Matrix& a, Out values, Out vectors) {
  Eigen::SelfAdjointEigenSolver<Matrix> f(a);
  write_line(f.eigenvalues(), values);
  write(f.eigenvectors(), vectors, a.rows());
  return f.info() == Eigen::Success;
}

// Rows are exchanged as in LAPACK: the largest of a column comes up, also where the matrix is not square.
void lu(Matrix w, int64_t* pivots, Out l_out, Out u_out) {
  int64_t m = w.rows(), n = w.cols(), k = std::min(m, n);
  for (int64_t i = 0; i < m; ++i) pivots[i] = i;
  for (int64_t j = 0; j < k; ++j) {
    int64_t best = j;
    for (int64_t i = j + 1; i < m; ++i)
      if (std::abs(w(i, j)) > std::abs(w(best, j))) best = i;
    if (best != j) {
      for (int64_t c = 0; c < n; ++c) std::swap(w(j, c), w(best, c));
      std::swap(pivots[j], pivots[best]);
    }
    if (w(j, j) == 0.0) continue;
    for (int64_t i = j + 1; i < m; ++i) w(i, j) /= w(j, j);
    for (int64_t c = j + 1; c < n; ++c)
      for (int64_t i = j + 1; i < m; ++i) w(i, c) -= w(i, j) * w(j, c);
  }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < k; ++j) l_out.set(i * k + j, i > j ? w(i, j) : i == j);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j) u_out.set(i * n + j, i <= j ? w(i, j) : 0.0);
}

bool solve(const Matrix& a, const Matrix& b, Out out) {
  Eigen::PartialPivLU<Matrix> f(a);
  for (int64_t i = 0; i < a.rows(); ++i)
    if (f.matrixLU()(i, i) == 0.0) return false;
  write(f.solve(b), out, b.rows());
  return true;
}

void solve_triangle(const Matrix& a, Matrix b, bool upper, bool unit, Out out) {
  int64_t n = a.rows();
  for (int64_t c = 0; c < b.cols(); ++c)
    for (int64_t step = 0; step < n; ++step) {
      int64_t j = upper ? n - 1 - step : step;
      if (!unit) b(j, c) /= a(j, j);
      for (int64_t i = upper ? 0 : j + 1; i < (upper ? j : n); ++i) b(i, c) -= a(i, j) * b(j, c);
    }
  write(b, out, n);
}

void slogdet(const Matrix& a, Out sign, Out logabs) {
  Eigen::PartialPivLU<Matrix> f(a);
  double s = f.permutationP().determinant(), sum = 0;
  for (int64_t i = 0; i < a.rows(); ++i) {
    double d = f.matrixLU()(i, i);
    s *= d > 0 ? 1 : d < 0 ? -1 : d;
    sum += std::log(std::abs(d));
  }
  sign.set(0, s);
  logabs.set(0, sum);
}

double det(const Matrix& a) {
  Eigen::PartialPivLU<Matrix> f(a);
  double product = f.permutationP().determinant();
  for (int64_t i = 0; i < a.rows(); ++i) product *= f.matrixLU()(i, i);
  return product;
}

bool run_one(const LinalgCall& c, int64_t i) {
  int64_t k = std::min(c.m, c.n);
  Matrix a = read(c.in[0], c.type, i * c.m * c.n, c.m, c.n);
  auto right = [&] { return read(c.in[1], c.type, i * c.m * c.k, c.m, c.k); };
  auto out = [&](int o, int64_t size) {
    return Out{static_cast<char*>(c.out[o]) + i * size * static_cast<int64_t>(size_of(c.type)), c.type};
  };
  switch (c.what) {
    case Linalg::cholesky:
      return cholesky(a, out(0, c.m * c.n));
    case Linalg::qr:
      return qr(a, false, out(0, c.m * k), out(1, k * c.n)), true;
    case Linalg::qr_complete:
      return qr(a, true, out(0, c.m * c.m), out(1, c.m * c.n)), true;
    case Linalg::svd:
      return svd(a, false, out(0, c.m * k), out(1, k), out(2, k * c.n));
    case Linalg::svd_full:
      return svd(a, true, out(0, c.m * c.m), out(1, k), out(2, c.n * c.n));
    case Linalg::eigh:
      return eigh(a, out(0, c.m), out(1, c.m * c.n));
    case Linalg::lu:
      return lu(a, static_cast<int64_t*>(c.out[0]) + i * c.m, out(1, c.m * k), out(2, k * c.n)), true;
    case Linalg::solve:
      return solve(a, right(), out(0, c.m * c.k));
    case Linalg::solve_lower:
      return solve_triangle(a, right(), false, false, out(0, c.m * c.k)), true;
    case Linalg::solve_upper:
      return solve_triangle(a, right(), true, false, out(0, c.m * c.k)), true;
    case Linalg::solve_unit_lower:
      return solve_triangle(a, right(), false, true, out(0, c.m * c.k)), true;
    case Linalg::solve_unit_upper:
      return solve_triangle(a, right(), true, true, out(0, c.m * c.k)), true;
    case Linalg::slogdet:
      return slogdet(a, out(0, 1), out(1, 1)), true;
    case Linalg::det:
      return out(0, 1).set(0, det(a)), true;
  }
  return false;
}

}  // namespace

void linalg_on_host(kernels::Context& ctx, const LinalgCall& c) {
  std::atomic<int64_t> bad{-1};  // threads must not throw
  ctx.parallel_for(c.batch, std::max<int64_t>(1, 100000 / (c.m * c.n * std::min(c.m, c.n) + 1)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       if (!run_one(c, i)) bad = i;
                   });
  if (bad < 0) return;
  const char* why = c.what == Linalg::cholesky ? " is not positive definite"
                    : c.what == Linalg::solve  ? " is singular"
                                               : " did not converge";
  fail(name_of(c.what), "matrix ", bad.load(), " of ", c.batch, why);
}

}  // namespace ds
