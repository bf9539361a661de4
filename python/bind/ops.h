// The engine's functions, by their own names.
#pragma once
#include <nanobind/nanobind.h>

namespace ds::py {

void bind_ops(nanobind::module_& m);
void bind_index_ops(nanobind::module_& m);
void bind_linalg_ops(nanobind::module_& m);

}  // namespace ds::py
