// The gradient of the filters: dot products along the positions, between the output's gradient, spread to the pitch of
// the padded image, and that image at a tap's offset. Images are cut into parts fixed by the extents; the parts are
// added in order.
#include "kernels/cpu/conv_image.h"
#include "kernels/cpu/conv_kernel.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kMaxParts = 16;
constexpr int64_t kPartBytes = 16 << 20;    // of all partial results together
constexpr int64_t kImageBytes = 384 << 10;  // of what a tile walks over: most of L2
constexpr int64_t kChannels = 32;           // of one job

// How the work is cut, from the extents alone.
template <class T>
struct WeightPlan {
  explicit WeightPlan(const Conv2d& d) : conv(d), kernels(conv_kernels<T>()) {
    shape = forward_shape(d);
    shape.channels = std::min(kChannels, shape.channels);
    group_channels = d.c / d.groups;
    size = d.o * group_channels * shape.taps();
    int64_t affordable = kPartBytes / static_cast<int64_t>(sizeof(T)) / std::max<int64_t>(size, 1);
    parts = std::clamp<int64_t>(affordable, 1, std::clamp<int64_t>(d.n, 1, kMaxParts));
    part_images = ceil_div(std::max<int64_t>(d.n, 1), parts);
    parts = ceil_div(std::max<int64_t>(d.n, 1), part_images);
    channel_blocks = ceil_div(group_channels, kChannels);
    image = round_up(shape.image(d.oh) + kImageSlack, 64);
    positions = round_up((d.oh - 1) * shape.pitch() + d.ow, Simd<T>::width);
    gradient = round_up(positions * shape.filters, 64);
    int64_t room = kImageBytes / static_cast<int64_t>(sizeof(T)) / (image + gradient);
    at_once = std::clamp<int64_t>(room, 1, part_images);
    vectors = ceil_div(shape.filters, kernels.dot_filters);
    gradient = round_up(positions * vectors * kernels.dot_filters, 64);  // after at_once: a sum's bits depend on that
  }

  const Conv2d& conv;
  const ConvKernels<T>& kernels;
  ConvShape shape;
  int64_t group_channels, size;  // size: elements of dw
  int64_t parts, part_images, channel_blocks;
  int64_t positions;        // of one filter's gradient, spread to the image's pitch
  int64_t image, gradient;  // elements of an image's buffers
  int64_t at_once;          // images a tile walks over
  int64_t vectors;          // of filters
};

// One filter's rows at the image's pitch, zero in between.
template <class T>
void spread(T* out, const T* dy, const WeightPlan<T>& p) {
  int64_t pitch = p.shape.pitch(), width = p.conv.ow, rows = p.conv.oh;
  for (int64_t y = 0; y < rows; ++y, dy += width) {
    T* row = out + y * pitch;
    copy_row(row, dy, width);
    T* end = y + 1 < rows ? row + pitch : out + p.positions;
    for (T* i = row + width; i < end; ++i) *i = T(0);
  }
}

// The gradient of an image as dot tiles read it: filters that share a vector lie interleaved, Simd's width of each.
template <class T>
void spread_filters(T* out, const T* dy, const WeightPlan<T>& p, T* row) {
  using S = Simd<T>;
  int64_t size = p.conv.oh * p.conv.ow, together = p.kernels.dot_filters;
  if (together == 1) {
    for (int64_t f = 0; f < p.shape.filters; ++f) spread(out + f * p.positions, dy + f * size, p);
    return;
  }
  for (int64_t f = 0; f < p.vectors * together; ++f) {
    if (f < p.shape.filters) {
      spread(row, dy + f * size, p);
    } else {
      std::fill_n(row, p.positions, T(0));
    }
    T* to = out + f / together * together * p.positions + f % together * S::width;
    for (int64_t i = 0; i < p.positions; i += S::width) S::store(to + i * together, S::load(row + i));
  }
}

// One block of channels of one group over the images of one part.
template <class T>
void run_job(const WeightPlan<T>& p, int64_t job, const T* dy, const T* x, const int32_t* offset, T* images, T* dw) {
  const Conv2d& d = p.conv;
  int64_t part = job / (d.groups * p.channel_blocks), g = job / p.channel_blocks % d.groups;
  int64_t c0 = job % p.channel_blocks * kChannels;
  ConvShape s = p.shape;
  s.channels = std::min(kChannels, p.group_channels - c0);
  int64_t taps = s.channels * s.taps(), ldo = p.group_channels * s.taps();
  int64_t last = std::min(d.n, (part + 1) * p.part_images);
  T *gradients = images + p.at_once * p.image, *spread_row = gradients + p.at_once * p.gradient;
  for (int64_t n = part * p.part_images; n < last; n += p.at_once) {
    int64_t step = p.positions * p.kernels.dot_filters;
    DotWalk walk{std::min(p.at_once, last - n), p.image, p.gradient, step, p.positions};
    for (int64_t i = 0; i < walk.images; ++i) {
      fill_image(s, images + i * p.image, x + ((n + i) * d.c + g * p.group_channels + c0) * d.h * d.w, 0, d.oh,
                 n == part * p.part_images);
      spread_filters(gradients + i * p.gradient, dy + ((n + i) * d.o + g * s.filters) * d.oh * d.ow, p, spread_row);
    }
    for (int64_t v = 0; v < p.vectors; v += kMaxDotVectors) {
      int64_t vectors = std::min<int64_t>(kMaxDotVectors, p.vectors - v), f = v * p.kernels.dot_filters;
      int64_t filters = std::min(vectors * p.kernels.dot_filters, s.filters - f), row = g * s.filters + f;
      for (int64_t t = 0; t < taps; t += p.kernels.dot_taps) {
        int64_t count = std::min(p.kernels.dot_taps, taps - t);
        p.kernels.dots[count - 1][vectors - 1](walk, gradients + v * step, images, offset + t,
                                               dw + row * ldo + c0 * s.taps() + t, ldo, filters);
      }
    }
  }
}

template <class T>
void grad_weight_as(Context& ctx, const Conv2d& d, T* dw, const T* dy, const T* x) {
  WeightPlan<T> p(d);
  if (p.size == 0) return;
  if (d.n * d.oh * d.ow == 0) return std::fill_n(dw, p.size, T(0)), void();
  int64_t jobs = p.parts * d.groups * p.channel_blocks, tasks = std::min<int64_t>(jobs, ctx.threads());
  int64_t taps = p.shape.channels * p.shape.taps();
  int64_t offsets = round_up(ceil_div(taps * 4, static_cast<int64_t>(sizeof(T))), 64);
  int64_t partial = p.parts == 1 ? 0 : round_up(p.size * p.parts, 64),
          images = (p.image + p.gradient) * p.at_once + round_up(p.positions, 64);
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
