#include <algorithm>

#include "tests/cuda/compare.h"

namespace ds::kernels {
namespace {

EwSpace space_of(const std::vector<int64_t>& extents) {
  EwSpace s{};
  s.rank = static_cast<int>(extents.size());
  std::copy(extents.begin(), extents.end(), s.extent.begin());
  return s;
}
EwInput input_of(const Array& a, const std::vector<int64_t>& stride) {
  EwInput in{a.data(), {}};
  std::copy(stride.begin(), stride.end(), in.stride.begin());
  return in;
}

constexpr int kOperands[] = {
#define DS_EW(name, operands, flops) operands,
#include "kernels/elementwise.def"
};
constexpr const char* kNames[] = {
#define DS_EW(name, operands, flops) #name,
#include "kernels/elementwise.def"
};

DType result_of(Ew op, DType type) {
  if (op >= Ew::less_ && op <= Ew::not_equal_) return DType::boolean;
  if (op == Ew::complex_) return complex_of(type);
  return op == Ew::abs_ || op == Ew::real_ || op == Ew::imag_ || op == Ew::angle_ ? real_of(type) : type;
}

TEST(CudaElementwise, EveryInstructionOfEveryTypeHasTheCpusBits) {
  constexpr int64_t n = 1101;  // three blocks, the last one in part
  int defined = 0;
  for (int op = 0; op < static_cast<int>(Ew::cast_); ++op) {
    for (DType type : kAllTypes) {
      std::vector<Array> in;
      EwCode code;
      for (int o = 0; o < kOperands[op]; ++o) {
        code.inputs.push_back(kOperands[op] == 3 && o == 0 ? DType::boolean : type);
        in.push_back(random_any_array(code.inputs.back(), n, static_cast<unsigned>(7 * op + o), -9, 9));
        if (is_floating(type) && o == 0 && kOperands[op] < 3) {
          for (size_t i : {size_t{0}, size_t{7}, size_t{1100}}) in[0].set(i, i == 0 ? kNan : i == 7 ? -kInf : 0.0);
        }
      }
      DType result = result_of(static_cast<Ew>(op), type);
      code.instructions = {{static_cast<Ew>(op), result, {0, 1, 2}}};
      code.outputs = {static_cast<uint16_t>(in.size())};
      Make make = [&](const Table& t, Context& ctx) {
        std::vector<EwInput> inputs;
        for (const Array& a : in) inputs.push_back(input_of(a, {1}));
        std::vector<Array> out{Array(result, n)};
        void* to = out[0].data();
        t.elementwise(ctx, code, space_of({n}), inputs.data(), &to);
        return out;
      };
      std::string what = std::string(kNames[op]) + " of " + name_of(type);
      bool known = true;
      try {
        on_cpu(make);
      } catch (const NotSupported&) {
        known = false;
        EXPECT_THROW(emulate(make), NotSupported) << what;
      }
      if (known) expect_same_bits(what, make);
      defined += known;
    }
  }
  EXPECT_GT(defined, 290);
}

TEST(CudaElementwise, Casts) {
  for (DType from : kAllTypes) {
    for (DType to : kAllTypes) {
      Array in = random_any_array(from, 300, 5, 0, 30);
      EwCode code{{from}, {{Ew::cast_, to, {0, 0, 0}}}, {1}};
      expect_same_bits(std::string(name_of(from)) + " to " + name_of(to), [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(to, 300)};
        EwInput input = input_of(in, {1});
        void* address = out[0].data();
        t.elementwise(ctx, code, space_of({300}), &input, &address);
        return out;
      });
    }
  }
}

// y = where(a < b, exp(a) * s, a + b) in a space of three dimensions, an operand broadcast along each and one turned.
TEST(CudaElementwise, FusedProgramsOverStridesWithSeveralOutputs) {
  for (DType type : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    Array a = random_array(type, 5 * 7 * 11, 1), b = random_array(type, 7 * 11, 2), s = random_array(type, 1, 3);
    EwCode code;
    code.inputs = {type, type, type};
    code.instructions = {{Ew::less_, DType::boolean, {0, 1, 0}},
                         {Ew::exp_, type, {0, 0, 0}},
                         {Ew::mul_, type, {4, 2, 0}},
                         {Ew::add_, type, {0, 1, 0}},
                         {Ew::where_, type, {3, 5, 6}}};
    code.outputs = {7, 3, 0};  // the result, the condition, and an input as it is
    expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
      EwInput in[] = {input_of(a, {1, 55, 5}), input_of(b, {0, 11, 1}), input_of(s, {0, 0, 0})};
      std::vector<Array> out{Array(type, 385), Array(DType::boolean, 385), Array(type, 385)};
      void* to[] = {out[0].data(), out[1].data(), out[2].data()};
      t.elementwise(ctx, code, space_of({5, 7, 11}), in, to);
      return out;
    });
  }
}

TEST(CudaElementwise, AnOutputMayBeTheMemoryOfAnInputThatIsReadLater) {
  Array x = random_array(DType::f32, 900, 4), y = random_array(DType::f32, 900, 5);
  EwCode code{{DType::f32, DType::f32},
              {{Ew::neg_, DType::f32, {1, 0, 0}}, {Ew::add_, DType::f32, {0, 2, 0}}, {Ew::mul_, DType::f32, {3, 0, 0}}},
              {2, 4}};
  expect_same_bits("in place", [&](const Table& t, Context& ctx) {
    std::vector<Array> out{x, Array(DType::f32, 900)};  // -y goes where x lies
    EwInput in[] = {input_of(out[0], {1}), input_of(y, {1})};
    void* to[] = {out[0].data(), out[1].data()};
    t.elementwise(ctx, code, space_of({900}), in, to);
    return out;
  });
}

TEST(CudaElementwise, LongProgramsWithManyLiveRegisters) {
  EwCode code;
  std::vector<Array> arrays;
  constexpr uint16_t inputs = 24;
  for (unsigned i = 0; i < inputs; ++i) {
    code.inputs.push_back(i % 2 ? DType::f64 : DType::f32);
    arrays.push_back(random_array(code.inputs.back(), 200, i));
  }
  for (uint16_t i = 0; i < inputs; ++i) code.instructions.push_back({Ew::cast_, DType::f64, {i, 0, 0}});
  for (uint16_t i = 0; i + 1 < inputs; ++i) {
    uint16_t left = i == 0 ? inputs : static_cast<uint16_t>(2 * inputs + i - 1);
    code.instructions.push_back({Ew::sub_, DType::f64, {left, static_cast<uint16_t>(2 * inputs - 1 - i), 0}});
  }
  for (uint16_t r = inputs; r < inputs + code.instructions.size(); ++r) code.outputs.push_back(r);
  expect_same_bits("long", [&](const Table& t, Context& ctx) {
    std::vector<EwInput> in;
    for (const Array& a : arrays) in.push_back(input_of(a, {1}));
    std::vector<Array> out(code.outputs.size(), Array(DType::f64, 200));
    std::vector<void*> to;
    for (Array& a : out) to.push_back(a.data());
    t.elementwise(ctx, code, space_of({200}), in.data(), to.data());
    return out;
  });
}

TEST(CudaElementwise, ScalarAndEmptySpaces) {
  Array x = random_array(DType::i32, 1, 9);
  EwCode code{{DType::i32}, {{Ew::neg_, DType::i32, {0, 0, 0}}}, {1}};
  for (const std::vector<int64_t>& extents :
       {std::vector<int64_t>{}, std::vector<int64_t>{0}, std::vector<int64_t>{1, 0, 3}}) {
    expect_same_bits("space", [&](const Table& t, Context& ctx) {
      std::vector<Array> out{Array(DType::i32, extents.empty() ? 1 : 0)};
      EwInput in = input_of(x, {0, 0, 0});
      void* to = out[0].data();
      t.elementwise(ctx, code, space_of(extents), &in, &to);
      return out;
    });
  }
}

struct View {
  std::vector<int64_t> extents, stride;
  size_t memory;
};
// Dense, transposed with odd edges, batched transposition, a step, a broadcast, six dimensions, a scalar.
const View kViews[] = {{{60}, {1}, 60},
                       {{45, 70}, {1, 45}, 45 * 70},
                       {{3, 40, 33}, {40 * 33, 1, 40}, 3 * 40 * 33},
                       {{9, 3, 20}, {1, 180, 9}, 540},
                       {{5, 6}, {24, 2}, 5 * 24},
                       {{2, 2, 2, 2, 2, 3}, {48, 1, 2, 4, 8, 16}, 96},
                       {{}, {}, 1}};

TEST(CudaStrided, CopiesAndScatters) {
  for (DType type : kAllTypes) {
    for (const View& v : kViews) {
      Array x = random_any_array(type, static_cast<int64_t>(v.memory), 3);
      int64_t n = 1;
      for (int64_t e : v.extents) n *= e;
      expect_same_bits("copy", [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(type, static_cast<size_t>(n))};
        t.copy(ctx, type, out[0].data(), space_of(v.extents), input_of(x, v.stride));
        return out;
      });
      expect_same_bits("scatter", [&](const Table& t, Context& ctx) {
        std::vector<Array> out{Array(type, v.memory)};
        std::fill_n(static_cast<char*>(out[0].data()), v.memory * size_of(type), 0);
        t.scatter_strided(ctx, type, out[0].data(), space_of(v.extents), v.stride.data(), x.data());
        return out;
      });
    }
  }
}

TEST(CudaStrided, BroadcastCopy) {
  Array x = random_array(DType::f32, 40, 3);
  expect_same_bits("broadcast", [&](const Table& t, Context& ctx) {
    std::vector<Array> out{Array(DType::f32, 30 * 40)};
    t.copy(ctx, DType::f32, out[0].data(), space_of({40, 30}), input_of(x, {1, 0}));
    return out;
  });
}

TEST(CudaStrided, FillAndArange) {
  for (DType type : kAllTypes) {
    expect_same_bits(name_of(type), [&](const Table& t, Context& ctx) {
      std::vector<Array> out{Array(type, 3000), Array(type, 100), Array(type, 0)};
      t.fill(ctx, type, out[0].data(), 3000, 1.3);
      t.arange(ctx, type, out[1].data(), 100, 0.5, 1.25);
      t.fill(ctx, type, out[2].data(), 0, 1);
      return out;
    });
  }
}

}  // namespace
}  // namespace ds::kernels
