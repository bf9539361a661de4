#include "engine/lazy/given.h"

#include <algorithm>

namespace ds {
namespace {

// So that no product of extents overflows, and nobody is asked for more memory than there can be.
constexpr int64_t kMostElements = int64_t{1} << 47;

}  // namespace

void check_size(const char* op, const Shape& shape) {
  int64_t left = kMostElements;
  for (int64_t d : shape) {
    if (d > left) fail(op, shape, " is too large");
    left /= std::max<int64_t>(d, 1);
  }
}

bool find_dtype(std::string_view name, DType* out) {
  for (int i = 0; i < kDTypes; ++i)
    if (name == name_of(static_cast<DType>(i))) {
      *out = static_cast<DType>(i);
      return true;
    }
  return false;
}

void Given::takes(size_t inputs) const {
  if (inputs_.size() != inputs) fail(op_, "takes ", inputs, " inputs, got ", inputs_.size());
}

const Attribute& Given::find(std::string_view name) const {
  auto it = attributes_.find(name);
  if (it == attributes_.end()) fail(op_, "has no attribute \"", name, "\"");
  return it->second;
}

template <class T>
const T& Given::as(std::string_view name, const char* kind) const {
  const T* value = std::get_if<T>(&find(name));
  if (!value) fail(op_, "attribute \"", name, "\" is no ", kind);
  return *value;
}

int64_t Given::integer(std::string_view name) const { return as<int64_t>(name, "whole number"); }

int64_t Given::integer(std::string_view name, int64_t low, int64_t high) const {
  int64_t value = integer(name);
  if (value < low || value > high) fail(op_, "attribute \"", name, "\" is ", value, ", not in ", low, " to ", high);
  return value;
}

double Given::number(std::string_view name) const {
  if (const int64_t* whole = std::get_if<int64_t>(&find(name))) return static_cast<double>(*whole);
  return as<double>(name, "number");
}

DType Given::dtype(std::string_view name) const {
  const Attribute& a = find(name);
  if (const DType* t = std::get_if<DType>(&a)) return *t;
  DType t;
  if (!find_dtype(text(name), &t)) fail(op_, "attribute \"", name, "\": no dtype is called \"", text(name), "\"");
  return t;
}

const std::string& Given::text(std::string_view name) const { return as<std::string>(name, "text"); }

std::vector<int64_t> Given::list(std::string_view name) const {
  return as<std::vector<int64_t>>(name, "list of whole numbers");
}

std::vector<int64_t> Given::list(std::string_view name, size_t count, int64_t low) const {
  std::vector<int64_t> values = list(name);
  if (values.size() != count) fail(op_, "attribute \"", name, "\" has ", values.size(), " entries, not ", count);
  for (int64_t v : values)
    if (v < low || v > kMostElements) fail(op_, "attribute \"", name, "\" holds ", v, ", the least is ", low);
  return values;
}

Shape Given::shape(std::string_view name) const {
  Shape shape{std::span<const int64_t>(list(name))};
  check_size(op_, shape);
  return shape;
}

int Given::dim(std::string_view name) const {
  int64_t rank = inputs_.empty() ? 0 : inputs_[0].shape.rank(), d = integer(name);
  if (d < 0 || d >= rank) fail(op_, "attribute \"", name, "\" is ", d, ", the input has ", rank, " dimensions");
  return static_cast<int>(d);
}

int Given::choice(std::string_view name, std::span<const char* const> names) const {
  const std::string& value = text(name);
  for (size_t i = 0; i < names.size(); ++i)
    if (value == names[i]) return static_cast<int>(i);
  fail(op_, "attribute \"", name, "\" is \"", value, "\", which is not known");
}

}  // namespace ds
