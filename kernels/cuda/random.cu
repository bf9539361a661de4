// Counter-based random numbers: a thread makes the four words of one Philox counter and the elements they stand for.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

enum class Law : uint8_t { uniform, normal };

template <class T>
inline constexpr int kPerCounter = std::is_same_v<T, double> ? 2 : 4;

__device__ int64_t thread_index() { return blockIdx.x * int64_t{blockDim.x} + threadIdx.x; }

template <class T>
__global__ void draw(T* out, int64_t n, Philox p, Law law) {
  using C = Compute<T>;
  int64_t t = thread_index(), first = t * kPerCounter<T>;
  if (first >= n) return;
  scalar::Words words = scalar::philox(p.seed, p.offset + static_cast<uint64_t>(t));
  C u[kPerCounter<T>];
  for (int i = 0; i < kPerCounter<T>; ++i) {
    if constexpr (std::is_same_v<T, double>) {
      u[i] = scalar::uniform_f64(words.w[2 * i], words.w[2 * i + 1]);
    } else if constexpr (std::is_same_v<T, bfloat16>) {
      u[i] = law == Law::uniform ? scalar::uniform_bf16(words.w[i]) : scalar::uniform_f32(words.w[i]);
    } else if constexpr (std::is_same_v<T, float16>) {
      u[i] = law == Law::uniform ? scalar::uniform_f16(words.w[i]) : scalar::uniform_f32(words.w[i]);
    } else {
      u[i] = scalar::uniform_f32(words.w[i]);
    }
  }
  if (law == Law::normal) {
    for (int i = 0; i < kPerCounter<T>; i += 2) {
      C radius = scalar::normal_radius(u[i]), angle = scalar::normal_angle(u[i + 1]);
      u[i] = radius * scalar::cos(angle);
      u[i + 1] = radius * scalar::sin(angle);
    }
  }
  for (int i = 0; i < kPerCounter<T> && first + i < n; ++i) out[first + i] = store<T>(u[i]);
}

__global__ void draw_bits(uint32_t* out, int64_t n, Philox p) {
  int64_t t = thread_index();
  if (4 * t >= n) return;
  scalar::Words words = scalar::philox(p.seed, p.offset + static_cast<uint64_t>(t));
  for (int i = 0; i < 4 && 4 * t + i < n; ++i) out[4 * t + i] = words.w[i];
}

void draw_all(Context& ctx, const char* op, DType type, void* out, int64_t n, Philox p, Law law) {
  visit_floating(op, type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, draw<T>, Grid{ceil_div(n, kPerCounter<T> * kBlock)}, kBlock, 0, static_cast<T*>(out), n, p, law);
  });
}

}  // namespace

void random_uniform(Context& ctx, DType type, void* out, int64_t n, Philox p) {
  draw_all(ctx, "random_uniform", type, out, n, p, Law::uniform);
}
void random_normal(Context& ctx, DType type, void* out, int64_t n, Philox p) {
  draw_all(ctx, "random_normal", type, out, n, p, Law::normal);
}
void random_bits(Context& ctx, uint32_t* out, int64_t n, Philox p) {
  launch(ctx, draw_bits, Grid{ceil_div(n, 4 * kBlock)}, kBlock, 0, out, n, p);
}

}  // namespace ds::kernels::cuda_detail
