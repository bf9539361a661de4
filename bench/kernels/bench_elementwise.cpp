// The chunk VM: one instruction against a plain loop, a fused chain against the same instructions one by one, and the
// row kernels against what memory gives.
#include <cmath>
#include <functional>

#include "bench/kernels/bench.h"

namespace ds::kernels::bench {
namespace {

constexpr int64_t kElements = 4 << 20;

EwSpace line(int64_t n) { return {1, {n}}; }

void one_instruction(int threads) {
  std::vector<float> a = randoms(kElements), b = randoms(kElements, 2), c(kElements);
  TestContext ctx(threads, false);
  EwCode code{{DType::f32, DType::f32}, {{Ew::add_, DType::f32, {0, 1, 0}}}, {2}};
  EwInput in[] = {{a.data(), {1}}, {b.data(), {1}}};
  void* out[] = {c.data()};
  const float *x = a.data(), *y = b.data();
  float* z = c.data();
  Pair t = best_of(
      threads, [&] { cpu().elementwise(ctx, code, line(kElements), in, out); },
      [&] {
        ctx.parallel_for(kElements, 65536, [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
          for (int64_t i = begin; i < end; ++i) z[i] = x[i] + y[i];
        });
      },
      1.0);
  print("elementwise", "add 4Mi t" + std::to_string(threads), t.ours * 1e3, "plain loop", t.peer * 1e3, "ms");
}

// gelu-like: six instructions on one input and a row bias.
void chain(int threads) {
  constexpr int64_t columns = 1024, rows = kElements / columns;
  std::vector<float> a = randoms(kElements), bias = randoms(columns, 2), half(1, 0.5f);
  std::vector<std::vector<float>> temp(6, std::vector<float>(kElements));
  TestContext ctx(threads, false);
  EwSpace space{2, {rows, columns}};
  EwInput in[] = {{a.data(), {columns, 1}}, {bias.data(), {0, 1}}, {half.data(), {0, 0}}};
  EwCode code{{DType::f32, DType::f32, DType::f32},
              {{Ew::add_, DType::f32, {0, 1, 0}},
               {Ew::mul_, DType::f32, {3, 3, 0}},
               {Ew::mul_, DType::f32, {4, 3, 0}},
               {Ew::add_, DType::f32, {5, 3, 0}},
               {Ew::mul_, DType::f32, {6, 2, 0}},
               {Ew::maximum_, DType::f32, {7, 0, 0}}},
              {8}};
  void* out[] = {temp[5].data()};
  auto fused = [&] { cpu().elementwise(ctx, code, space, in, out); };
  auto by_one = [&] {
    std::vector<EwInput> reg(in, in + 3);
    for (size_t i = 0; i < code.instructions.size(); ++i) {
      const EwInstruction& ins = code.instructions[i];
      EwCode one{{DType::f32, DType::f32}, {{ins.op, ins.type, {0, 1, 0}}}, {2}};
      EwInput pair[] = {reg[ins.operand[0]], reg[ins.operand[1]]};
      void* to[] = {temp[i].data()};
      cpu().elementwise(ctx, one, space, pair, to);
      reg.push_back({temp[i].data(), {columns, 1}});
    }
  };
  Pair t = best_of(threads, fused, by_one, 1.0);
  print("elementwise", "chain of 6, 4Mi t" + std::to_string(threads), t.ours * 1e3, "op by op", t.peer * 1e3, "ms");
}

// One function over a block in L1, in ns an element; the peer is libm's scalar.
void function(const char* name, Ew op, float (*libm)(float)) {
  std::vector<float> a = randoms(1024), c(1024);
  TestContext ctx(1, false);
  EwCode code{{DType::f32}, {{op, DType::f32, {0, 0, 0}}}, {1}};
  EwInput in[] = {{a.data(), {1}}};
  void* out[] = {c.data()};
  Pair t = best_of(
      1, [&] { cpu().elementwise(ctx, code, line(1024), in, out); },
      [&] {
        for (size_t i = 0; i < 1024; ++i) c[i] = libm(a[i]);
      });
  print("elementwise", name, t.ours * 1e9 / 1024, "libm", t.peer * 1e9 / 1024, "ns");
}

void against_add(const std::string& name, const std::function<void()>& kernel, double bytes) {
  std::vector<float> a = randoms(kElements);
  double sum = 0;
  volatile double sink = 0;
  Pair t = best_of(1, kernel, [&] {
    for (int64_t i = 0; i < kElements; i += 16) sum += a[static_cast<size_t>(i)];
    sink = sum;
  });
  print("rows", name, bytes / t.ours * 1e-9, "reading", kElements * 4 / t.peer * 1e-9, "GB/s");
}

void rows() {
  std::vector<float> a = randoms(kElements), c(kElements), mean(kElements / 512), g(512, 1), r(kElements / 512);
  TestContext ctx(1, false);
  constexpr double bytes = kElements * 4.0;
  against_add(
      "sum of 4Mi", [&] { cpu().reduce(ctx, Reduce::sum, DType::f32, c.data(), a.data(), 1, kElements, 1); }, bytes);
  against_add(
      "max of rows of 512",
      [&] { cpu().reduce(ctx, Reduce::max, DType::f32, c.data(), a.data(), kElements / 512, 512, 1); }, bytes);
  against_add(
      "sum of columns 8192x512",
      [&] { cpu().reduce(ctx, Reduce::sum, DType::f32, c.data(), a.data(), 1, kElements / 512, 512); }, bytes);
  against_add(
      "softmax of rows of 512", [&] { cpu().softmax(ctx, DType::f32, c.data(), a.data(), kElements / 512, 512); },
      2 * bytes);
  against_add(
      "layer_norm of rows of 512",
      [&] {
        cpu().layer_norm(ctx, DType::f32, c.data(), mean.data(), r.data(), a.data(), g.data(), g.data(), 1e-5,
                         kElements / 512, 512);
      },
      2 * bytes);
  EwInput transposed{a.data(), {1, 2048}};
  against_add(
      "transpose 2048x2048",
      [&] {
        cpu().copy(ctx, DType::f32, c.data(), {2, {2048, 2048}}, transposed);
      },
      2 * bytes);
  against_add(
      "random normal",
      [&] {
        cpu().random_normal(ctx, DType::f32, c.data(), kElements, {1, 2});
      },
      bytes);
  Pool2d p{DType::f32, 128, 32, 28, 28, 14, 14, 2, 2, 2, 2, 0, 0};
  std::vector<float> y(128 * 32 * 14 * 14);
  against_add(
      "max_pool 28x28", [&] { cpu().max_pool2d(ctx, p, y.data(), a.data()); }, 128 * 32 * 980 * 4.0);
  against_add(
      "max_pool grad 28x28", [&] { cpu().max_pool2d_grad(ctx, p, c.data(), y.data(), a.data()); },
      128 * 32 * 1764 * 4.0);
}

}  // namespace
}  // namespace ds::kernels::bench

int main(int argc, char** argv) {
  using namespace ds::kernels::bench;
  using ds::kernels::Ew;
  for (int threads : {1, 2}) {
    if (chosen(argc, argv, "add")) one_instruction(threads);
    if (chosen(argc, argv, "chain")) chain(threads);
  }
  if (chosen(argc, argv, "function")) {
    function("exp", Ew::exp_, expf);
    function("log", Ew::log_, logf);
    function("tanh", Ew::tanh_, tanhf);
    function("erf", Ew::erf_, erff);
    function("sin", Ew::sin_, sinf);
    function("sigmoid", Ew::sigmoid_, [](float x) { return 1 / (1 + expf(-x)); });
  }
  if (chosen(argc, argv, "rows")) rows();
}
