// One step of a write by index and of a running result, once for every backend.
#pragma once
#include "kernels/scalar.h"
#include "kernels/table.h"

namespace ds::kernels {

// Complex numbers have no order.
template <class T>
concept Ordered = requires(T a, T b) {
  static_cast<bool>(a < b);
};
template <class T>
constexpr bool can(Write how) {
  return Ordered<T> || (how != Write::max && how != Write::min);
}
template <class T>
constexpr bool can(Scan how) {
  return how == Scan::logsumexp ? scalar::Float<T> : Ordered<T> || (how != Scan::max && how != Scan::min);
}

template <Write how, class T>
DS_HD T write_step(T old, T x) {
  if constexpr (how == Write::assign) return x;
  if constexpr (how == Write::add) return scalar::add(old, x);
  if constexpr (how == Write::mul) return scalar::mul(old, x);
  if constexpr (how == Write::max) return scalar::maximum(old, x);
  if constexpr (how == Write::min) return scalar::minimum(old, x);
}

template <Scan how, class T>
DS_HD T scan_step(T old, T x) {
  if constexpr (how == Scan::sum) return scalar::add(old, x);
  if constexpr (how == Scan::prod) return scalar::mul(old, x);
  if constexpr (how == Scan::max) return x >= old || x != x ? x : old;
  if constexpr (how == Scan::min) return x <= old || x != x ? x : old;
  if constexpr (how == Scan::logsumexp && scalar::Float<T>) return scalar::logaddexp(old, x);
  return x;
}

// Whether a stands before b, at different values: NaN is the greatest.
template <class T>
DS_HD bool sorts_before(T a, T b, bool descending) {
  if (descending) return a > b || (a != a && b == b);
  return a < b || (b != b && a == a);
}

// f(std::integral_constant<E, how>) for the value of `how`.
template <class F>
void visit_write(Write how, F&& f) {
  switch (how) {
    case Write::assign:
      return f(std::integral_constant<Write, Write::assign>{});
    case Write::add:
      return f(std::integral_constant<Write, Write::add>{});
    case Write::mul:
      return f(std::integral_constant<Write, Write::mul>{});
    case Write::max:
      return f(std::integral_constant<Write, Write::max>{});
    case Write::min:
      return f(std::integral_constant<Write, Write::min>{});
  }
}
template <class F>
void visit_scan(Scan how, F&& f) {
  switch (how) {
    case Scan::sum:
      return f(std::integral_constant<Scan, Scan::sum>{});
    case Scan::prod:
      return f(std::integral_constant<Scan, Scan::prod>{});
    case Scan::max:
      return f(std::integral_constant<Scan, Scan::max>{});
    case Scan::min:
      return f(std::integral_constant<Scan, Scan::min>{});
    case Scan::logsumexp:
      return f(std::integral_constant<Scan, Scan::logsumexp>{});
  }
}

}  // namespace ds::kernels
