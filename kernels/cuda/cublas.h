// cuBLASLt, opened when the first product asks for it: linked in, its 500 MB would cost every program that has this
// library 0.4 s and 200 MB at start, with a GPU or without.
#pragma once
#include <cublasLt.h>

namespace ds::kernels::cuda_detail {

#define DS_CUBLAS_FUNCTIONS(X)        \
  X(cublasLtCreate)                   \
  X(cublasLtMatmul)                   \
  X(cublasLtMatmulAlgoGetHeuristic)   \
  X(cublasLtMatmulDescCreate)         \
  X(cublasLtMatmulDescDestroy)        \
  X(cublasLtMatmulDescSetAttribute)   \
  X(cublasLtMatrixLayoutCreate)       \
  X(cublasLtMatrixLayoutDestroy)      \
  X(cublasLtMatrixLayoutSetAttribute) \
  X(cublasLtMatmulPreferenceCreate)   \
  X(cublasLtMatmulPreferenceDestroy)  \
  X(cublasLtMatmulPreferenceSetAttribute)

struct Cublas {
#define X(name) decltype(&::name) name;
  DS_CUBLAS_FUNCTIONS(X)
#undef X
};

// Throws NotSupported when the library is not there.
const Cublas& cublas();
// The handle of the device that is current. Throws std::runtime_error when it cannot be made.
cublasLtHandle_t cublas_handle();

}  // namespace ds::kernels::cuda_detail
