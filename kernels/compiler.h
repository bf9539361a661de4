// What the compilers of these headers call things: host compilers and nvcc.
#pragma once

#ifdef __CUDACC__
#define DS_HD __host__ __device__ __forceinline__
#else
#define DS_HD inline __attribute__((always_inline))
#endif

// A value that nobody may fuse with what reads it. GCC 12.2's vectorizer contracts products where sums and differences
// alternate, -ffp-contract=off or not.
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define DS_ROUNDED(x) __builtin_assoc_barrier(x)
#else
#define DS_ROUNDED(x) (x)
#endif
