// Pooling over planes of NCHW images. A gradient zeroes its plane and adds, so a plane belongs to one thread.
#include <limits>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/support.h"

namespace ds::kernels::cpu_detail {
namespace {

struct Window {
  int64_t y0, y1, x0, x1;  // inside the image
};

Window window_at(const Pool2d& p, int64_t oy, int64_t ox) {
  int64_t y = oy * p.stride_h - p.pad_h, x = ox * p.stride_w - p.pad_w;
  return {std::max<int64_t>(y, 0), std::min(y + p.kh, p.h), std::max<int64_t>(x, 0), std::min(x + p.kw, p.w)};
}

// What an average divides by: the window with its padding, but not what sticks out beyond that.
int64_t divisor_at(const Pool2d& p, int64_t oy, int64_t ox) {
  int64_t y = oy * p.stride_h - p.pad_h, x = ox * p.stride_w - p.pad_w;
  return (std::min(y + p.kh, p.h + p.pad_h) - y) * (std::min(x + p.kw, p.w + p.pad_w) - x);
}

template <class T>
constexpr Compute<T> lowest() {
  using C = Compute<T>;
  return scalar::Float<C> ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();
}

// 2x2 by 2 without padding, the common case.
bool halves(const Pool2d& p) {
  return p.kh == 2 && p.kw == 2 && p.stride_h == 2 && p.stride_w == 2 && p.pad_h == 0 && p.pad_w == 0 &&
         2 * p.oh <= p.h && 2 * p.ow <= p.w;
}

// plane(in, out) for each plane of h*w and oh*ow elements.
template <class F>
void for_planes(Context& ctx, const Pool2d& p, F&& plane) {
  int64_t cost = std::max<int64_t>(1, p.h * p.w + p.oh * p.ow * p.kh * p.kw);
  ctx.parallel_for(p.n * p.c, std::max<int64_t>(1, 32768 / cost), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) plane(i * p.h * p.w, i * p.oh * p.ow);
  });
}

template <class T>
void max_plane(const Pool2d& p, const T* in, T* out) {
  for (int64_t oy = 0; oy < p.oh; ++oy) {
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      Window w = window_at(p, oy, ox);
      auto best = lowest<T>();
      for (int64_t y = w.y0; y < w.y1; ++y) {
        for (int64_t x = w.x0; x < w.x1; ++x) best = scalar::maximum(best, load(in[y * p.w + x]));
      }
      *out++ = store<T>(best);
    }
  }
}

// 2x2 windows of a pair of rows, a vector of windows at a time; f(window, mask of its columns, ...) sees the four
// corners [row][column].
template <class T>
struct Corners {
  typename Simd<T>::V v[2][2];
};
template <class T>
Corners<T> corners_at(const T* a, const T* b, __m256i low, __m256i high) {
  using S = Simd<T>;
  auto a0 = S::load(a, low), a1 = S::load(a + S::width, high), b0 = S::load(b, low), b1 = S::load(b + S::width, high);
  return {{{S::even(a0, a1), S::odd(a0, a1)}, {S::even(b0, b1), S::odd(b0, b1)}}};
}
// f(first window, windows, masks of the low and the high half of their columns)
template <class T, class F>
void for_vectors(int64_t windows, F&& f) {
  constexpr int W = Simd<T>::width;
  for (int64_t i = 0; i < windows; i += W) {
    int left = static_cast<int>(std::min<int64_t>(W, windows - i));
    f(i, Simd<T>::mask(left), Simd<T>::mask(2 * left), Simd<T>::mask(2 * left - W));
  }
}

template <class T>
void max_halves(const Pool2d& p, const T* in, T* out) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    const Max<T> max;
    for (int64_t oy = 0; oy < p.oh; ++oy) {
      const T *a = in + 2 * oy * p.w, *b = a + p.w;
      for_vectors<T>(p.ow, [&](int64_t i, __m256i windows, __m256i low, __m256i high) {
        Corners<T> c = corners_at(a + 2 * i, b + 2 * i, low, high);
        Simd<T>::store(out + oy * p.ow + i, windows, max(max(c.v[0][0], c.v[0][1]), max(c.v[1][0], c.v[1][1])));
      });
    }
  } else {
    max_plane(p, in, out);
  }
}

// Sends each gradient to the place its window's maximum was taken from: the first one, or the first NaN.
template <class T>
void max_halves_grad(const Pool2d& p, const T* in, const T* dy, T* dx) {
  using S = Simd<T>;
  using V = typename S::V;
  if (2 * p.oh < p.h || 2 * p.ow < p.w) std::fill_n(dx, p.h * p.w, T(0));
  auto beats = [](V x, V y) { return (x > y) | ((x != x) & (y == y)); };
  for (int64_t oy = 0; oy < p.oh; ++oy) {
    const T* a = in + 2 * oy * p.w;
    T* to = dx + 2 * oy * p.w;
    for_vectors<T>(p.ow, [&](int64_t i, __m256i windows, __m256i low, __m256i high) {
      Corners<T> c = corners_at(a + 2 * i, a + p.w + 2 * i, low, high);
      V g = S::load(dy + oy * p.ow + i, windows), zero{};
      auto right = beats(c.v[0][1], c.v[0][0]), right_below = beats(c.v[1][1], c.v[1][0]);
      auto below = beats(right_below ? c.v[1][1] : c.v[1][0], right ? c.v[0][1] : c.v[0][0]);
      if (p.positive) {
        V best = below ? (right_below ? c.v[1][1] : c.v[1][0]) : (right ? c.v[0][1] : c.v[0][0]);
        g = best > zero ? g : zero;
      }
      V above = below ? zero : g, under = below ? g : zero;
      V d[2][2] = {{right ? zero : above, right ? above : zero},
                   {right_below ? zero : under, right_below ? under : zero}};
      for (int row = 0; row < 2; ++row) {
        S::store(to + row * p.w + 2 * i, low, S::zip_low(d[row][0], d[row][1]));
        S::store(to + row * p.w + 2 * i + S::width, high, S::zip_high(d[row][0], d[row][1]));
      }
    });
  }
}

template <class T>
void max_plane_grad(const Pool2d& p, const T* in, const T* dy, Compute<T>* dx) {
  for (int64_t oy = 0; oy < p.oh; ++oy) {
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      Window w = window_at(p, oy, ox);
      if (w.y0 >= w.y1 || w.x0 >= w.x1) continue;
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
      if (!p.positive || best > 0) dx[at] += load(dy[oy * p.ow + ox]);
    }
  }
}

template <class T>
void average_plane(const Pool2d& p, const T* in, T* out) {
  for (int64_t oy = 0; oy < p.oh; ++oy) {
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      Window w = window_at(p, oy, ox);
      Compute<T> sum = 0;
      for (int64_t y = w.y0; y < w.y1; ++y) {
        for (int64_t x = w.x0; x < w.x1; ++x) sum += load(in[y * p.w + x]);
      }
      *out++ = store<T>(sum / static_cast<Compute<T>>(divisor_at(p, oy, ox)));
    }
  }
}

template <class T>
void average_plane_grad(const Pool2d& p, const T* dy, Compute<T>* dx) {
  for (int64_t oy = 0; oy < p.oh; ++oy) {
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      Window w = window_at(p, oy, ox);
      Compute<T> g = load(dy[oy * p.ow + ox]) / static_cast<Compute<T>>(divisor_at(p, oy, ox));
      for (int64_t y = w.y0; y < w.y1; ++y) {
        for (int64_t x = w.x0; x < w.x1; ++x) dx[y * p.w + x] += g;
      }
    }
  }
}

// Runs add(plane of sums) on zeros: in dx itself, or for bf16 in a plane of floats that is rounded once.
template <class T, class Add>
void accumulate_planes(Context& ctx, const Pool2d& p, T* dx, Add&& add) {
  using C = Compute<T>;
  int64_t planes = p.n * p.c, area = p.h * p.w, tasks = std::min<int64_t>(planes, ctx.threads());
  if (planes * area == 0) return;
  C* scratch = nullptr;
  if constexpr (!std::is_same_v<T, C>)
    scratch = static_cast<C*>(ctx.scratch(static_cast<size_t>(tasks * area) * sizeof(C)));
  for_tasks(ctx, tasks, [&](int64_t t) {
    for (int64_t i = planes * t / tasks; i < planes * (t + 1) / tasks; ++i) {
      if constexpr (std::is_same_v<T, C>) {
        std::fill_n(dx + i * area, area, C(0));
        add(i, dx + i * area);
      } else {
        C* sums = scratch + t * area;
        std::fill_n(sums, area, C(0));
        add(i, sums);
        for (int64_t j = 0; j < area; ++j) dx[i * area + j] = store<T>(sums[j]);
      }
    }
  });
}

template <class F>
void visit_numbers(const char* op, DType t, F&& f) {
  visit_ordered(op, t, [&](auto tag) {
    if constexpr (std::is_same_v<typename decltype(tag)::type, bool>) {
      not_supported(op, t);
    } else {
      f(tag);
    }
  });
}

}  // namespace

void max_pool2d(Context& ctx, const Pool2d& p, void* y, const void* x) {
  visit_numbers("max_pool2d", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_planes(ctx, p, [&](int64_t in, int64_t out) {
      auto* from = static_cast<const T*>(x) + in;
      auto* to = static_cast<T*>(y) + out;
      halves(p) ? max_halves(p, from, to) : max_plane(p, from, to);
    });
  });
}

void max_pool2d_grad(Context& ctx, const Pool2d& p, void* dx, const void* dy, const void* x) {
  visit_floating("max_pool2d_grad", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto *from = static_cast<const T*>(x), *g = static_cast<const T*>(dy);
    auto* to = static_cast<T*>(dx);
    if constexpr (std::is_same_v<T, Compute<T>>) {
      if (halves(p)) {
        return for_planes(ctx, p, [&](int64_t in, int64_t out) { max_halves_grad(p, from + in, g + out, to + in); });
      }
    }
    accumulate_planes(ctx, p, to, [&](int64_t i, Compute<T>* sums) {
      max_plane_grad(p, from + i * p.h * p.w, g + i * p.oh * p.ow, sums);
    });
  });
}

void avg_pool2d(Context& ctx, const Pool2d& p, void* y, const void* x) {
  visit_floating("avg_pool2d", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_planes(ctx, p, [&](int64_t in, int64_t out) {
      average_plane(p, static_cast<const T*>(x) + in, static_cast<T*>(y) + out);
    });
  });
}

void avg_pool2d_grad(Context& ctx, const Pool2d& p, void* dx, const void* dy) {
  visit_floating("avg_pool2d_grad", p.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    accumulate_planes(ctx, p, static_cast<T*>(dx), [&](int64_t i, Compute<T>* sums) {
      average_plane_grad(p, static_cast<const T*>(dy) + i * p.oh * p.ow, sums);
    });
  });
}

}  // namespace ds::kernels::cpu_detail
