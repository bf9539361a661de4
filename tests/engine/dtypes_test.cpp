// Dtypes through the tensor API: promotion, conversion, names, and the gradients of complex functions.
#include <complex>

#include "tests/engine/op_test.h"

namespace ds::test {
namespace {

using Z = std::complex<double>;
constexpr DType kTypes[] = {
#define X(e, c, n) DType::e,
    DS_DTYPES(X)
#undef X
};

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

Tensor complex_tensor(const std::vector<Z>& values, const Shape& shape) {
  std::vector<complex128> v;
  for (Z z : values) v.push_back({z.real(), z.imag()});
  return Tensor::from<complex128>(std::span<const complex128>(v), shape);
}
std::vector<Z> values_of(const Tensor& t) {
  std::vector<Z> out;
  for (complex128 z : cast(t, DType::c128).to_vector<complex128>()) out.emplace_back(z.re, z.im);
  return out;
}
std::vector<Z> complex_numbers(int64_t n, uint64_t seed, double low = -2, double high = 2) {
  Doubles re = numbers(n, low, high, seed), im = numbers(n, low, high, seed + 50);
  std::vector<Z> out;
  for (int64_t i = 0; i < n; ++i) out.emplace_back(re[i], im[i]);
  return out;
}

// Rows and columns in the order of the list; the array API's table, and PyTorch's between kinds. "": an error.
TEST(Promotion, EveryPair) {
  using enum DType;
  const std::vector<DType> order = {boolean, i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, c64, c128};
  const std::vector<std::vector<const char*>> integers = {{"int8", "int16", "int32", "int64"},
                                                          {"int16", "int16", "int32", "int64"},
                                                          {"int32", "int32", "int32", "int64"},
                                                          {"int64", "int64", "int64", "int64"}};
  const std::vector<std::vector<const char*>> mixed = {
      {"int16", "int32", "int64", ""},  // int8 beside uint8, uint16 ...
      {"int16", "int32", "int64", ""},
      {"int32", "int32", "int64", ""},
      {"int64", "int64", "int64", ""}};
  const std::vector<std::vector<const char*>> inexact = {
      {"float16", "float32", "float32", "float64", "complex64", "complex128"},
      {"float32", "bfloat16", "float32", "float64", "complex64", "complex128"},
      {"float32", "float32", "float32", "float64", "complex64", "complex128"},
      {"float64", "float64", "float64", "float64", "complex128", "complex128"},
      {"complex64", "complex64", "complex64", "complex128", "complex64", "complex128"},
      {"complex128", "complex128", "complex128", "complex128", "complex128", "complex128"}};
  for (size_t i = 0; i < order.size(); ++i) {
    for (size_t j = 0; j < order.size(); ++j) {
      size_t a = std::min(i, j), b = std::max(i, j);
      std::string want = name_of(order[b]);
      if (a >= 9) want = inexact[a - 9][b - 9];
      if (a >= 1 && b <= 4) want = integers[a - 1][b - 1];
      if (a >= 1 && a <= 4 && b >= 5 && b <= 8) want = mixed[a - 1][b - 5];
      Tensor x = zeros({2}, order[i]), y = ones({2}, order[j]);
      if (want.empty()) {
        EXPECT_NE(message_of([&] { x + y; }).find("[add] no integer holds"), std::string::npos);
        continue;
      }
      Tensor sum = x + y;
      EXPECT_EQ(name_of(sum.dtype()), want) << name_of(order[i]) << " + " << name_of(order[j]);
      EXPECT_EQ(doubles(sum), (Doubles{1, 1})) << name_of(order[i]) << " + " << name_of(order[j]);
    }
  }
}

TEST(Cast, EveryPair) {
  for (DType from : kTypes) {
    for (DType to : kTypes) {
      Tensor x = cast(Tensor::from<double>({0, 1, 2.75, 3, 100}, {5}), from);
      Doubles want = doubles(x);
      for (double& v : want) v = to == DType::boolean ? v != 0 : is_inexact(to) ? v : std::trunc(v);
      EXPECT_EQ(doubles(cast(x, to)), want) << name_of(from) << " to " << name_of(to);
    }
  }
  Tensor z = complex_tensor({{1.5, 2}, {0, 1}, {0, 0}}, {3});
  EXPECT_EQ(cast(z, DType::f32).to_vector<float>(), (std::vector<float>{1.5, 0, 0}));
  EXPECT_EQ(doubles(cast(z, DType::boolean)), (Doubles{1, 1, 0}));
}

TEST(DTypes, ValuesComeBackAndNamesAreNumPys) {
  EXPECT_EQ(Tensor::from<float16>({float16(1.5f)}, {}).item<float16>().bits, float16(1.5f).bits);
  EXPECT_EQ(Tensor::from<int8_t>({-3, 4}, {2}).to_vector<int8_t>(), (std::vector<int8_t>{-3, 4}));
  EXPECT_EQ(Tensor::from<uint64_t>({~uint64_t{0}}, {}).item<uint64_t>(), ~uint64_t{0});
  EXPECT_TRUE(Tensor::from<complex64>({{1, -2}}, {}).item<complex64>() == complex64(1, -2));
  std::string names;
  for (DType t : kTypes) names += std::string(name_of(t)) + " ";
  EXPECT_EQ(
      names,
      "float32 float64 bfloat16 int64 int32 uint8 bool float16 int8 int16 uint16 uint32 uint64 complex64 complex128 ");
  std::string error = message_of([] { zeros({2}, DType::u16).item<float>(); });
  EXPECT_NE(error.find("uint16(2,)"), std::string::npos) << error;
}

TEST(DTypes, IntegersWrapAround) {
  Tensor a = Tensor::from<uint16_t>({65535, 256}, {2}), b = Tensor::from<int8_t>({127, -128}, {2});
  EXPECT_EQ((a * a).to_vector<uint16_t>(), (std::vector<uint16_t>{1, 0}));
  EXPECT_EQ((b + b).to_vector<int8_t>(), (std::vector<int8_t>{-2, 0}));
  EXPECT_EQ(abs(b).to_vector<int8_t>(), (std::vector<int8_t>{127, -128}));
  EXPECT_EQ(matmul(a, a).item<uint16_t>(), 1);
  EXPECT_EQ(sum(a).item<uint64_t>(), 65791u);
  EXPECT_EQ(sum(b).item<int64_t>(), -1);
  EXPECT_EQ(amax(b).item<int8_t>(), 127);
  EXPECT_EQ(argmin(b, 0).item<int64_t>(), 1);
}

TEST(Complex, Values) {
  std::vector<Z> a = complex_numbers(12, 1), b = complex_numbers(12, 2);
  Tensor x = complex_tensor(a, {3, 4}), y = complex_tensor(b, {4, 3}), product = matmul(x, y);
  std::vector<Z> got = values_of(product);
  Z total = 0;
  for (Z z : a) total += z;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      Z want = 0;
      for (int k = 0; k < 4; ++k) want += a[i * 4 + k] * b[k * 3 + j];
      EXPECT_LE(std::abs(got[i * 3 + j] - want), 1e-14);
    }
  }
  EXPECT_LE(std::abs(values_of(sum(x))[0] - total), 1e-14);
  EXPECT_LE(std::abs(values_of(mean(x))[0] - total / 12.0), 1e-14);
  EXPECT_EQ(var(x).dtype(), DType::f64);
  EXPECT_TRUE(any(x).item<bool>());
  EXPECT_EQ(doubles(imag(complex(zeros({2}), ones({2})))), (Doubles{1, 1}));
  EXPECT_EQ(complex(ones({}, DType::f16), ones({})).dtype(), DType::c64);
  EXPECT_EQ(doubles(angle(Tensor::from<float>({-1, 2}, {2}))),
            (Doubles{static_cast<double>(static_cast<float>(M_PI)), 0}));
  EXPECT_NEAR(abs(complex_tensor({{3, 4}}, {})).item<double>(), 5, 1e-15);
  check_modes([&] { return real(exp(conj(x) * x) / (x + 1.0)) + abs(x); });
}

TEST(Complex, WhatHasNoOrderIsRefused) {
  Tensor z = complex_tensor({{1, 2}}, {1});
  EXPECT_EQ(message_of([&] { less(z, z); }), "[less] complex numbers have no order: got complex128(1,)");
  EXPECT_NE(message_of([&] { maximum(z, z); }), "");
  EXPECT_NE(message_of([&] { relu(z); }), "");
  EXPECT_NE(message_of([&] { floor(z); }), "");
  EXPECT_NE(message_of([&] { amax(z); }), "");
  EXPECT_NE(message_of([&] { argmax(z, 0); }), "");
  EXPECT_NE(message_of([&] { grad(z.set_requires_grad(true) * z, {&z, 1}); }).find("grad_output"), std::string::npos);
}

// d/d re + i d/d im of a real function of complex inputs, against differences in float64.
void check_complex_gradient(const std::string& name, const std::function<Tensor(const std::vector<Tensor>&)>& f,
                            const std::vector<std::vector<Z>>& inputs, const Shape& shape) {
  auto make = [&](const std::vector<std::vector<Z>>& v) {
    std::vector<Tensor> out;
    for (auto& z : v) out.push_back(complex_tensor(z, shape));
    return out;
  };
  auto loss = [&](const std::vector<Tensor>& in) {
    Tensor y = f(in);
    Tensor w = complex_tensor(complex_numbers(y.numel(), 77), y.shape());
    return sum(real(y * w));
  };
  std::vector<Tensor> leaves = make(inputs);
  for (Tensor& t : leaves) t.set_requires_grad(true);
  std::vector<Tensor> grads = grad(loss(leaves), leaves);
  for (size_t k = 0; k < inputs.size(); ++k) {
    EXPECT_EQ(grads[k].dtype(), DType::c128) << name;
    std::vector<Z> analytic = values_of(grads[k]);
    for (size_t e = 0; e < inputs[k].size(); ++e) {
      auto along = [&](Z h) {
        auto up = inputs, down = inputs;
        up[k][e] += h, down[k][e] -= h;
        return (loss(make(up)).item<double>() - loss(make(down)).item<double>()) / 2e-6;
      };
      Z numeric(along({1e-6, 0}), along({0, 1e-6}));
      EXPECT_LE(std::abs(analytic[e] - numeric), 1e-7 * (1 + std::abs(numeric)))
          << name << " input " << k << " at " << inputs[k][e] << ": " << analytic[e] << ", not " << numeric;
    }
  }
}

TEST(Complex, GradientsOfOneOperand) {
  using F = Tensor (*)(const Tensor&);
  const std::pair<const char*, F> functions[] = {
      {"neg", neg},   {"abs", abs},     {"sign", sign},     {"exp", exp},         {"log", log},   {"sqrt", sqrt},
      {"sin", sin},   {"cos", cos},     {"tanh", tanh},     {"sigmoid", sigmoid}, {"real", real}, {"imag", imag},
      {"conj", conj}, {"angle", angle}, {"square", square}, {"rsqrt", rsqrt}};
  std::vector<Z> z = complex_numbers(6, 3, 0.3, 1.2);
  for (size_t i = 0; i < z.size(); ++i) z[i] = i % 2 ? std::conj(z[i]) : -z[i] * Z(0, 1);
  for (auto& [name, f] : functions) check_complex_gradient(name, [&, g = f](auto& in) { return g(in[0]); }, {z}, {6});
  check_complex_gradient("sum", [](auto& in) { return sum(in[0] * in[0]); }, {z}, {6});
  check_complex_gradient("prod", [](auto& in) { return prod(in[0]); }, {z}, {6});
  check_complex_gradient("var", [](auto& in) { return var(in[0]); }, {z}, {6});
  check_complex_gradient("cast", [](auto& in) { return cast(in[0], DType::f64) * in[0]; }, {z}, {6});
  check_complex_gradient("slice", [](auto& in) { return slice(in[0], 0, 1, 4) * 2.0; }, {z}, {6});
  check_complex_gradient("take",
                         [](auto& in) {
                           return take(in[0], Tensor::from<int64_t>({1, 1, 4}, {3}), 0);
                         },
                         {z}, {6});
}

TEST(Complex, GradientsOfTwoOperands) {
  std::vector<Z> a = complex_numbers(4, 4, 0.3, 1.2), b = complex_numbers(4, 5, 0.4, 1.5);
  auto check = [&](const char* name, Tensor (*f)(const Tensor&, const Tensor&)) {
    check_complex_gradient(name, [f](auto& in) { return f(in[0], in[1]); }, {a, b}, {2, 2});
  };
  check("add", add);
  check("sub", sub);
  check("mul", mul);
  check("div", div);
  check("pow", pow);
  check("matmul", matmul);
  check_complex_gradient("where", [](auto& in) { return where(less(real(in[0]), real(in[1])), in[0] * in[1], in[1]); },
                         {a, b}, {2, 2});
}

// Real inputs of complex functions get the real part.
TEST(Complex, GradientsOfRealInputsAreReal) {
  Tensor x = Tensor::from<double>({0.5, -1.5}, {2}).set_requires_grad(true);
  Tensor w = complex_tensor({{1, 2}, {3, -4}}, {2});
  Tensor g = grad(sum(real(x * w)), {&x, 1})[0];
  EXPECT_EQ(g.to_vector<double>(), (Doubles{1, 3}));
  Tensor h = grad(sum(imag(complex(x, x * x) * w)), {&x, 1})[0];  // re(w) 2x + im(w)
  EXPECT_EQ(h.to_vector<double>(), (Doubles{2 * 0.5 + 2, -3 * 3 - 4}));
}

}  // namespace
}  // namespace ds::test
