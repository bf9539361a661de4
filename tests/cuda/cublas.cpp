#include "kernels/cuda/cublas.h"

#include <cstring>
#include <utility>

#include "kernels/dtype.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr size_t kWorkspace = 1000;
constexpr cublasStatus_t kOk = CUBLAS_STATUS_SUCCESS, kInvalid = CUBLAS_STATUS_INVALID_VALUE;

template <class V>
cublasStatus_t assign(V& to, const void* value, size_t bytes) {
  if (bytes != sizeof to) return kInvalid;
  std::memcpy(&to, value, bytes);
  return kOk;
}

cublasStatus_t set_operation(FakeOperation* o, cublasLtMatmulDescAttributes_t name, const void* value, size_t bytes) {
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return assign(o->trans[0], value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return assign(o->trans[1], value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return assign(o->epilogue, value, bytes);
    default:
      return assign(o->bias, value, bytes);
  }
}

cublasStatus_t set_layout(FakeLayout* l, cublasLtMatrixLayoutAttribute_t name, const void* value, size_t bytes) {
  return name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT ? assign(l->batch, value, bytes) : assign(l->stride, value, bytes);
}

cublasStatus_t set_preference(FakePreference* p, cublasLtMatmulPreferenceAttributes_t name, const void* value,
                              size_t bytes) {
  if (name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) return assign(p->workspace, value, bytes);
  return assign(p->alignment[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
}

bool fits(const FakeLayout& l, uint64_t rows, uint64_t columns, cublasOperation_t op) {
  if (op == CUBLAS_OP_T) std::swap(rows, columns);
  return l.rows == rows && l.columns == columns && l.pitch >= static_cast<int64_t>(rows);
}

cublasStatus_t choose(cublasLtHandle_t, FakeOperation* o, FakeLayout* a, FakeLayout* b, FakeLayout* c, FakeLayout* d,
                      FakePreference* p, int, cublasLtMatmulHeuristicResult_t* result, int* found) {
  uint64_t k = o->trans[0] == CUBLAS_OP_N ? a->columns : a->rows;
  bool valid = fits(*a, d->rows, k, o->trans[0]) && fits(*b, k, d->columns, o->trans[1]) && c == d &&
               d->pitch >= static_cast<int64_t>(d->rows) && a->batch == d->batch && b->batch == d->batch && k > 0;
  bool epilogue_in_f64 = o->compute == CUBLAS_COMPUTE_64F && o->epilogue != CUBLASLT_EPILOGUE_DEFAULT;
  if (!valid || epilogue_in_f64) return kInvalid;
  std::memcpy(result->algo.alignment, p->alignment, sizeof p->alignment);
  result->workspaceSize = p->workspace < kWorkspace ? 0 : kWorkspace;
  *found = 1;
  return kOk;
}

template <class T>
struct Matrix {
  const FakeLayout& l;
  T* data;
  bool transposed;
  T& at(int64_t batch, int64_t i, int64_t j) const {
    if (transposed) std::swap(i, j);
    return data[batch * l.stride + j * l.pitch + i];
  }
};

template <class T, class C>
void multiply(const FakeOperation& o, const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& d, C beta) {
  auto k = static_cast<int64_t>(a.transposed ? a.l.rows : a.l.columns);
  for (int64_t s = 0; s < d.l.batch; ++s) {
    for (int64_t j = 0; j < static_cast<int64_t>(d.l.columns); ++j) {
      for (int64_t i = 0; i < static_cast<int64_t>(d.l.rows); ++i) {
        C sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += static_cast<C>(a.at(s, i, p)) * static_cast<C>(b.at(s, p, j));
        if (beta != 0) sum += beta * static_cast<C>(d.at(s, i, j));
        if (o.epilogue & CUBLASLT_EPILOGUE_BIAS) sum += static_cast<C>(static_cast<const T*>(o.bias)[i]);
        if (o.epilogue & CUBLASLT_EPILOGUE_RELU) sum = sum < 0 ? 0 : sum;
        d.at(s, i, j) = T(sum);
      }
    }
  }
}

template <class T, class C>
void multiply_as(const FakeOperation& o, const void* a, const FakeLayout& la, const void* b, const FakeLayout& lb,
                 void* d, const FakeLayout& ld, const void* beta) {
  multiply<T, C>(o, {la, static_cast<const T*>(a), o.trans[0] == CUBLAS_OP_T},
                 {lb, static_cast<const T*>(b), o.trans[1] == CUBLAS_OP_T}, {ld, static_cast<T*>(d), false},
                 *static_cast<const C*>(beta));
}

cublasStatus_t matmul(cublasLtHandle_t, FakeOperation* o, const void*, const void* a, FakeLayout* la, const void* b,
                      FakeLayout* lb, const void* beta, const void* c, FakeLayout*, void* d, FakeLayout* ld,
                      const cublasLtMatmulAlgo_t* algo, void* workspace, size_t bytes, cudaStream_t) {
  const void* operands[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    if (reinterpret_cast<uintptr_t>(operands[i]) % algo->alignment[i] != 0) return kInvalid;
  }
  if (c != d || bytes != kWorkspace || workspace == nullptr) return kInvalid;
  if (ld->type == CUDA_R_64F) {
    multiply_as<double, double>(*o, a, *la, b, *lb, d, *ld, beta);
  } else if (ld->type == CUDA_R_16BF) {
    multiply_as<bfloat16, float>(*o, a, *la, b, *lb, d, *ld, beta);
  } else if (ld->type == CUDA_R_16F) {
    multiply_as<float16, float>(*o, a, *la, b, *lb, d, *ld, beta);
  } else {
    multiply_as<float, float>(*o, a, *la, b, *lb, d, *ld, beta);
  }
  return kOk;
}

}  // namespace

const Cublas& cublas() {
  static constexpr Cublas fake = {
      .cublasLtMatmulDescCreate =
          [](cublasLtMatmulDesc_t* o, cublasComputeType_t compute, cudaDataType_t scale) {
            *o = new FakeOperation{compute, scale};
            return kOk;
          },
      .cublasLtMatmulDescDestroy = [](cublasLtMatmulDesc_t o) { return delete o, kOk; },
      .cublasLtMatmulDescSetAttribute = set_operation,
      .cublasLtMatrixLayoutCreate =
          [](cublasLtMatrixLayout_t* l, cudaDataType_t type, uint64_t rows, uint64_t columns, int64_t pitch) {
            *l = new FakeLayout{type, rows, columns, pitch};
            return kOk;
          },
      .cublasLtMatrixLayoutDestroy = [](cublasLtMatrixLayout_t l) { return delete l, kOk; },
      .cublasLtMatrixLayoutSetAttribute = set_layout,
      .cublasLtMatmulPreferenceCreate = [](cublasLtMatmulPreference_t* p) { return *p = new FakePreference, kOk; },
      .cublasLtMatmulPreferenceDestroy = [](cublasLtMatmulPreference_t p) { return delete p, kOk; },
      .cublasLtMatmulPreferenceSetAttribute = set_preference,
      .cublasLtMatmulAlgoGetHeuristic = choose,
      .cublasLtMatmul = matmul,
  };
  return fake;
}

cublasLtHandle_t cublas_handle() { return nullptr; }

}  // namespace ds::kernels::cuda_detail
