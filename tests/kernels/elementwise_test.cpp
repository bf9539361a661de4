#include <algorithm>

#include "kernels/scalar.h"
#include "tests/kernels/array.h"

namespace ds::kernels {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

EwSpace space_of(const std::vector<int64_t>& extents) {
  EwSpace s{};
  s.rank = static_cast<int>(extents.size());
  std::copy(extents.begin(), extents.end(), s.extent.begin());
  return s;
}
int64_t count_of(const EwSpace& s) {
  int64_t n = 1;
  for (int d = 0; d < s.rank; ++d) n *= s.extent[at(d)];
  return n;
}
EwInput input_of(const Array& a, const std::vector<int64_t>& stride) {
  EwInput in{a.data(), {}};
  std::copy(stride.begin(), stride.end(), in.stride.begin());
  return in;
}
std::vector<int64_t> dense(const EwSpace& s) {
  std::vector<int64_t> r(at(s.rank));
  for (int64_t d = s.rank - 1, n = 1; d >= 0; n *= s.extent[at(d)], --d) r[at(d)] = n;
  return r;
}

struct Operand {
  Array array;
  std::vector<int64_t> stride;
};

// Runs a program on 1, 2 and 3 threads; gives its outputs.
std::vector<Array> run(const EwCode& code, const EwSpace& space, const std::vector<Operand>& in) {
  return on_threads([&](Context& ctx) {
    std::vector<EwInput> inputs;
    for (const Operand& o : in) inputs.push_back(input_of(o.array, o.stride));
    std::vector<Array> out;
    for (uint16_t r : code.outputs) {
      out.emplace_back(r < in.size() ? code.inputs[r] : code.instructions[r - in.size()].type, at(count_of(space)));
    }
    std::vector<void*> to;
    for (Array& a : out) to.push_back(a.data());
    cpu().elementwise(ctx, code, space, inputs.data(), to.data());
    return out;
  });
}

double value_at(const Operand& o, const EwSpace& s, int64_t i) {
  int64_t offset = 0;
  for (int d = s.rank - 1; d >= 0; --d) {
    offset += i % s.extent[at(d)] * o.stride[at(d)];
    i /= s.extent[at(d)];
  }
  return o.array[at(offset)];
}

using Reference = double (*)(double, double);
struct OpCase {
  Ew op;
  int operands;
  Reference reference;
  bool floats_only = false, boolean = false, positive = false;
};
const std::vector<OpCase> kOps = {
    {Ew::neg_, 1, [](double a, double) { return -a; }},
    {Ew::abs_, 1, [](double a, double) { return std::fabs(a); }},
    {Ew::sign_, 1, [](double a, double) { return static_cast<double>((a > 0) - (a < 0)); }},
    {Ew::relu_, 1, [](double a, double) { return std::max(a, 0.0); }},
    {Ew::exp_, 1, [](double a, double) { return std::exp(a); }, true},
    {Ew::log_, 1, [](double a, double) { return std::log(a); }, true, false, true},
    {Ew::sqrt_, 1, [](double a, double) { return std::sqrt(a); }, true, false, true},
    {Ew::rsqrt_, 1, [](double a, double) { return 1 / std::sqrt(a); }, true, false, true},
    {Ew::sin_, 1, [](double a, double) { return std::sin(a); }, true},
    {Ew::cos_, 1, [](double a, double) { return std::cos(a); }, true},
    {Ew::tanh_, 1, [](double a, double) { return std::tanh(a); }, true},
    {Ew::sigmoid_, 1, [](double a, double) { return 1 / (1 + std::exp(-a)); }, true},
    {Ew::erf_, 1, [](double a, double) { return std::erf(a); }, true},
    {Ew::floor_, 1, [](double a, double) { return std::floor(a); }},
    {Ew::ceil_, 1, [](double a, double) { return std::ceil(a); }},
    {Ew::round_, 1, [](double a, double) { return std::nearbyint(a); }},
    {Ew::add_, 2, [](double a, double b) { return a + b; }},
    {Ew::sub_, 2, [](double a, double b) { return a - b; }},
    {Ew::mul_, 2, [](double a, double b) { return a * b; }},
    {Ew::div_, 2, [](double a, double b) { return a / b; }, true},
    {Ew::pow_, 2, [](double a, double b) { return std::pow(a, b); }, true, false, true},
    {Ew::maximum_, 2, [](double a, double b) { return std::max(a, b); }},
    {Ew::minimum_, 2, [](double a, double b) { return std::min(a, b); }},
    {Ew::less_, 2, [](double a, double b) { return static_cast<double>(a < b); }, false, true},
    {Ew::less_equal_, 2, [](double a, double b) { return static_cast<double>(a <= b); }, false, true},
    {Ew::equal_, 2, [](double a, double b) { return static_cast<double>(a == b); }, false, true},
    {Ew::not_equal_, 2, [](double a, double b) { return static_cast<double>(a != b); }, false, true},
};

TEST(Elementwise, EveryOpAndType) {
  for (const OpCase& op : kOps) {
    for (DType type : ordered_types()) {
      if (type == DType::boolean || (op.floats_only && !is_floating(type))) continue;
      for (int64_t n : {0, 1, 7, 1000, 5003}) {
        double low = op.positive ? 0.1 : -2;
        Operand a{random_array(type, n, 1, low), {1}}, b{random_array(type, n, 2, low), {1}};
        EwCode code{{type, type}, {{op.op, op.boolean ? DType::boolean : type, {0, 1, 0}}}, {2}};
        auto out = run(code, space_of({n}), {a, b});
        std::vector<double> want(at(n));
        for (size_t i = 0; i < want.size(); ++i) {
          want[i] = op.reference(a.array[i], b.array[i]);
          if (type == DType::f16 && std::fabs(want[i]) > 65504) want[i] = stored(type, want[i]);
          if (is_integer(type) && want[i] < 0 && !is_signed(type)) {
            want[i] = type == DType::u64 ? 18446744073709551616.0 + want[i] : stored(type, want[i]);
          }
        }
        expect_near(out[0], want, 1, "op " + std::to_string(static_cast<int>(op.op)) + " of " + name_of(type));
      }
    }
  }
}

TEST(Elementwise, BoolOps) {
  Array a(DType::boolean, {0, 0, 1, 1}), b(DType::boolean, {0, 1, 0, 1});
  auto result = [&](Ew op) {
    EwCode code{{DType::boolean, DType::boolean}, {{op, DType::boolean, {0, 1, 0}}}, {2}};
    return run(code, space_of({4}), {{a, {1}}, {b, {1}}})[0];
  };
  expect_near(result(Ew::logical_and_), {0, 0, 0, 1}, 0, "and");
  expect_near(result(Ew::logical_or_), {0, 1, 1, 1}, 0, "or");
  expect_near(result(Ew::logical_not_), {1, 1, 0, 0}, 0, "not");
  expect_near(result(Ew::add_), {0, 1, 1, 1}, 0, "add");
  expect_near(result(Ew::mul_), {0, 0, 0, 1}, 0, "mul");
}

TEST(Elementwise, EveryCast) {
  for (DType from : kAllTypes) {
    for (DType to : kAllTypes) {
      Operand a{random_array(from, 1500, 5, 0, 2), {1}};
      auto out = run({{from}, {{Ew::cast_, to, {0, 0, 0}}}, {1}}, space_of({1500}), {a});
      std::vector<double> want(1500);
      for (size_t i = 0; i < want.size(); ++i) {
        want[i] = to == DType::boolean ? a.array[i] != 0 : (is_inexact(to) ? a.array[i] : std::trunc(a.array[i]));
      }
      expect_near(out[0], want, 1, std::string(name_of(from)) + " to " + name_of(to));
    }
  }
}

TEST(Elementwise, Where) {
  for (DType type : kAllTypes) {
    Operand c{random_array(DType::boolean, 3000, 1), {1}}, a{random_array(type, 3000, 2), {1}};
    Operand b{random_array(type, 1, 3), {0}};
    auto out = run({{DType::boolean, type, type}, {{Ew::where_, type, {0, 1, 2}}}, {3}}, space_of({3000}), {c, a, b});
    std::vector<double> want(3000);
    for (size_t i = 0; i < want.size(); ++i) want[i] = c.array[i] != 0 ? a.array[i] : b.array[0];
    expect_near(out[0], want, 0, name_of(type));
  }
}

// a + b over every way an operand can lie in the space.
TEST(Elementwise, StridesAndBroadcasts) {
  struct Layout {
    std::vector<int64_t> extent, stride;
    int64_t elements;
  };
  const std::vector<Layout> layouts = {
      {{}, {}, 1},
      {{37, 10}, {0, 1}, 10},     // a short row bias
      {{5, 1500}, {0, 1}, 1500},  // a long one
      {{37, 10}, {1, 0}, 37},     // a column
      {{5, 1500}, {1, 0}, 5},
      {{37, 10}, {0, 0}, 1},     // a scalar
      {{37, 10}, {1, 37}, 370},  // transposed
      {{37, 10}, {20, 2}, 740},  // sliced
      {{3, 4, 5, 6}, {30, 0, 6, 1}, 90},
      {{2, 3, 2, 3, 2, 40}, {240, 0, 120, 40, 0, 1}, 480},
      {{6, 50, 70}, {0, 70, 1}, 3500},
  };
  for (DType type : ordered_types()) {
    for (const Layout& l : layouts) {
      EwSpace s = space_of(l.extent);
      Operand a{random_array(type, count_of(s), 1), dense(s)}, b{random_array(type, l.elements, 2), l.stride};
      for (bool swap : {false, true}) {
        std::vector<Operand> in = swap ? std::vector{b, a} : std::vector{a, b};
        auto out = run({{type, type}, {{Ew::maximum_, type, {0, 1, 0}}}, {2}}, s, in);
        std::vector<double> want(at(count_of(s)));
        for (int64_t i = 0; i < count_of(s); ++i) want[at(i)] = std::max(value_at(a, s, i), value_at(b, s, i));
        expect_near(out[0], want, 0, std::string(name_of(type)) + " rank " + std::to_string(s.rank));
      }
    }
  }
}

// A fused program gives the bits of its instructions run one by one, in every float type.
TEST(Elementwise, FusionChangesNoBit) {
  for (DType type : kFloats) {
    EwSpace s = space_of({123, 77});
    std::vector<Operand> in{{random_array(type, 123 * 77, 1), {77, 1}},
                            {random_array(type, 77, 2), {0, 1}},
                            {random_array(type, 123, 3), {1, 0}},
                            {random_array(type, 1, 4), {0, 0}}};
    std::vector<EwInstruction> code = {{Ew::add_, type, {0, 1, 0}},   {Ew::mul_, type, {4, 2, 0}},
                                       {Ew::tanh_, type, {5, 0, 0}},  {Ew::less_, DType::boolean, {6, 3, 0}},
                                       {Ew::where_, type, {7, 5, 6}}, {Ew::exp_, type, {8, 0, 0}},
                                       {Ew::sub_, type, {9, 8, 0}},   {Ew::sigmoid_, type, {10, 0, 0}},
                                       {Ew::mul_, type, {11, 0, 0}}};
    auto fused = run({{type, type, type, type}, code, {12, 7, 5, 0, 12}}, s, in);
    std::vector<Operand> reg = in;
    for (const EwInstruction& ins : code) {
      EwCode one{{}, {{ins.op, ins.type, {0, 1, 2}}}, {3}};
      std::vector<Operand> operands;
      for (uint16_t r : ins.operand) {
        operands.push_back(reg[r]);
        one.inputs.push_back(reg[r].array.type());
      }
      reg.push_back({run(one, s, operands)[0], {77, 1}});
    }
    EXPECT_EQ(fused[0].bits(), reg[12].array.bits()) << name_of(type);
    EXPECT_EQ(fused[1].bits(), reg[7].array.bits()) << name_of(type);
    EXPECT_EQ(fused[2].bits(), reg[5].array.bits()) << name_of(type);
    EXPECT_EQ(fused[3].bits(), reg[0].array.bits()) << name_of(type);
    EXPECT_EQ(fused[4].bits(), reg[12].array.bits()) << name_of(type);
  }
}

// Elements must not depend on whether a vector or the rest of a loop computed them.
TEST(Elementwise, PositionChangesNoBit) {
  for (const OpCase& op : kOps) {
    Array a(DType::f32, std::vector<double>(67, 0.7310586)), b(DType::f32, std::vector<double>(67, 1.3));
    EwCode code{{DType::f32, DType::f32}, {{op.op, op.boolean ? DType::boolean : DType::f32, {0, 1, 0}}}, {2}};
    auto out = run(code, space_of({67}), {{a, {1}}, {b, {1}}});
    std::string bits = out[0].bits();
    size_t size = size_of(out[0].type());
    for (size_t i = 1; i < 67; ++i) EXPECT_EQ(bits.substr(0, size), bits.substr(i * size, size)) << "element " << i;
  }
}

// An optimizer's step: outputs take the place of inputs that later instructions still read.
TEST(Elementwise, OutputsInPlaceOfInputs) {
  for (DType type : kFloats) {
    Array p = random_array(type, 5000, 1), m = random_array(type, 5000, 2), want_p = p, want_m = m;
    // m' = m + p; p' = p - m' * m
    EwCode code{
        {type, type}, {{Ew::add_, type, {1, 0, 0}}, {Ew::mul_, type, {2, 1, 0}}, {Ew::sub_, type, {0, 3, 0}}}, {2, 4}};
    auto out = run(code, space_of({5000}), {{p, {1}}, {m, {1}}});
    for (int threads : {1, 2, 3}) {
      TestContext ctx(threads);
      Array q = p, v = m;
      EwInput in[] = {input_of(q, {1}), input_of(v, {1})};
      void* to[] = {v.data(), q.data()};
      cpu().elementwise(ctx, code, space_of({5000}), in, to);
      EXPECT_EQ(v.bits(), out[0].bits()) << name_of(type);
      EXPECT_EQ(q.bits(), out[1].bits()) << name_of(type);
    }
  }
}

TEST(Elementwise, LongProgramsReuseTheirBlocks) {
  EwCode code{{DType::f32}, {}, {}};
  double want = 1.5;
  for (uint16_t i = 0; i < 200; ++i) {
    code.instructions.push_back({i % 2 ? Ew::neg_ : Ew::add_, DType::f32, {i, 0, 0}});
    want = i % 2 ? -want : want + 1.5;
  }
  code.outputs = {200};
  Array a(DType::f32, std::vector<double>(3000, 1.5));
  auto out = run(code, space_of({3000}), {{a, {1}}});
  expect_near(out[0], std::vector<double>(3000, want), 1, "200 instructions");
  code.instructions.resize(300, {Ew::neg_, DType::f32, {0, 0, 0}});
  EXPECT_THROW(run(code, space_of({3000}), {{a, {1}}}), NotSupported);
}

TEST(Elementwise, SpecialValues) {
  Array a(DType::f32, {kNan, 1, kInf, -kInf}), b(DType::f32, {1, kNan, 2, 2});
  auto result = [&](Ew op, DType type) {
    EwCode code{{DType::f32, DType::f32}, {{op, type, {0, 1, 0}}}, {2}};
    return run(code, space_of({4}), {{a, {1}}, {b, {1}}})[0];
  };
  expect_near(result(Ew::maximum_, DType::f32), {kNan, kNan, kInf, 2}, 0, "maximum");
  expect_near(result(Ew::minimum_, DType::f32), {kNan, kNan, 2, -kInf}, 0, "minimum");
  expect_near(result(Ew::relu_, DType::f32), {kNan, 1, kInf, 0}, 0, "relu");
  expect_near(result(Ew::less_, DType::boolean), {0, 0, 0, 1}, 0, "less");
  expect_near(result(Ew::not_equal_, DType::boolean), {1, 1, 1, 1}, 0, "not_equal");
}

TEST(Elementwise, RefusesWhatHasNoMeaning) {
  Array a = random_array(DType::i64, 4, 1);
  EXPECT_THROW(run({{DType::i64}, {{Ew::exp_, DType::i64, {0, 0, 0}}}, {1}}, space_of({4}), {{a, {1}}}), NotSupported);
}

TEST(Copy, GathersAndScatters) {
  struct Layout {
    std::vector<int64_t> extent, stride;
    int64_t elements;
  };
  const std::vector<Layout> layouts = {{{}, {}, 1},
                                       {{0, 4}, {4, 1}, 4},
                                       {{70, 90}, {1, 70}, 6300},
                                       {{3, 70, 40}, {2800, 1, 70}, 8400},
                                       {{40, 3, 70}, {1, 2800, 40}, 8400},
                                       {{9, 8}, {16, 2}, 144},
                                       {{2, 3, 2, 3, 2, 4}, {144, 48, 24, 8, 4, 1}, 288}};
  for (DType type : kAllTypes) {
    for (const Layout& l : layouts) {
      EwSpace s = space_of(l.extent);
      Operand in{random_any_array(type, l.elements, 1), l.stride};
      auto out = on_threads([&](Context& ctx) {
        std::vector<Array> r{Array(type, at(count_of(s))), Array(type, in.array.size())};
        cpu().copy(ctx, type, r[0].data(), s, input_of(in.array, l.stride));
        cpu().fill(ctx, type, r[1].data(), l.elements, 0);
        std::array<int64_t, kMaxRank> stride{};
        std::copy(l.stride.begin(), l.stride.end(), stride.begin());
        cpu().scatter_strided(ctx, type, r[1].data(), s, stride.data(), r[0].data());
        return r;
      });
      std::vector<double> want(at(count_of(s))), back(at(l.elements));
      Operand scattered{out[1], l.stride};
      for (int64_t i = 0; i < count_of(s); ++i) {
        want[at(i)] = value_at(in, s, i);
        EXPECT_EQ(value_at(scattered, s, i), want[at(i)]);
      }
      expect_near(out[0], want, 0, "copy");
    }
  }
}

TEST(Copy, BroadcastsRowsAndColumns) {
  Array row = random_array(DType::f32, 40, 1);
  Array out(DType::f32, 30 * 40);
  TestContext ctx(2);
  cpu().copy(ctx, DType::f32, out.data(), space_of({30, 40}), input_of(row, {0, 1}));
  for (size_t i = 0; i < 1200; ++i) EXPECT_EQ(out[i], row[i % 40]);
  cpu().copy(ctx, DType::f32, out.data(), space_of({30, 40}), input_of(row, {1, 0}));
  for (size_t i = 0; i < 1200; ++i) EXPECT_EQ(out[i], row[i / 40]);
}

TEST(Fill, EveryType) {
  TestContext ctx(2);
  for (DType type : kAllTypes) {
    Array a(type, 1000), b(type, 100);
    cpu().fill(ctx, type, a.data(), 1000, 1);
    expect_near(a, std::vector<double>(1000, 1), 0, name_of(type));
    if (type == DType::boolean) continue;
    cpu().arange(ctx, type, b.data(), 100, 3, 2);
    std::vector<double> want(100);
    for (int i = 0; i < 100; ++i) want[at(i)] = stored(type, 3 + 2 * i);
    expect_near(b, want, 0, name_of(type));
  }
}

}  // namespace
}  // namespace ds::kernels
