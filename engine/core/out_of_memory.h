// A device that has no memory left. No Error: nothing is wrong with the arguments, and less of the same may do.
#pragma once
#include <new>
#include <string>
#include <utility>

namespace ds {

class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

}  // namespace ds
