// Errors of the tensor API: exceptions whose message names the op and the values.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace ds {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A dimension or an index that is out of range.
struct IndexError : Error {
  using Error::Error;
};

// fail("matmul", "inner dimensions differ: got ", a, " x ", b) throws "[matmul] inner dimensions differ: got (64,784) x
// (256,10)"
template <class E = Error, class... A>
[[noreturn]] void fail(const char* op, const A&... parts) {
  std::ostringstream s;
  s << '[' << op << "] ";
  (s << ... << parts);
  throw E(s.str());
}
template <class... A>
[[noreturn]] void fail_index(const char* op, const A&... parts) {
  fail<IndexError>(op, parts...);
}

}  // namespace ds
