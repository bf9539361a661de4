// Stands in for kernels/cuda/ in a build without nvcc: every kernel answers NotSupported.
#include <algorithm>
#include <string>

#include "kernels/table.h"

namespace ds::kernels {
namespace {

template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }  // NOLINT(google-explicit-constructor)
};

template <Name kernel, class... A>
constexpr auto refuse(void (*Table::*)(A...)) {
  return +[](A...) {
    throw NotSupported(std::string("[") + kernel.text + "] this build has no cuda backend: nvcc was not found");
  };
}

}  // namespace

const Table& cuda() {
  static constexpr Table table = {
      .name = "cuda (not built)",
#define DS_KERNEL(entry) .entry = refuse<#entry>(&Table::entry),
#include "kernels/table.def"
  };
  return table;
}

}  // namespace ds::kernels
