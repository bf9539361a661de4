// Convolution as a matrix product whose right side is read out of the padded image itself: filters x taps times
// taps x positions. The gradient of the input is the same walk over the spread gradient with turned filters.
#include "kernels/cpu/conv_image.h"
#include "kernels/cpu/conv_kernel.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

constexpr int64_t kTapBlock = 576;
constexpr int64_t kImageBytes = 192 << 10;

template <class T>
struct ConvCall {
  const ConvKernels<T>& kernels;
  ConvShape s;
  int64_t images, groups;
  const T* source;
  const T* w;
  bool turned;  // w is read as (channel, filter) with its taps reversed
  const T* bias;
  bool relu;
  T* out;
};

// Output rows whose image fits in L2, the same for every thread count.
template <class T>
int64_t band_rows(const ConvShape& s) {
  int64_t band = s.out_h;
  while (band > 1 && s.image(band) * static_cast<int64_t>(sizeof(T)) > kImageBytes) band = ceil_div(band, 2);
  return band;
}

// Panels of as many filters as a tile has, tap after tap: [group][panel][channel, r, s][filter].
template <class T>
void pack_filters(const ConvCall<T>& x, T* out) {
  const ConvShape& s = x.s;
  int64_t taps = s.taps(), panel_filters = x.kernels.filters;
  for (int64_t g = 0; g < x.groups; ++g) {
    const T* w = x.w + g * s.filters * s.channels * taps;
    for (int64_t f0 = 0; f0 < s.filters; f0 += panel_filters) {
      for (int64_t c = 0; c < s.channels; ++c) {
        for (int64_t t = 0; t < taps; ++t, out += panel_filters) {
          for (int64_t f = f0; f < f0 + panel_filters; ++f) {
            int64_t at = x.turned ? (c * s.filters + f) * taps + taps - 1 - t : (f * s.channels + c) * taps + t;
            out[f - f0] = f < s.filters ? w[at] : T(0);
          }
        }
      }
    }
  }
}

// Rows of positions to rows of outputs, with the epilogue.
template <class T>
void emit_rows(T* out, const T* in, int64_t rows, int64_t width, int64_t pitch, const T* bias, bool relu) {
  using S = Simd<T>;
  auto zero = T(0);
  auto b = S::broadcast(bias == nullptr ? &zero : bias);
  for (int64_t y = 0; y < rows; ++y, out += width, in += pitch) {
    if (relu) {
      map_row(out, in, width, [b](auto v) { return S::relu(S::add(v, b)); });
    } else if (bias != nullptr) {
      map_row(out, in, width, [b](auto v) { return S::add(v, b); });
    } else {
      copy_row(out, in, width);
    }
  }
}

// Vectors of the next tile when `left` are left; a last one alone would not keep the units busy.
int64_t tile_vectors(int64_t left) { return left == kConvVectors + 1 ? 2 : std::min<int64_t>(kConvVectors, left); }

// One band of one group of one image.
template <class T>
void run_band(const ConvCall<T>& x, int64_t image_index, int64_t g, int64_t y0, int64_t band, const T* filters,
              const int32_t* offset, T* image, T* panel, bool fresh) {
  const ConvShape& s = x.s;
  const int64_t W = x.kernels.width, panel_filters = x.kernels.filters;
  int64_t rows = std::min(band, s.out_h - y0), k = s.channels * s.taps();
  int64_t unit = image_index * x.groups + g;
  fill_image(s, image, x.source + unit * s.channels * s.src_h * s.src_w, y0, band, fresh);
  int64_t positions = (rows - 1) * s.pitch() + s.out_w,
          ldc = round_up(band * s.pitch(), kConvVectors * W) + kConvVectors * W;
  const T* w = filters + g * round_up(s.filters, panel_filters) * k;
  for (int64_t f = 0; f < s.filters; f += panel_filters) {
    int64_t count = std::min<int64_t>(panel_filters, s.filters - f);
    for (int64_t p = 0; p < k; p += kTapBlock) {
      int64_t kc = std::min(kTapBlock, k - p);
      for (int64_t j = 0, vectors = 0; j < positions; j += vectors * W) {
        vectors = tile_vectors(ceil_div(positions - j, W));
        x.kernels.tiles[vectors - 1][count - 1](kc, w + f * k + p * panel_filters, image + j, offset + p, panel + j,
                                                ldc, p > 0);
      }
    }
    for (int64_t r = 0; r < count; ++r) {
      const T* bias = x.bias ? x.bias + g * s.filters + f + r : nullptr;
      T* out = x.out + ((unit * s.filters + f + r) * s.out_h + y0) * s.out_w;
      emit_rows(out, panel + r * ldc, rows, s.out_w, s.pitch(), bias, x.relu);
    }
  }
}

template <class T>
void run_conv(Context& ctx, const ConvCall<T>& x) {
  const ConvShape& s = x.s;
  int64_t band = band_rows<T>(s), bands = ceil_div(s.out_h, band), jobs = x.images * x.groups * bands;
  if (jobs == 0 || s.out_w == 0) return;
  int64_t k = s.channels * s.taps(), W = x.kernels.width, panel_filters = x.kernels.filters;
  int64_t filters = round_up(x.groups * round_up(s.filters, panel_filters) * k, 64);
  int64_t offsets = round_up(ceil_div(k * 4, static_cast<int64_t>(sizeof(T))), 64);
  int64_t image = round_up(s.image(band) + kImageSlack, 64);
  int64_t panel = panel_filters * (round_up(band * s.pitch(), kConvVectors * W) + kConvVectors * W);
  int64_t tasks = std::min<int64_t>(jobs, ctx.threads());
  auto* base =
      static_cast<T*>(ctx.scratch(static_cast<size_t>(filters + offsets + tasks * (image + panel)) * sizeof(T)));
  auto* offset = reinterpret_cast<int32_t*>(base + filters);
  pack_filters(x, base);
  for (int64_t c = 0, p = 0; c < s.channels; ++c) {
    for (int64_t t = 0; t < s.taps(); ++t) {
      offset[p++] = static_cast<int32_t>(s.tap_offset(band, c, t / s.kw, t % s.kw));
    }
  }
  for_tasks(ctx, tasks, [&](int64_t t) {
    T* mine = base + filters + offsets + t * (image + panel);
    int64_t first = jobs * t / tasks;
    for (int64_t job = first; job < jobs * (t + 1) / tasks; ++job) {
      int64_t unit = job / bands;
      bool fresh = job == first || bands > 1;
      run_band(x, unit / x.groups, unit % x.groups, job % bands * band, band, base, offset, mine, mine + image, fresh);
    }
  });
}

ConvShape backward_shape(const Conv2d& d) {
  return {.channels = d.o / d.groups,
          .filters = d.c / d.groups,
          .src_h = d.oh,
          .src_w = d.ow,
          .insert_h = d.stride_h,
          .insert_w = d.stride_w,
          .pad_h = d.dilation_h * (d.kh - 1) - d.pad_h,
          .pad_w = d.dilation_w * (d.kw - 1) - d.pad_w,
          .kh = d.kh,
          .kw = d.kw,
          .stride_h = 1,
          .stride_w = 1,
          .dilation_h = d.dilation_h,
          .dilation_w = d.dilation_w,
          .out_h = d.h,
          .out_w = d.w};
}

template <class T>
void forward_as(Context& ctx, const Conv2d& d, void* y, const void* x, const void* w, const void* bias, bool relu) {
  run_conv(ctx, ConvCall<T>{conv_kernels<T>(), forward_shape(d), d.n, d.groups, static_cast<const T*>(x),
                            static_cast<const T*>(w), false, static_cast<const T*>(bias), relu, static_cast<T*>(y)});
}
template <class T>
void backward_as(Context& ctx, const Conv2d& d, void* dx, const void* dy, const void* w) {
  run_conv(ctx, ConvCall<T>{conv_kernels<T>(), backward_shape(d), d.n, d.groups, static_cast<const T*>(dy),
                            static_cast<const T*>(w), true, nullptr, false, static_cast<T*>(dx)});
}

}  // namespace

void conv2d(Context& ctx, const Conv2d& d, void* y, const void* x, const void* w, const void* bias, bool relu) {
  if (d.type == DType::f32) return forward_as<float>(ctx, d, y, x, w, bias, relu);
  if (d.type == DType::f64) return forward_as<double>(ctx, d, y, x, w, bias, relu);
  not_supported("conv2d", d.type);
}

void conv2d_grad_input(Context& ctx, const Conv2d& d, void* dx, const void* dy, const void* w) {
  if (d.type == DType::f32) return backward_as<float>(ctx, d, dx, dy, w);
  if (d.type == DType::f64) return backward_as<double>(ctx, d, dx, dy, w);
  not_supported("conv2d_grad_input", d.type);
}

}  // namespace ds::kernels::cpu_detail
