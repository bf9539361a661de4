// The recorded graph, for those who write it down.
#pragma once
#include <nanobind/nanobind.h>

namespace ds::py {

void bind_graph(nanobind::module_& m);

}  // namespace ds::py
