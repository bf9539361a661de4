// What an op is made from again: its attributes by name, and the types of its inputs. They come from a file, which may
// hold anything, so every reader checks and throws Error naming the op, the attribute and the value.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "engine/lazy/attributes.h"
#include "engine/lazy/type.h"

namespace ds {

class Given {
 public:
  using Map = std::map<std::string, Attribute, std::less<>>;
  Given(const char* op, const Map& attributes, std::span<const Type> inputs)
      : op_(op), attributes_(attributes), inputs_(inputs) {}

  const char* op() const { return op_; }
  std::span<const Type> inputs() const { return inputs_; }
  void takes(size_t inputs) const;  // throws when there are more or fewer

  int64_t integer(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t low, int64_t high) const;  // within [low, high]
  double number(std::string_view name) const;
  DType dtype(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  std::vector<int64_t> list(std::string_view name) const;
  std::vector<int64_t> list(std::string_view name, size_t count, int64_t low) const;  // each at least `low`
  Shape shape(std::string_view name) const;                                           // of at most 2^47 elements
  int dim(std::string_view name) const;                                               // one of input 0's
  // The position of the text among `names`.
  template <size_t N>
  int choice(std::string_view name, const char* const (&names)[N]) const {
    return choice(name, std::span<const char* const>(names));
  }
  int choice(std::string_view name, std::span<const char* const> names) const;

 private:
  const Attribute& find(std::string_view name) const;
  template <class T>
  const T& as(std::string_view name, const char* kind) const;

  const char* op_;
  const Map& attributes_;
  std::span<const Type> inputs_;
};

// Throws Error naming `op` when there cannot be so many elements: no product of extents may overflow.
void check_size(const char* op, const Shape& shape);

// A dtype by its name; false when there is none.
bool find_dtype(std::string_view name, DType* out);

}  // namespace ds
