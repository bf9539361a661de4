// Views as Python knows them: they see, and write to, what they were taken from.
#pragma once
#include <nanobind/nanobind.h>

namespace ds::py {

void bind_views(nanobind::module_& m);

}  // namespace ds::py
