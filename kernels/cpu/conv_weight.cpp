// The gradient of the filters: dot products along rows of positions, between the output's gradient as it lies and the
// padded image at a tap's offset. Images are cut into parts fixed by the extents; the parts are added in order.
#include "kernels/cpu/conv_image.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int kFilters = 4;
constexpr int kTaps = 3;
constexpr int64_t kMaxParts = 16;
constexpr int64_t kPartBytes = 16 << 20;    // of all partial results together
constexpr int64_t kImageBytes = 160 << 10;  // of the images a tile walks over
constexpr int64_t kChannels = 16;           // of one job

struct Rows {  // of positions, of every image of a tile's walk
  int64_t images, image_step, gradient_step;
  int64_t rows, width, pitch;
};

template <class T>
T sum_lanes(typename Simd<T>::V v) {
  T lane[Simd<T>::width];
  Simd<T>::store(lane, v);
  for (int half = Simd<T>::width / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

// out[f * ldo + t] += sum over positions of dy[f * filter_step ...] * image[offset[t] ...].
template <class T, int F, int N>
void dot_tile(const Rows& d, const T* dy, int64_t filter_step, const T* image, const int32_t* offset, T* out,
              int64_t ldo) {
  using S = Simd<T>;
  using V = typename S::V;
  V acc[F][N] = {};
  const int64_t whole = d.width / S::width * S::width;
  const __m256i mask = S::mask(static_cast<int>(d.width - whole));
  const T* tap[N];
  auto step = [&](auto load, const T* g, int64_t x) __attribute__((always_inline)) {
    V row[N];
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t) row[t] = load(tap[t] + x);
#pragma GCC unroll 4
    for (int f = 0; f < F; ++f) {
      V v = load(g + f * filter_step + x);
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t) acc[f][t] = S::fma(v, row[t], acc[f][t]);
    }
  };
  for (int64_t i = 0; i < d.images; ++i) {
    const T* g = dy + i * d.gradient_step;
    for (int t = 0; t < N; ++t) tap[t] = image + i * d.image_step + offset[t];
    for (int64_t y = 0; y < d.rows; ++y, g += d.width) {
      for (int64_t x = 0; x < whole; x += S::width) step([](const T* p) { return S::load(p); }, g, x);
      if (whole < d.width) step([mask](const T* p) { return S::load(p, mask); }, g, whole);
      for (int t = 0; t < N; ++t) tap[t] += d.pitch;
    }
  }
  for (int f = 0; f < F; ++f) {
    for (int t = 0; t < N; ++t) out[f * ldo + t] += sum_lanes<T>(acc[f][t]);
  }
}

template <class T>
using DotTile = void (*)(const Rows&, const T*, int64_t, const T*, const int32_t*, T*, int64_t);

template <class T>
DotTile<T> dot_tile_for(int64_t filters, int64_t taps) {
  static constexpr DotTile<T> table[kTaps][kFilters] = {
      {dot_tile<T, 1, 1>, dot_tile<T, 2, 1>, dot_tile<T, 3, 1>, dot_tile<T, 4, 1>},
      {dot_tile<T, 1, 2>, dot_tile<T, 2, 2>, dot_tile<T, 3, 2>, dot_tile<T, 4, 2>},
      {dot_tile<T, 1, 3>, dot_tile<T, 2, 3>, dot_tile<T, 3, 3>, dot_tile<T, 4, 3>}};
  return table[taps - 1][filters - 1];
}

// How the work is cut, from the extents alone.
template <class T>
struct WeightPlan {
  explicit WeightPlan(const Conv2d& d) : conv(d) {
    shape = {.channels = std::min(kChannels, d.c / d.groups),
             .filters = d.o / d.groups,
             .src_h = d.h,
             .src_w = d.w,
             .insert_h = 1,
             .insert_w = 1,
             .pad_h = d.pad_h,
             .pad_w = d.pad_w,
             .kh = d.kh,
             .kw = d.kw,
             .stride_h = d.stride_h,
             .stride_w = d.stride_w,
             .dilation_h = d.dilation_h,
             .dilation_w = d.dilation_w,
             .out_h = d.oh,
             .out_w = d.ow};
    group_channels = d.c / d.groups;
    size = d.o * group_channels * shape.taps();
    int64_t affordable = kPartBytes / static_cast<int64_t>(sizeof(T)) / std::max<int64_t>(size, 1);
    parts = std::clamp<int64_t>(affordable, 1, std::clamp<int64_t>(d.n, 1, kMaxParts));
    part_images = ceil_div(std::max<int64_t>(d.n, 1), parts);
    parts = ceil_div(std::max<int64_t>(d.n, 1), part_images);
    channel_blocks = ceil_div(group_channels, kChannels);
    image = round_up(shape.image(d.oh) + kImageSlack, 64);
    at_once = std::clamp<int64_t>(kImageBytes / static_cast<int64_t>(sizeof(T)) / image, 1, part_images);
  }

  const Conv2d& conv;
  ConvShape shape;
  int64_t group_channels, size;  // size: elements of dw
  int64_t parts, part_images, channel_blocks;
  int64_t image, at_once;  // elements of an image, images a tile walks over
};

// One block of channels of one group over the images of one part.
template <class T>
void run_job(const WeightPlan<T>& p, int64_t job, const T* dy, const T* x, const int32_t* offset, T* images, T* dw) {
  const Conv2d& d = p.conv;
  int64_t part = job / (d.groups * p.channel_blocks), g = job / p.channel_blocks % d.groups;
  int64_t c0 = job % p.channel_blocks * kChannels;
  ConvShape s = p.shape;
  s.channels = std::min(kChannels, p.group_channels - c0);
  int64_t taps = s.channels * s.taps(), ldo = p.group_channels * s.taps(), area = d.oh * d.ow;
  int64_t last = std::min(d.n, (part + 1) * p.part_images);
  bool flat = s.pitch() == d.ow;
  for (int64_t n = part * p.part_images; n < last; n += p.at_once) {
    Rows rows{std::min(p.at_once, last - n), p.image, d.o * area, flat ? 1 : d.oh, flat ? area : d.ow, s.pitch()};
    for (int64_t i = 0; i < rows.images; ++i) {
      fill_image(s, images + i * p.image, x + ((n + i) * d.c + g * p.group_channels + c0) * d.h * d.w, 0, d.oh);
    }
    for (int64_t f = 0; f < s.filters; f += kFilters) {
      int64_t filters = std::min<int64_t>(kFilters, s.filters - f), row = g * s.filters + f;
      for (int64_t t = 0; t < taps; t += kTaps) {
        int64_t count = std::min<int64_t>(kTaps, taps - t);
        dot_tile_for<T>(filters, count)(rows, dy + (n * d.o + row) * area, area, images, offset + t,
                                        dw + row * ldo + c0 * s.taps() + t, ldo);
      }
    }
  }
}

template <class T>
void grad_weight_as(Context& ctx, const Conv2d& d, T* dw, const T* dy, const T* x) {
  WeightPlan<T> p(d);
  if (p.size == 0) return;
  int64_t jobs = p.parts * d.groups * p.channel_blocks, tasks = std::min<int64_t>(jobs, ctx.threads());
  int64_t taps = p.shape.channels * p.shape.taps();
  int64_t offsets = round_up(ceil_div(taps * 4, static_cast<int64_t>(sizeof(T))), 64);
  int64_t partial = p.parts == 1 ? 0 : round_up(p.size * p.parts, 64), images = p.image * p.at_once;
  auto* base = static_cast<T*>(ctx.scratch(static_cast<size_t>(partial + offsets + tasks * images) * sizeof(T)));
  T* sums = p.parts == 1 ? dw : base;
  auto* offset = reinterpret_cast<int32_t*>(base + partial);
  for (int64_t t = 0; t < taps; ++t) {
    int64_t c = t / p.shape.taps(), r = t % p.shape.taps();
    offset[t] = static_cast<int32_t>(p.shape.tap_offset(d.oh, c, r / d.kw, r % d.kw));
  }
  std::fill_n(sums, p.size * p.parts, T(0));
  for_tasks(ctx, tasks, [&](int64_t t) {
    for (int64_t job = jobs * t / tasks; job < jobs * (t + 1) / tasks; ++job) {
      int64_t part = job / (d.groups * p.channel_blocks);
      run_job(p, job, dy, x, offset, base + partial + offsets + t * images, sums + part * p.size);
    }
  });
  if (p.parts == 1) return;
  ctx.parallel_for(p.size, 16384, [&](int64_t begin, int64_t end) {
    std::copy(sums + begin, sums + end, dw + begin);
    for (int64_t part = 1; part < p.parts; ++part) {
      for (int64_t i = begin; i < end; ++i) dw[i] += sums[part * p.size + i];
    }
  });
}

}  // namespace

void conv2d_grad_weight(Context& ctx, const Conv2d& d, void* dw, const void* dy, const void* x) {
  if (d.type == DType::f32) {
    return grad_weight_as(ctx, d, static_cast<float*>(dw), static_cast<const float*>(dy), static_cast<const float*>(x));
  }
  if (d.type == DType::f64) {
    return grad_weight_as(ctx, d, static_cast<double*>(dw), static_cast<const double*>(dy),
                          static_cast<const double*>(x));
  }
  not_supported("conv2d_grad_weight", d.type);
}

}  // namespace ds::kernels::cpu_detail
