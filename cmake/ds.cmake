# What every folder of the house uses: ds_library, ds_program, ds_test, and the flags they share.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(DS_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, comma separated")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")  # asserts stay on: they cost nothing where it matters

# One cache for every build folder: the package's wheel finds what the daemons' build has compiled.
find_program(DS_CCACHE ccache)
if(DS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros ${DS_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

add_library(ds_flags INTERFACE)
target_compile_options(ds_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror>)
target_include_directories(ds_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(ds_flags INTERFACE -Werror=thread-safety -Wno-unused-command-line-argument)
else()
  find_program(DS_MOLD mold)
  if(DS_MOLD)
    target_link_options(ds_flags INTERFACE -fuse-ld=mold)
  endif()
endif()
if(DS_SANITIZE)
  target_compile_options(ds_flags INTERFACE -fsanitize=${DS_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(ds_flags INTERFACE -fsanitize=${DS_SANITIZE})
endif()
find_package(Threads REQUIRED)

# ds_library(NAME SRCS a.cpp ... [DEPS lib ...])
function(ds_library name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SRCS})
  target_link_libraries(${name} PUBLIC ds_flags ${A_DEPS})
endfunction()

# ds_program(NAME SRCS a.cpp ... [DEPS lib ...]): stands in build/*/bin
function(ds_program name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${A_SRCS})
  target_link_libraries(${name} PRIVATE ds_flags ${A_DEPS} Threads::Threads)
endfunction()

# ds_test(NAME SRCS a.cpp ... [DEPS lib ...] [TIMEOUT seconds]): a GoogleTest program, run by ctest and counted by ./test
function(ds_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SRCS;DEPS" ${ARGN})
  find_package(GTest REQUIRED)
  ds_program(${name} SRCS ${A_SRCS} DEPS ${A_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${name} --gtest_output=json:${CMAKE_BINARY_DIR}/results/${name}.json)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT})
endfunction()
