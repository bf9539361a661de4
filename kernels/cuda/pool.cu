// Pooling, one thread an element of what is written. A gradient is gathered from the windows that hold the pixel, in
// row-major order of the windows, so nothing is added atomically.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/support.h"

namespace ds::kernels::cuda_detail {
namespace {

struct Window {
  int64_t y0, y1, x0, x1;  // inside the image
};

__device__ int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
__device__ int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

__device__ Window window_at(const Pool2d& p, int64_t oy, int64_t ox) {
  int64_t y = oy * p.stride_h - p.pad_h, x = ox * p.stride_w - p.pad_w;
  return {larger(y, 0), smaller(y + p.kh, p.h), larger(x, 0), smaller(x + p.kw, p.w)};
}

// What an average divides by: the window with its padding, but not what sticks out beyond that.
__device__ int64_t divisor_at(const Pool2d& p, int64_t oy, int64_t ox) {
  int64_t y = oy * p.stride_h - p.pad_h, x = ox * p.stride_w - p.pad_w;
  return (smaller(y + p.kh, p.h + p.pad_h) - y) * (smaller(x + p.kw, p.w + p.pad_w) - x);
}

struct Place {
  int64_t plane, y, x;
};
__device__ Place place(int64_t t, int64_t h, int64_t w) { return {t / (h * w), t / w % h, t % w}; }

__device__ int64_t thread_index() { return blockIdx.x * int64_t{blockDim.x} + threadIdx.x; }

// The window's maximum, the first in row-major order, or its first NaN: its place in the plane.
template <class T>
__device__ int64_t argmax(const Pool2d& p, const Window& w, const T* in) {
  int64_t at = w.y0 * p.w + w.x0;
  auto best = load(in[at]);
  for (int64_t y = w.y0; y < w.y1; ++y) {
    for (int64_t x = w.x0; x < w.x1; ++x) {
      auto v = load(in[y * p.w + x]);
      if (v > best || (v != v && best == best)) {
        best = v;
        at = y * p.w + x;
      }
    }
  }
  return at;
}

__device__ bool is_empty(const Window& w) { return w.y0 >= w.y1 || w.x0 >= w.x1; }

template <class T>
__global__ void max_forward(const __grid_constant__ Pool2d p, T* y, const T* x) {
  int64_t t = thread_index();
  if (t >= p.n * p.c * p.oh * p.ow) return;
  Place o = place(t, p.oh, p.ow);
  Window w = window_at(p, o.y, o.x);
  const T* in = x + o.plane * p.h * p.w;
  y[t] = is_empty(w) ? store<T>(lowest<Compute<T>>()) : in[argmax(p, w, in)];
}

template <class T>
__global__ void average_forward(const __grid_constant__ Pool2d p, T* y, const T* x) {
  int64_t t = thread_index();
  if (t >= p.n * p.c * p.oh * p.ow) return;
  Place o = place(t, p.oh, p.ow);
  Window w = window_at(p, o.y, o.x);
  const T* in = x + o.plane * p.h * p.w;
  Compute<T> sum = 0;
  for (int64_t i = w.y0; i < w.y1; ++i) {
    for (int64_t j = w.x0; j < w.x1; ++j) sum += load(in[i * p.w + j]);
  }
  y[t] = store<T>(sum / static_cast<Compute<T>>(divisor_at(p, o.y, o.x)));
}

// Calls f(oy, ox) for every window that holds the pixel, in order.
template <class F>
__device__ void for_windows(const Pool2d& p, const Place& i, F&& f) {
  int64_t y = i.y + p.pad_h, x = i.x + p.pad_w;
  int64_t oy0 = y < p.kh ? 0 : (y - p.kh) / p.stride_h + 1, oy1 = smaller(y / p.stride_h + 1, p.oh);
  int64_t ox0 = x < p.kw ? 0 : (x - p.kw) / p.stride_w + 1, ox1 = smaller(x / p.stride_w + 1, p.ow);
  for (int64_t oy = oy0; oy < oy1; ++oy) {
    for (int64_t ox = ox0; ox < ox1; ++ox) f(oy, ox);
  }
}

template <class T>
__global__ void max_backward(const __grid_constant__ Pool2d p, T* dx, const T* dy, const T* x) {
  int64_t t = thread_index();
  if (t >= p.n * p.c * p.h * p.w) return;
  Place i = place(t, p.h, p.w);
  const T *in = x + i.plane * p.h * p.w, *g = dy + i.plane * p.oh * p.ow;
  Compute<T> sum = 0;
  bool wanted = !p.positive || load(x[t]) > 0;
  for_windows(p, i, [&](int64_t oy, int64_t ox) {
    if (wanted && argmax(p, window_at(p, oy, ox), in) == i.y * p.w + i.x) sum += load(g[oy * p.ow + ox]);
  });
  dx[t] = store<T>(sum);
}

template <class T>
__global__ void average_backward(const __grid_constant__ Pool2d p, T* dx, const T* dy) {
  int64_t t = thread_index();
  if (t >= p.n * p.c * p.h * p.w) return;
  Place i = place(t, p.h, p.w);
  const T* g = dy + i.plane * p.oh * p.ow;
  Compute<T> sum = 0;
  for_windows(p, i, [&](int64_t oy, int64_t ox) {
    sum += load(g[oy * p.ow + ox]) / static_cast<Compute<T>>(divisor_at(p, oy, ox));
  });
  dx[t] = store<T>(sum);
}

Grid outputs(const Pool2d& p) { return {ceil_div(p.n * p.c * p.oh * p.ow, kBlock)}; }
Grid inputs(const Pool2d& p) { return {ceil_div(p.n * p.c * p.h * p.w, kBlock)}; }

}  // namespace

void max_pool2d(Context& ctx, const Pool2d& p, void* y, const void* x) {
  visit_ordered("max_pool2d", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>) {
      not_supported("max_pool2d", p.type);
    } else {
      launch(ctx, max_forward<T>, outputs(p), kBlock, 0, p, static_cast<T*>(y), static_cast<const T*>(x));
    }
  });
}

void max_pool2d_grad(Context& ctx, const Pool2d& p, void* dx, const void* dy, const void* x) {
  visit_floating("max_pool2d_grad", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, max_backward<T>, inputs(p), kBlock, 0, p, static_cast<T*>(dx), static_cast<const T*>(dy),
           static_cast<const T*>(x));
  });
}

void avg_pool2d(Context& ctx, const Pool2d& p, void* y, const void* x) {
  visit_floating("avg_pool2d", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, average_forward<T>, outputs(p), kBlock, 0, p, static_cast<T*>(y), static_cast<const T*>(x));
  });
}

void avg_pool2d_grad(Context& ctx, const Pool2d& p, void* dx, const void* dy) {
  visit_floating("avg_pool2d_grad", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(ctx, average_backward<T>, inputs(p), kBlock, 0, p, static_cast<T*>(dx), static_cast<const T*>(dy));
  });
}

}  // namespace ds::kernels::cuda_detail
