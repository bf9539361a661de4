#include "kernels/cuda/cublas.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/table.h"

namespace ds::kernels::cuda_detail {
namespace {

const std::string kName = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);

// By the loader's own paths, then in the toolkit this was built with.
void* open_library() {
  if (void* library = dlopen(kName.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  if (void* library = dlopen((std::string(DS_CUDA_LIBRARIES) + "/" + kName).c_str(), RTLD_NOW | RTLD_LOCAL))
    return library;
  throw NotSupported("[matmul] the cuda backend needs cuBLASLt: " + std::string(dlerror()));
}

template <class F>
void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (function == nullptr) throw NotSupported("[matmul] " + kName + " has no " + name);
}

}  // namespace

const Cublas& cublas() {
  static const Cublas functions = [] {
    void* library = open_library();
    Cublas c;
#define X(name) find(library, #name, c.name);
    DS_CUBLAS_FUNCTIONS(X)
#undef X
    return c;
  }();
  return functions;
}

cublasLtHandle_t cublas_handle() {
  static std::mutex mutex;
  static auto* handles = new std::map<int, cublasLtHandle_t>;  // for the life of the process
  int device = 0;
  cudaGetDevice(&device);
  std::lock_guard lock(mutex);
  auto [at, fresh] = handles->try_emplace(device, nullptr);
  if (fresh && cublas().cublasLtCreate(&at->second) != CUBLAS_STATUS_SUCCESS) {
    handles->erase(at);
    throw std::runtime_error("[matmul] cuBLASLt does not start on cuda:" + std::to_string(device));
  }
  return at->second;
}

}  // namespace ds::kernels::cuda_detail
