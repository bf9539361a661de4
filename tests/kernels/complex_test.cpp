// Complex instructions against std::complex, over numbers of all quadrants and sizes, and float16 against its
// definition.
#include <complex>

#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

using Z = std::complex<double>;
using Function = Z (*)(Z, Z);
struct Case {
  const char* name;
  Ew op;
  int operands;
  Function reference;
};
const std::vector<Case> kCases = {
    {"neg", Ew::neg_, 1, [](Z a, Z) { return -a; }},
    {"abs", Ew::abs_, 1, [](Z a, Z) { return Z(std::abs(a)); }},
    {"sign", Ew::sign_, 1, [](Z a, Z) { return a == Z(0) ? Z(0) : a / std::abs(a); }},
    {"exp", Ew::exp_, 1, [](Z a, Z) { return std::exp(a); }},
    {"log", Ew::log_, 1, [](Z a, Z) { return std::log(a); }},
    {"sqrt", Ew::sqrt_, 1, [](Z a, Z) { return std::sqrt(a); }},
    {"rsqrt", Ew::rsqrt_, 1, [](Z a, Z) { return 1.0 / std::sqrt(a); }},
    {"sin", Ew::sin_, 1, [](Z a, Z) { return std::sin(a); }},
    {"cos", Ew::cos_, 1, [](Z a, Z) { return std::cos(a); }},
    {"tanh", Ew::tanh_, 1, [](Z a, Z) { return std::tanh(a); }},
    {"sigmoid", Ew::sigmoid_, 1, [](Z a, Z) { return 1.0 / (1.0 + std::exp(-a)); }},
    {"real", Ew::real_, 1, [](Z a, Z) { return Z(a.real()); }},
    {"imag", Ew::imag_, 1, [](Z a, Z) { return Z(a.imag()); }},
    {"conj", Ew::conj_, 1, [](Z a, Z) { return std::conj(a); }},
    {"angle", Ew::angle_, 1, [](Z a, Z) { return Z(std::arg(a)); }},
    {"add", Ew::add_, 2, [](Z a, Z b) { return a + b; }},
    {"sub", Ew::sub_, 2, [](Z a, Z b) { return a - b; }},
    {"mul", Ew::mul_, 2, [](Z a, Z b) { return a * b; }},
    {"div", Ew::div_, 2, [](Z a, Z b) { return a / b; }},
    {"pow", Ew::pow_, 2, [](Z a, Z b) { return std::pow(a, b); }},
};

DType result_of(Ew op, DType type) {
  bool real = op == Ew::abs_ || op == Ew::real_ || op == Ew::imag_ || op == Ew::angle_;
  return real ? real_of(type) : type;
}

Array apply(Ew op, DType result, const std::vector<Array>& in) {
  EwCode code;
  std::vector<EwInput> inputs;
  for (const Array& a : in) {
    code.inputs.push_back(a.type());
    inputs.push_back({a.data(), {1}});
  }
  code.instructions = {{op, result, {0, static_cast<uint16_t>(in.size() > 1), 0}}};
  code.outputs = {static_cast<uint16_t>(in.size())};
  EwSpace space{1, {static_cast<int64_t>(in[0].size())}};
  return on_threads([&](Context& ctx) {
    std::vector<Array> out{Array(result, in[0].size())};
    void* to = out[0].data();
    cpu().elementwise(ctx, code, space, inputs.data(), &to);
    return out;
  })[0];
}

TEST(Complex, EveryInstruction) {
  for (DType type : {DType::c64, DType::c128}) {
    for (double size : {0.01, 1.0, 3.0}) {
      Array a = random_complex_array(type, 3001, 1, -size, size), b = random_complex_array(type, 3001, 2, -2, 2);
      for (size_t i = 0; i < 8; ++i) a.set(i, Z(i & 1 ? size : 0, i & 2 ? -size : 0));
      for (const Case& c : kCases) {
        if (c.op == Ew::log_ || c.op == Ew::rsqrt_ || c.op == Ew::pow_) a.set(0, Z(1)), a.set(4, Z(1));
        Array y = apply(c.op, result_of(c.op, type), c.operands == 1 ? std::vector{a} : std::vector{a, b});
        for (size_t i = 0; i < y.size(); ++i) {
          Z want = c.reference(a.complex(i), b.complex(i)), got = y.complex(i);
          ASSERT_LE(std::abs(got - want), 4 * tolerance(type) * std::abs(want) + 1e-300)
              << c.name << " of " << name_of(type) << a.complex(i) << ", " << b.complex(i) << ": " << got << ", not "
              << want;
        }
      }
    }
  }
}

TEST(Complex, PartsAndComparisons) {
  for (DType type : {DType::c64, DType::c128}) {
    Array a(type, 4), b(type, 4);
    const Z left[] = {{1, 2}, {1, 2}, {kNan, 0}, {0, 0}}, right[] = {{1, 2}, {1, 3}, {kNan, 0}, {-0.0, 0}};
    for (size_t i = 0; i < 4; ++i) a.set(i, left[i]), b.set(i, right[i]);
    expect_near(apply(Ew::equal_, DType::boolean, {a, b}), {1, 0, 0, 1}, 0, "equal");
    expect_near(apply(Ew::not_equal_, DType::boolean, {a, b}), {0, 1, 1, 0}, 0, "not_equal");
    Array parts =
        apply(Ew::complex_, type, {apply(Ew::real_, real_of(type), {b}), apply(Ew::imag_, real_of(type), {b})});
    EXPECT_EQ(parts.bits(), b.bits());
    EXPECT_THROW(apply(Ew::less_, DType::boolean, {a, b}), NotSupported);
    EXPECT_THROW(apply(Ew::maximum_, type, {a, b}), NotSupported);
    EXPECT_THROW(apply(Ew::floor_, type, {a}), NotSupported);
  }
}

TEST(Complex, ProductsCommuteAndOnesWithTheConjugateAreReal) {
  Array a = random_complex_array(DType::c64, 1000, 5), b = random_complex_array(DType::c64, 1000, 6);
  EXPECT_TRUE(apply(Ew::mul_, DType::c64, {a, b}).bits() == apply(Ew::mul_, DType::c64, {b, a}).bits());
  Array square = apply(Ew::mul_, DType::c64, {a, apply(Ew::conj_, DType::c64, {a})});
  for (size_t i = 0; i < square.size(); ++i) EXPECT_EQ(square.complex(i).imag(), 0) << a.complex(i);
}

TEST(Complex, ExtremesNeitherOverflowNorVanish) {
  double big = 1e300, tiny = 1e-300;
  Array a(DType::c128, 2), one(DType::c128, 2);
  a.set(0, Z(3 * big, 4 * big)), a.set(1, Z(3 * tiny, 4 * tiny));
  one.set(0, Z(1, 1)), one.set(1, Z(1, 1));
  Array modulus = apply(Ew::abs_, DType::f64, {a}), root = apply(Ew::sqrt_, DType::c128, {a});
  EXPECT_NEAR(modulus[0] / big, 5, 1e-14);
  EXPECT_NEAR(modulus[1] / tiny, 5, 1e-14);
  EXPECT_NEAR(std::abs(root.complex(0) / Z(2e150, 1e150) - 1.0), 0, 1e-14);
  EXPECT_NEAR(std::abs(root.complex(1) / Z(2e-150, 1e-150) - 1.0), 0, 1e-14);
  Array inverse = apply(Ew::div_, DType::c128, {one, a});
  EXPECT_NEAR(std::abs(inverse.complex(0) * 1e300 - Z(7, -1) / 25.0), 0, 1e-14);
  Array edge(DType::c128, 1);
  edge.set(0, Z(710, 1.57));  // e^710 alone overflows
  EXPECT_NEAR(apply(Ew::exp_, DType::c128, {edge}).complex(0).real() / (std::exp(709.) * (M_E * std::cos(1.57))), 1,
              1e-9);
}

// All 65,536 values, and the halfway cases between neighbours.
TEST(Float16, ConversionsAreExactAndRoundToEven) {
  auto value = [](uint16_t bits) {
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double magnitude = exponent == 0    ? std::ldexp(mantissa, -24)
                       : exponent == 31 ? (mantissa ? kNan : kInf)
                                        : std::ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
  };
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    auto b = static_cast<uint16_t>(bits);
    float16 h;
    h.bits = b;
    double want = value(b), got = static_cast<double>(static_cast<float>(h));
    ASSERT_TRUE(got == want || (std::isnan(got) && std::isnan(want))) << bits;
    ASSERT_EQ(std::signbit(got), std::signbit(want)) << bits;
    float16 back(static_cast<float>(h));
    ASSERT_TRUE(back.bits == b || (std::isnan(want) && std::isnan(static_cast<float>(back)))) << bits;
    if ((b & 0x7fff) >= 0x7c00) continue;
    double next = (b & 0x7fff) == 0x7bff ? std::copysign(65536, want) : value(static_cast<uint16_t>(b + 1));
    auto middle = static_cast<float>((want + next) / 2), towards = static_cast<float>(next);
    uint16_t even = b & 1 ? static_cast<uint16_t>(b + 1) : b;
    EXPECT_EQ(float16(middle).bits, even) << bits;
    EXPECT_EQ(float16(std::nextafter(middle, 0.f)).bits, b) << bits;
    EXPECT_EQ(float16(std::nextafter(middle, 2 * towards)).bits, static_cast<uint16_t>(b + 1)) << bits;
  }
  EXPECT_EQ(float16(1e10f).bits, 0x7c00);
  EXPECT_EQ(float16(-1e-10f).bits, 0x8000);
}

TEST(Cast, NegativeFloatsWrapAroundInUnsignedTypes) {
  for (DType from : {DType::f32, DType::f64}) {
    Array x(from, {-1, -200, 3.9, 300});
    expect_near(apply(Ew::cast_, DType::u8, {x}), {255, 56, 3, 44}, 0, "u8");
    expect_near(apply(Ew::cast_, DType::i8, {x}), {-1, 56, 3, 44}, 0, "i8");
    expect_near(apply(Ew::cast_, DType::u32, {x}), {4294967295., 4294967096., 3, 300}, 0, "u32");
    Array high(from, {9223372036854775808., 13835058055282163712., -1, 5});
    expect_near(apply(Ew::cast_, DType::u64, {high}),
                {9223372036854775808., 13835058055282163712., 18446744073709551615., 5}, 0, "u64");
  }
}

}  // namespace
}  // namespace ds::kernels
