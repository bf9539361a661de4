// Which vector instructions the matrix product and the convolutions use. Their innermost loops are templates over a
// vector type (simd.h, simd512.h), compiled once a set into tables of functions; a file of the wider set is compiled
// with more instructions than every CPU has, so all it defines must carry its set's name: the linker keeps one copy of
// an inline function, and that copy would run everywhere (tests/kernels/vectors_apart.py looks).
#pragma once
#include <cstdint>

namespace ds::kernels::cpu_detail {

enum class Vectors : uint8_t { avx2, avx512 };

// The widest set this CPU has.
Vectors widest_vectors();
// The set in use: the widest, or what a test or bench asked for. No bit of a result depends on it.
Vectors vectors_in_use();
void use_vectors(Vectors);

}  // namespace ds::kernels::cpu_detail
