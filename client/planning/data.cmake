# Writes data.cpp: the published tables as texts.
file(GLOB tables CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/planning/data/*.csv)
set(body "")
foreach(table ${tables})
  get_filename_component(name ${table} NAME_WE)
  file(READ ${table} text)
  string(APPEND body "  if (name == \"${name}\") return R\"csv(${text})csv\";\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table})
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/planning_data.cpp CONTENT
"#include \"client/planning/csv.h\"

namespace ds::client {

std::string_view published(std::string_view name) {
@body@  return {};
}

}  // namespace ds::client
" @ONLY)
