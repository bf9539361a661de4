#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

const std::vector<std::pair<int64_t, int64_t>> kShapes = {{1, 1}, {128, 10}, {3, 31}, {7, 1000}, {2, 20000}, {0, 5}};

std::vector<double> softmax_of(const Array& x, int64_t rows, int64_t columns) {
  std::vector<double> s(at(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    double max = -kInf, sum = 0;
    for (int64_t j = 0; j < columns; ++j) max = std::max(max, x[at(r * columns + j)]);
    for (int64_t j = 0; j < columns; ++j) sum += std::exp(x[at(r * columns + j)] - max);
    for (int64_t j = 0; j < columns; ++j) s[at(r * columns + j)] = std::exp(x[at(r * columns + j)] - max) / sum;
  }
  return s;
}

TEST(Softmax, ValuesAndGradients) {
  for (DType type : kFloats) {
    for (auto [rows, columns] : kShapes) {
      Array x = random_array(type, rows * columns, 1, -6, 6), g = random_array(type, rows * columns, 2);
      std::vector<double> s = softmax_of(x, rows, columns), log(s.size()), ds(s.size()), dlog(s.size());
      Array y(type, s), ylog(type, s.size());
      for (size_t i = 0; i < s.size(); ++i) ylog.set(i, log[i] = std::log(s[i]));
      for (int64_t r = 0; r < rows; ++r) {
        double dot = 0, sum = 0;
        for (int64_t j = r * columns; j < (r + 1) * columns; ++j) dot += g[at(j)] * y[at(j)], sum += g[at(j)];
        for (int64_t j = r * columns; j < (r + 1) * columns; ++j) {
          ds[at(j)] = (g[at(j)] - dot) * y[at(j)];
          dlog[at(j)] = g[at(j)] - std::exp(ylog[at(j)]) * sum;
        }
      }
      auto out = on_threads([&, rows = rows, columns = columns](Context& ctx) {
        std::vector<Array> o(4, Array(type, s.size()));
        cpu().softmax(ctx, type, o[0].data(), x.data(), rows, columns);
        cpu().log_softmax(ctx, type, o[1].data(), x.data(), rows, columns);
        cpu().softmax_grad(ctx, type, o[2].data(), g.data(), y.data(), rows, columns);
        cpu().log_softmax_grad(ctx, type, o[3].data(), g.data(), ylog.data(), rows, columns);
        return o;
      });
      expect_near(out[0], s, 2, "softmax");
      expect_near(out[1], log, 2, "log_softmax");
      expect_near(out[2], ds, 2, "softmax_grad");
      expect_near(out[3], dlog, 8, "log_softmax_grad");
    }
  }
}

TEST(Softmax, ExtremesOfARow) {
  TestContext ctx(1);
  Array x(DType::f32, {1000, 0, -kInf, -1000, kNan, 1, 2, 3}), y(DType::f32, 8);
  cpu().softmax(ctx, DType::f32, y.data(), x.data(), 2, 4);
  expect_near(y, {1, 0, 0, 0, kNan, kNan, kNan, kNan}, 1, "softmax");
}

TEST(CrossEntropy, ValuesGradientsAndIgnoredRows) {
  for (DType type : kFloats) {
    for (auto [rows, columns] : kShapes) {
      Array x = random_array(type, rows * columns, 1, -6, 6), g = random_array(type, rows, 2);
      std::vector<int64_t> target(at(rows));
      for (int64_t r = 0; r < rows; ++r) target[at(r)] = r % 5 == 3 ? -100 : (r % 7 == 5 ? columns : r * 13 % columns);
      std::vector<double> s = softmax_of(x, rows, columns), loss(at(rows)), dx(s.size());
      for (int64_t r = 0; r < rows; ++r) {
        int64_t t = target[at(r)];
        if (t < 0 || t >= columns) continue;
        loss[at(r)] = -std::log(s[at(r * columns + t)]);
        for (int64_t j = 0; j < columns; ++j) dx[at(r * columns + j)] = (s[at(r * columns + j)] - (j == t)) * g[at(r)];
      }
      auto out = on_threads([&, rows = rows, columns = columns](Context& ctx) {
        std::vector<Array> o{Array(type, at(rows)), Array(type, s.size())};
        cpu().cross_entropy(ctx, type, o[0].data(), x.data(), target.data(), rows, columns);
        cpu().cross_entropy_grad(ctx, type, o[1].data(), g.data(), x.data(), target.data(), rows, columns);
        return o;
      });
      expect_near(out[0], loss, 2, "cross_entropy");
      expect_near(out[1], dx, 4, "cross_entropy_grad");
    }
  }
}

TEST(LayerNorm, ValuesAndGradients) {
  for (DType type : kFloats) {
    for (auto [rows, columns] : kShapes) {
      if (columns == 1) continue;
      size_t n = at(rows * columns);
      DType kept = type == DType::f64 ? DType::f64 : DType::f32;
      Array x = random_array(type, rows * columns, 1), gamma = random_array(type, columns, 2);
      Array beta = random_array(type, columns, 3), g = random_array(type, rows * columns, 4);
      std::vector<double> y(n), mean(at(rows)), rstd(at(rows)), dx(n), dgamma(at(columns)), dbeta(at(columns));
      double c = static_cast<double>(columns);
      for (int64_t r = 0; r < rows; ++r) {
        size_t base = at(r * columns);
        double m = 0, v = 0, a = 0, b = 0;
        for (size_t j = 0; j < at(columns); ++j) m += x[base + j] / c;
        for (size_t j = 0; j < at(columns); ++j) v += (x[base + j] - m) * (x[base + j] - m) / c;
        double s = 1 / std::sqrt(v + 1e-5);
        mean[at(r)] = m;
        rstd[at(r)] = s;
        for (size_t j = 0; j < at(columns); ++j) {
          double h = (x[base + j] - m) * s, gg = g[base + j] * gamma[j];
          y[base + j] = h * gamma[j] + beta[j];
          dgamma[j] += g[base + j] * h;
          dbeta[j] += g[base + j];
          a += gg / c;
          b += gg * h / c;
        }
        for (size_t j = 0; j < at(columns); ++j) {
          dx[base + j] = s * (g[base + j] * gamma[j] - a - (x[base + j] - m) * s * b);
        }
      }
      auto out = on_threads([&, rows = rows, columns = columns](Context& ctx) {
        std::vector<Array> o{Array(type, n), Array(kept, at(rows)),    Array(kept, at(rows)),
                             Array(type, n), Array(type, at(columns)), Array(type, at(columns))};
        cpu().layer_norm(ctx, type, o[0].data(), o[1].data(), o[2].data(), x.data(), gamma.data(), beta.data(), 1e-5,
                         rows, columns);
        cpu().layer_norm_grad(ctx, type, o[3].data(), o[4].data(), o[5].data(), g.data(), x.data(), gamma.data(),
                              o[1].data(), o[2].data(), rows, columns);
        return o;
      });
      expect_near(out[0], y, 4, "y");
      expect_near(out[1], mean, 4, "mean");
      expect_near(out[2], rstd, 4, "rstd");
      expect_near(out[3], dx, 8, "dx");
      expect_near(out[4], dgamma, 16, "dgamma");
      expect_near(out[5], dbeta, 16, "dbeta");
    }
  }
}

TEST(Normalize, RefusesIntegers) {
  TestContext ctx(1);
  EXPECT_THROW(cpu().softmax(ctx, DType::i32, nullptr, nullptr, 1, 1), NotSupported);
}

}  // namespace
}  // namespace ds::kernels
