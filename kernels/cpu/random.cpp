// Counter-based random numbers: every element is a function of (seed, offset, its index), whoever makes it.
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int kCounters = 16;
constexpr int kWords = 4 * kCounters;
constexpr int64_t kGrain = 256;  // blocks

// The stream's words [block * kWords, ...), in order.
void fill_words(Philox p, int64_t block, uint32_t* out) {
  uint32_t w[4][kCounters];
  uint64_t first = p.offset + static_cast<uint64_t>(block) * kCounters;
  for (int i = 0; i < kCounters; ++i) {
    scalar::Words x = scalar::philox(p.seed, first + static_cast<uint64_t>(i));
    for (int j = 0; j < 4; ++j) w[j][i] = x.w[j];
  }
  for (int i = 0; i < kCounters; ++i) {
    for (int j = 0; j < 4; ++j) out[4 * i + j] = w[j][i];
  }
}

// body(words, first element, how many) over blocks of kWords words that make `per_block` elements each.
template <class Body>
void for_blocks(Context& ctx, Philox p, int64_t n, int64_t per_block, Body&& body) {
  ctx.parallel_for(ceil_div(n, per_block), kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t words[kWords];
    for (int64_t b = begin; b < end; ++b) {
      fill_words(p, b, words);
      body(words, b * per_block, std::min(per_block, n - b * per_block));
    }
  });
}

// A block of uniforms: f64 takes two words each.
template <class T>
constexpr int64_t per_block() {
  return std::is_same_v<T, double> ? kWords / 2 : kWords;
}
template <class C>
void uniforms(const uint32_t* w, C* u) {
  for (int64_t i = 0; i < per_block<C>(); ++i) {
    if constexpr (std::is_same_v<C, double>) {
      u[i] = scalar::uniform_f64(w[2 * i], w[2 * i + 1]);
    } else {
      u[i] = scalar::uniform_f32(w[i]);
    }
  }
}

// Angles are below 2 pi.
float cos_of(float x) { return scalar::cos_near(x); }
float sin_of(float x) { return scalar::sin_near(x); }
double cos_of(double x) { return scalar::cos(x); }
double sin_of(double x) { return scalar::sin(x); }

}  // namespace

void random_bits(Context& ctx, uint32_t* out, int64_t n, Philox p) {
  for_blocks(ctx, p, n, kWords,
             [&](const uint32_t* w, int64_t first, int64_t count) { std::copy_n(w, count, out + first); });
}

void random_uniform(Context& ctx, DType type, void* out, int64_t n, Philox p) {
  visit_floating("random_uniform", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_blocks(ctx, p, n, per_block<T>(), [&](const uint32_t* w, int64_t first, int64_t count) {
      auto* to = static_cast<T*>(out) + first;
      if constexpr (std::is_same_v<T, bfloat16>) {
        for (int64_t i = 0; i < count; ++i) to[i] = store<T>(scalar::uniform_bf16(w[i]));
      } else if constexpr (std::is_same_v<T, float16>) {
        for (int64_t i = 0; i < count; ++i) to[i] = store<T>(scalar::uniform_f16(w[i]));
      } else {
        T u[kWords];
        uniforms(w, u);
        std::copy_n(u, count, to);
      }
    });
  });
}

void random_normal(Context& ctx, DType type, void* out, int64_t n, Philox p) {
  visit_floating("random_normal", type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    for_blocks(ctx, p, n, per_block<C>(), [&](const uint32_t* w, int64_t first, int64_t count) {
      constexpr int pairs = static_cast<int>(per_block<C>() / 2);
      C u[kWords], z[kWords], radius[pairs], angle[pairs], c[pairs], s[pairs];
      uniforms(w, u);
      for (int i = 0; i < pairs; ++i) radius[i] = scalar::normal_radius(u[2 * i]);
      for (int i = 0; i < pairs; ++i) angle[i] = scalar::normal_angle(u[2 * i + 1]);
      for (int i = 0; i < pairs; ++i) c[i] = radius[i] * cos_of(angle[i]);
      for (int i = 0; i < pairs; ++i) s[i] = radius[i] * sin_of(angle[i]);
      for (int i = 0; i < pairs; ++i) {
        z[2 * i] = c[i];
        z[2 * i + 1] = s[i];
      }
      auto* to = static_cast<T*>(out) + first;
      for (int64_t i = 0; i < count; ++i) to[i] = store<T>(z[i]);
    });
  });
}

}  // namespace ds::kernels::cpu_detail
