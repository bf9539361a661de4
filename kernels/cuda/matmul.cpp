// Products through cuBLASLt. Its matrices are column-major: what it sees of a row-major (rows, columns) matrix is the
// transpose, so C^T = B^T A^T is asked for, and a bias along n runs down the rows of C^T, where its epilogue adds it.
#include <string>

#include "kernels/cuda/cublas.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/matmul_epilogue.h"
#include "kernels/cuda/matmul_plain.h"

namespace ds::kernels::cuda_detail {
namespace {

constexpr size_t kWorkspace = 32 << 20;  // what NVIDIA advises for Hopper

void check(cublasStatus_t status, const char* what, const Matmul& p) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw std::runtime_error(std::string("[matmul] ") + what + " failed with cuBLASLt status " + std::to_string(status) +
                           " for " + std::to_string(p.batch) + " x (" + std::to_string(p.m) + "," +
                           std::to_string(p.k) + ") x (" + std::to_string(p.k) + "," + std::to_string(p.n) + ")");
}

struct Types {
  cudaDataType_t data, scale;
  cublasComputeType_t compute;
};
Types types_of(DType t) {
  switch (t) {
    case DType::f32:
      return {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DType::f64:
      return {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
    case DType::bf16:
      return {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DType::f16:
      return {CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    default:
      throw NotSupported(std::string("[matmul] the cuda backend has no kernel for ") + name_of(t));
  }
}

// The description of a call, freed with it.
class Call {
 public:
  explicit Call(const Matmul& p) : p_(p), types_(types_of(p.type)) {
    auto& c = cublas();
    check(c.cublasLtMatmulDescCreate(&operation_, types_.compute, types_.scale), "describing the product", p);
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.trans_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.trans_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    p.trans_b ? layout(b_, p.k, p.n, p.ldb, p.stride_b) : layout(b_, p.n, p.k, p.ldb, p.stride_b);
    p.trans_a ? layout(a_, p.m, p.k, p.lda, p.stride_a) : layout(a_, p.k, p.m, p.lda, p.stride_a);
    layout(c_, p.n, p.m, p.ldc, p.stride_c);
  }
  ~Call() {
    auto& c = cublas();
    for (auto matrix : {a_, b_, c_}) {
      if (matrix) c.cublasLtMatrixLayoutDestroy(matrix);
    }
    if (preference_) c.cublasLtMatmulPreferenceDestroy(preference_);
    if (operation_) c.cublasLtMatmulDescDestroy(operation_);
  }
  Call(const Call&) = delete;

  void fuse_epilogue() {
    if (p_.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p_.bias);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, p_.bias && p_.relu ? CUBLASLT_EPILOGUE_RELU_BIAS
                                       : p_.bias          ? CUBLASLT_EPILOGUE_BIAS
                                       : p_.relu          ? CUBLASLT_EPILOGUE_RELU
                                                          : CUBLASLT_EPILOGUE_DEFAULT);
  }

  void run(Context& ctx) {
    auto& c = cublas();
    auto stream = static_cast<cudaStream_t>(ctx.stream());  // makes the device current, which the handle is for
    cublasLtHandle_t handle = cublas_handle();
    prefer();
    cublasLtMatmulHeuristicResult_t choice{};
    int found = 0;
    check(c.cublasLtMatmulAlgoGetHeuristic(handle, operation_, b_, a_, c_, c_, preference_, 1, &choice, &found),
          "choosing an algorithm", p_);
    if (found == 0) check(CUBLAS_STATUS_NOT_SUPPORTED, "choosing an algorithm", p_);
    float one = 1, beta = p_.accumulate ? 1 : 0;
    double one64 = 1, beta64 = beta;
    bool wide = types_.scale == CUDA_R_64F;
    void* workspace = choice.workspaceSize > 0 ? ctx.scratch(choice.workspaceSize) : nullptr;
    check(c.cublasLtMatmul(handle, operation_, wide ? static_cast<void*>(&one64) : &one, p_.b, b_, p_.a, a_,
                           wide ? static_cast<void*>(&beta64) : &beta, p_.c, c_, p_.c, c_, &choice.algo, workspace,
                           choice.workspaceSize, stream),
          "the product", p_);
  }

 private:
  template <class V>
  void set(cublasLtMatmulDescAttributes_t name, V value) {
    check(cublas().cublasLtMatmulDescSetAttribute(operation_, name, &value, sizeof value), "describing the product",
          p_);
  }
  void layout(cublasLtMatrixLayout_t& matrix, int64_t rows, int64_t columns, int64_t pitch, int64_t stride) {
    auto& c = cublas();
    check(c.cublasLtMatrixLayoutCreate(&matrix, types_.data, static_cast<uint64_t>(rows),
                                       static_cast<uint64_t>(columns), pitch),
          "describing a matrix", p_);
    if (p_.batch == 1) return;
    auto count = static_cast<int32_t>(p_.batch);
    check(c.cublasLtMatrixLayoutSetAttribute(matrix, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
          "describing a batch", p_);
    check(
        c.cublasLtMatrixLayoutSetAttribute(matrix, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
        "describing a batch", p_);
  }
  // The library takes 256-byte alignment for granted; views may begin anywhere.
  void prefer() {
    auto& c = cublas();
    check(c.cublasLtMatmulPreferenceCreate(&preference_), "stating a preference", p_);
    auto put = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
      check(c.cublasLtMatmulPreferenceSetAttribute(preference_, name, &value, sizeof value), "stating a preference",
            p_);
    };
    auto alignment = [](const void* p) {
      auto bits = reinterpret_cast<uintptr_t>(p);
      return static_cast<uint32_t>(std::min<uintptr_t>(256, bits & (~bits + 1)));
    };
    put(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kWorkspace});
    put(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p_.b));
    put(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p_.a));
    put(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(p_.c));
    put(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p_.c));
  }

  const Matmul& p_;
  const Types types_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, c_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
};

}  // namespace

void matmul(Context& ctx, const Matmul& p) {
  if (p.batch * p.m * p.n == 0) return;
  if (!is_floating(p.type)) return product_plain(ctx, p);
  bool epilogue = p.bias != nullptr || p.relu;
  if (p.k == 0) return finish_product(ctx, p, !p.accumulate);
  Call call(p);
  bool fused = epilogue && p.type != DType::f64;  // the library has no epilogues in f64
  if (fused) call.fuse_epilogue();
  call.run(ctx);
  if (epilogue && !fused) finish_product(ctx, p, false);
}

}  // namespace ds::kernels::cuda_detail
