// Convolution as a matrix product whose factors are read where they lie: no im2col matrix is made. A block computes a
// 64x64 tile of the product in steps of 16 through shared memory, 4x4 elements a thread, summing in the order of k. The
// gradient of the filters has a long k: it is cut into parts, whose number follows from the extents, and their sums are
// added in order.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr int kTile = 64;
constexpr int kStep = 16;
constexpr int kEach = 4;
constexpr int64_t kFewTiles = 256;  // fewer tiles than this leave multiprocessors idle
constexpr int64_t kPart = 512;      // of k, at least

// Every extent is below 2^31 (the host checks); offsets of elements are 64-bit.
struct Shape {
  int32_t n, c, h, w, o, kh, kw, oh, ow;
  int32_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int32_t group_c, group_o;
  Divider taps, filter_w, image, image_w, output, output_w, by_stride_h, by_stride_w;
};

struct Pair {
  int32_t quotient, rest;
};
__device__ Pair divide(uint32_t n, const Divider& d) {
  uint32_t q = d.divide(n);
  return {static_cast<int32_t>(q), static_cast<int32_t>(n - q * d.divisor)};
}

// A filter's tap: where it reads relative to an output, and the start of its channel's plane of `area` elements.
struct Tap {
  int64_t plane;
  int32_t y, x;
};
__device__ Tap tap_at(const Shape& s, uint32_t i, int64_t area) {
  Pair channel = divide(i, s.taps), at = divide(static_cast<uint32_t>(channel.rest), s.filter_w);
  return {channel.quotient * area, at.quotient * s.dilation_h, at.rest * s.dilation_w};
}
struct Position {
  int64_t image;
  int32_t y, x;
};
__device__ Position position_at(uint32_t i, const Divider& area, const Divider& width) {
  Pair image = divide(i, area), at = divide(static_cast<uint32_t>(image.rest), width);
  return {image.quotient, at.quotient, at.rest};
}

// The problems: C (m, n) = sum over k of A (m, k) B (k, n), for one group. Row and Column are what is known of a place
// in B before the other is; kDown says along which of B's sides neighbours lie next to each other in memory.
template <class T>
struct Forward {  // m: filters, n: outputs of all images, k: taps of all channels
  static constexpr bool kDown = false;
  Shape s;
  const T *x, *w, *bias;
  T* y;
  bool relu;
  int32_t m, n, k;

  using Row = Tap;
  using Column = Position;
  __device__ T a(int32_t group, int32_t i, int32_t p) const { return w[(int64_t{group} * m + i) * k + p]; }
  __device__ Row row(int32_t p) const { return tap_at(s, p, int64_t{s.h} * s.w); }
  __device__ Column column(int32_t group, int32_t j) const {
    Position at = position_at(j, s.output, s.output_w);
    return {(at.image * s.c + int64_t{group} * s.group_c) * s.h * s.w, at.y * s.stride_h - s.pad_h,
            at.x * s.stride_w - s.pad_w};
  }
  __device__ T b(const Row& r, const Column& c) const {
    int32_t iy = c.y + r.y, ix = c.x + r.x;
    bool inside = iy >= 0 && iy < s.h && ix >= 0 && ix < s.w;
    return inside ? x[c.image + r.plane + int64_t{iy} * s.w + ix] : T(0);
  }
  __device__ void put(int32_t group, int32_t, int32_t i, int32_t j, T sum) const {
    Pair at = divide(j, s.output);
    int32_t filter = group * m + i;
    if (bias != nullptr) sum += bias[filter];
    if (relu) sum = scalar::relu(sum);
    y[(int64_t{at.quotient} * s.o + filter) * s.oh * s.ow + at.rest] = sum;
  }
};

template <class T>
struct GradInput {  // m: channels, n: pixels of all images, k: taps of all filters
  static constexpr bool kDown = false;
  Shape s;
  const T *dy, *w;
  T* dx;
  int32_t m, n, k;

  using Row = Tap;
  using Column = Position;
  __device__ T a(int32_t group, int32_t i, int32_t p) const {
    Pair filter = divide(p, s.taps);
    int32_t taps = s.kh * s.kw;
    return w[((int64_t{group} * s.group_o + filter.quotient) * m + i) * taps + filter.rest];
  }
  __device__ Row row(int32_t p) const { return tap_at(s, p, int64_t{s.oh} * s.ow); }
  __device__ Column column(int32_t group, int32_t j) const {
    Position at = position_at(j, s.image, s.image_w);
    return {(at.image * s.o + int64_t{group} * s.group_o) * s.oh * s.ow, at.y + s.pad_h, at.x + s.pad_w};
  }
  __device__ T b(const Row& r, const Column& c) const {
    int32_t ty = c.y - r.y, tx = c.x - r.x;
    if (ty < 0 || tx < 0) return T(0);
    Pair oy = divide(ty, s.by_stride_h), ox = divide(tx, s.by_stride_w);
    bool inside = oy.rest == 0 && ox.rest == 0 && oy.quotient < s.oh && ox.quotient < s.ow;
    return inside ? dy[c.image + r.plane + int64_t{oy.quotient} * s.ow + ox.quotient] : T(0);
  }
  __device__ void put(int32_t group, int32_t, int32_t i, int32_t j, T sum) const {
    Pair at = divide(j, s.image);
    dx[(int64_t{at.quotient} * s.c + group * m + i) * s.h * s.w + at.rest] = sum;
  }
};

template <class T>
struct GradWeight {  // m: filters, n: taps of all channels, k: outputs of all images
  static constexpr bool kDown = true;
  Shape s;
  const T *dy, *x;
  T* parts;  // (part, group, m, n)
  int32_t groups;
  int32_t m, n, k;

  using Row = Position;
  using Column = Tap;
  __device__ T a(int32_t group, int32_t i, int32_t p) const {
    Pair at = divide(p, s.output);
    return dy[(int64_t{at.quotient} * s.o + group * m + i) * s.oh * s.ow + at.rest];
  }
  __device__ Row row(int32_t p) const {
    Position at = position_at(p, s.output, s.output_w);
    return {at.image * s.c * s.h * s.w, at.y * s.stride_h - s.pad_h, at.x * s.stride_w - s.pad_w};
  }
  __device__ Column column(int32_t group, int32_t j) const {
    Tap tap = tap_at(s, j, int64_t{s.h} * s.w);
    tap.plane += int64_t{group} * s.group_c * s.h * s.w;
    return tap;
  }
  __device__ T b(const Row& r, const Column& c) const {
    int32_t iy = r.y + c.y, ix = r.x + c.x;
    bool inside = iy >= 0 && iy < s.h && ix >= 0 && ix < s.w;
    return inside ? x[r.image + c.plane + int64_t{iy} * s.w + ix] : T(0);
  }
  __device__ void put(int32_t group, int32_t part, int32_t i, int32_t j, T sum) const {
    parts[((int64_t{part} * groups + group) * m + i) * n + j] = sum;
  }
};

// Blocks are (tiles of n by tiles of m, parts of k, groups).
template <class T, class Problem>
__global__ void implicit_gemm(const __grid_constant__ Problem p, int32_t tiles_n, int32_t share) {
  __shared__ T a[kStep][kTile + 1], b[kStep][kTile + 1];
  int32_t j0 = static_cast<int32_t>(blockIdx.x) % tiles_n * kTile,
          i0 = static_cast<int32_t>(blockIdx.x) / tiles_n * kTile;
  int32_t part = blockIdx.y, group = blockIdx.z, thread = threadIdx.x;
  int32_t begin = part * share, end = p.k - begin < share ? p.k : begin + share;
  int32_t ty = thread / (kTile / kEach), tx = thread % (kTile / kEach);
  T sum[kEach][kEach] = {};
  for (int32_t k0 = begin; k0 < end; k0 += kStep) {
    for (int e = thread; e < kTile * kStep; e += kBlock) {
      int32_t i = e / kStep, k = e % kStep;
      a[k][i] = i0 + i < p.m && k0 + k < end ? p.a(group, i0 + i, k0 + k) : T(0);
    }
    for (int e = thread; e < kTile * kStep; e += kBlock) {
      int32_t j = Problem::kDown ? e / kStep : e % kTile, k = Problem::kDown ? e % kStep : e / kTile;
      b[k][j] = j0 + j < p.n && k0 + k < end ? p.b(p.row(k0 + k), p.column(group, j0 + j)) : T(0);
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kStep; ++k) {
      T u[kEach], v[kEach];
#pragma unroll
      for (int i = 0; i < kEach; ++i) u[i] = a[k][ty * kEach + i];
#pragma unroll
      for (int j = 0; j < kEach; ++j) v[j] = b[k][tx + j * (kTile / kEach)];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
#pragma unroll
        for (int j = 0; j < kEach; ++j) sum[i][j] = scalar::fma(u[i], v[j], sum[i][j]);
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    for (int j = 0; j < kEach; ++j) {
      int32_t row = i0 + ty * kEach + i, column = j0 + tx + j * (kTile / kEach);
      if (row < p.m && column < p.n) p.put(group, part, row, column, sum[i][j]);
    }
  }
}

template <class T>
__global__ void add_parts(T* out, const T* parts, int64_t n, int64_t count) {
  int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (i >= n) return;
  T sum = parts[i];
  for (int64_t p = 1; p < count; ++p) sum += parts[p * n + i];
  out[i] = sum;
}

int32_t narrow(int64_t x) {
  if (x < INT32_MAX) return static_cast<int32_t>(x);
  throw NotSupported("[conv2d] the cuda backend takes fewer than 2^31 positions, got " + std::to_string(x));
}

Shape shape_of(const Conv2d& c) {
  narrow(c.n * std::max(c.h * c.w, c.oh * c.ow));
  narrow(std::max(c.c, c.o) / c.groups * c.kh * c.kw);
  auto i = [](int64_t x) { return narrow(x); };
  return {i(c.n),
          i(c.c),
          i(c.h),
          i(c.w),
          i(c.o),
          i(c.kh),
          i(c.kw),
          i(c.oh),
          i(c.ow),
          i(c.stride_h),
          i(c.stride_w),
          i(c.pad_h),
          i(c.pad_w),
          i(c.dilation_h),
          i(c.dilation_w),
          i(c.c / c.groups),
          i(c.o / c.groups),
          Divider(c.kh * c.kw),
          Divider(c.kw),
          Divider(c.h * c.w),
          Divider(c.w),
          Divider(c.oh * c.ow),
          Divider(c.ow),
          Divider(c.stride_h),
          Divider(c.stride_w)};
}

template <class T, class Problem>
void run(Context& ctx, const Problem& p, int64_t groups, int64_t parts, int64_t share) {
  int64_t tiles_n = ceil_div(p.n, kTile), tiles_m = ceil_div(p.m, kTile);
  launch(ctx, implicit_gemm<T, Problem>, Grid{tiles_n * tiles_m, parts, groups}, kBlock, 0, p,
         static_cast<int32_t>(tiles_n), static_cast<int32_t>(share));
}

template <class F>
void visit_conv(const char* op, DType t, F&& f) {
  if (t == DType::f32) return f(Tag<float>{});
  if (t == DType::f64) return f(Tag<double>{});
  not_supported(op, t);
}

}  // namespace

void conv2d(Context& ctx, const Conv2d& c, void* y, const void* x, const void* w, const void* bias, bool relu) {
  visit_conv("conv2d", c.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    Shape s = shape_of(c);
    Forward<T> p{s,
                 static_cast<const T*>(x),
                 static_cast<const T*>(w),
                 static_cast<const T*>(bias),
                 static_cast<T*>(y),
                 relu,
                 s.group_o,
                 s.n * s.oh * s.ow,
                 s.group_c * s.kh * s.kw};
    run<T>(ctx, p, c.groups, 1, std::max(p.k, 1));
  });
}

void conv2d_grad_input(Context& ctx, const Conv2d& c, void* dx, const void* dy, const void* w) {
  visit_conv("conv2d_grad_input", c.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    Shape s = shape_of(c);
    GradInput<T> p{s,         static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx),
                   s.group_c, s.n * s.h * s.w,           s.group_o * s.kh * s.kw};
    run<T>(ctx, p, c.groups, 1, std::max(p.k, 1));
  });
}

void conv2d_grad_weight(Context& ctx, const Conv2d& c, void* dw, const void* dy, const void* x) {
  visit_conv("conv2d_grad_weight", c.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    Shape s = shape_of(c);
    GradWeight<T> p{s,
                    static_cast<const T*>(dy),
                    static_cast<const T*>(x),
                    static_cast<T*>(dw),
                    static_cast<int32_t>(c.groups),
                    s.group_o,
                    s.group_c * s.kh * s.kw,
                    s.n * s.oh * s.ow};
    int64_t tiles = ceil_div(p.n, kTile) * ceil_div(p.m, kTile) * c.groups, size = c.groups * p.m * p.n;
    int64_t wanted = std::clamp<int64_t>(kFewTiles / std::max<int64_t>(tiles, 1), 1, std::max<int64_t>(1, p.k / kPart));
    int64_t share = std::max<int64_t>(1, ceil_div(p.k, wanted)), parts = std::max<int64_t>(1, ceil_div(p.k, share));
    if (parts == 1) return run<T>(ctx, p, c.groups, 1, share);
    p.parts = static_cast<T*>(ctx.scratch(static_cast<size_t>(parts * size) * sizeof(T)));
    run<T>(ctx, p, c.groups, parts, share);
    launch(ctx, add_parts<T>, Grid{ceil_div(size, kBlock)}, kBlock, 0, static_cast<T*>(dw),
           static_cast<const T*>(p.parts), size, parts);
  });
}

}  // namespace ds::kernels::cuda_detail
