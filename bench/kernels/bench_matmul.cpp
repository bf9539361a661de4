// Matrix products of training MLPs 784-512-256-10 and 784-256-10, and a large one against the machine's peak.
#include <cblas.h>
#include <immintrin.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>

#include "bench/kernels/bench.h"
#include "kernels/cpu/vectors.h"

extern "C" void omp_set_num_threads(int);

namespace ds::kernels::bench {
namespace {

struct Product {
  std::string name;
  int64_t m, n, k;
  bool ta, tb;
};

void openblas(const Product& p, const float* a, const float* b, float* c) {
  cblas_sgemm(CblasRowMajor, p.ta ? CblasTrans : CblasNoTrans, p.tb ? CblasTrans : CblasNoTrans, static_cast<int>(p.m),
              static_cast<int>(p.n), static_cast<int>(p.k), 1, a, static_cast<int>(p.ta ? p.m : p.k), b,
              static_cast<int>(p.tb ? p.k : p.n), 0, c, static_cast<int>(p.n));
}
void onednn(const Product& p, const float* a, const float* b, float* c) {
  dnnl_sgemm(p.ta ? 'T' : 'N', p.tb ? 'T' : 'N', p.m, p.n, p.k, 1, a, p.ta ? p.m : p.k, b, p.tb ? p.k : p.n, 0, c, p.n);
}

void run(const Product& p, int threads) {
  std::vector<float> a = randoms(static_cast<size_t>(p.m * p.k)), b = randoms(static_cast<size_t>(p.k * p.n), 2);
  std::vector<float> c(static_cast<size_t>(p.m * p.n));
  TestContext ctx(threads, false);
  Matmul x{DType::f32,       1,   p.m, p.n, p.k, a.data(), b.data(), c.data(), p.ta ? p.m : p.k,
           p.tb ? p.k : p.n, p.n, 0,   0,   0,   p.ta,     p.tb};
  auto ours = [&] { cpu().matmul(ctx, x); };
  openblas_set_num_threads(threads);
  omp_set_num_threads(threads);
  Pair blas = best_of(threads, ours, [&] { openblas(p, a.data(), b.data(), c.data()); });
  Pair dnn = best_of(threads, ours, [&] { onednn(p, a.data(), b.data(), c.data()); });
  bool first = blas.peer < dnn.peer;
  print("matmul", p.name + " t" + std::to_string(threads), std::min(blas.ours, dnn.ours) * 1e6,
        first ? "openblas" : "onednn", std::min(blas.peer, dnn.peer) * 1e6, "us");
}

constexpr int kChainLength = 20000;

// What the FMA units give over the vectors the product uses: twelve independent chains.
void fma_chains(float seed) {
  __m256 x[12], m = _mm256_set1_ps(0.999f);
  for (int i = 0; i < 12; ++i) x[i] = _mm256_set1_ps(seed + static_cast<float>(i));
  for (int i = 0; i < kChainLength; ++i) {
#pragma GCC unroll 12
    for (auto& v : x) v = _mm256_fmadd_ps(v, m, m);
  }
  __m256 sum = x[0];
  for (int i = 1; i < 12; ++i) sum = _mm256_add_ps(sum, x[i]);
  volatile float sink = sum[0];
  static_cast<void>(sink);
}
__attribute__((target("avx512f"))) void wide_fma_chains(float seed) {
  __m512 x[12], m = _mm512_set1_ps(0.999f);
  for (int i = 0; i < 12; ++i) x[i] = _mm512_set1_ps(seed + static_cast<float>(i));
  for (int i = 0; i < kChainLength; ++i) {
#pragma GCC unroll 12
    for (auto& v : x) v = _mm512_fmadd_ps(v, m, m);
  }
  __m512 sum = x[0];
  for (int i = 1; i < 12; ++i) sum = _mm512_add_ps(sum, x[i]);
  volatile float sink = sum[0];
  static_cast<void>(sink);
}

void against_peak(int64_t n) {
  std::vector<float> a = randoms(static_cast<size_t>(n * n)), b = a, c = a;
  TestContext ctx(1, false);
  Matmul x{DType::f32, 1, n, n, n, a.data(), b.data(), c.data(), n, n, n, 0, 0, 0, false, false};
  bool wide = cpu_detail::vectors_in_use() == cpu_detail::Vectors::avx512;
  auto chains = wide ? wide_fma_chains : fma_chains;
  Pair t = best_of(
      1, [&] { cpu().matmul(ctx, x); }, [&] { chains(x.c == nullptr ? 0.f : 1.f); }, 1.0);
  double peak = kChainLength * 12 * (wide ? 32.0 : 16.0) / t.peer;
  double size = static_cast<double>(n);
  print("matmul", "square " + std::to_string(n) + " t1", 2 * size * size * size / t.ours * 1e-9, "fma peak",
        peak * 1e-9, "GFLOP/s");
}

}  // namespace
}  // namespace ds::kernels::bench

int main(int argc, char** argv) {
  using namespace ds::kernels::bench;
  if (chosen(argc, argv, "square")) {
    for (int64_t n : {192, 512, 1024}) against_peak(n);
  }
  const int64_t layers[][2] = {{784, 512}, {784, 256}, {512, 256}, {256, 10}};
  for (int threads : {1, 2}) {
    for (int64_t batch : {128, 64, 32, 16}) {
      for (auto [in, out] : layers) {
        std::string tail = std::to_string(in) + "-" + std::to_string(out) + " b" + std::to_string(batch);
        const Product products[] = {
            {"forward oi " + tail, batch, out, in, false, true}, {"forward io " + tail, batch, out, in, false, false},
            {"dgrad oi " + tail, batch, in, out, false, false},  {"dgrad io " + tail, batch, in, out, false, true},
            {"wgrad oi " + tail, out, in, batch, true, false},   {"wgrad io " + tail, in, out, batch, true, false}};
        for (const Product& p : products) {
          if (chosen(argc, argv, p.name + " t" + std::to_string(threads))) run(p, threads);
        }
      }
    }
  }
}
