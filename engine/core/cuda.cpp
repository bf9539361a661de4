// GPUs: memory, the stream that everything of a device is queued on, and the way to and from the host.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/core/device.h"
#include "engine/core/error.h"
#include "engine/core/out_of_memory.h"

namespace ds {
namespace {

constexpr size_t kStaging = 4 << 20;  // of pinned memory, in two halves: one is copied while the other travels

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail("cuda", what, " failed: ", cudaGetErrorString(error));
}

// Freed blocks go back to the driver only when the device is done with all that was queued.
class CudaMemory final : public MemorySource {
 public:
  explicit CudaMemory(int index) : index_(index) {}
  void* allocate(size_t bytes) override {
    check(cudaSetDevice(index_), "choosing the device");
    void* p = nullptr;
    cudaError_t error = cudaMalloc(&p, bytes);
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // it is no lasting failure
      size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      fail<OutOfMemory>("allocate", "cuda:", index_, " has no ", bytes, " bytes left: ", free, " of ", total,
                        " are free");
    }
    check(error, "allocating memory");
    return p;
  }
  void release(void* p, size_t) override { cudaFree(p); }

 private:
  int index_;
};

// Kernels are queued on one stream, so memory that a tensor gives back may be handed out at once: what is queued later
// runs later. Scratch is a calling thread's own; a kernel of the same thread that is queued later may share it.
class CudaContext final : public kernels::Context {
 public:
  explicit CudaContext(int index) : index_(index), memory_(index) {
    check(cudaSetDevice(index), "choosing the device");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
  }
  int threads() const override { return 1; }
  void parallel_for(int64_t n, int64_t, kernels::FunctionRef<void(int64_t, int64_t)> body) override {
    if (n > 0) body(0, n);
  }
  void* stream() override {
    check(cudaSetDevice(index_), "choosing the device");  // the calling thread may have used another one
    return stream_;
  }
  void* scratch(size_t bytes) override {
    thread_local std::map<int, Scratch> of_device;
    Scratch& s = of_device[index_];
    if (bytes > s.bytes) {
      size_t size = (bytes + bytes / 4 + 0xffff) & ~size_t{0xffff};
      void* fresh = memory_.allocate(size);
      s.reset();
      s.data = fresh;
      s.bytes = size;
    }
    return s.data;
  }

 private:
  struct Scratch {
    void* data = nullptr;
    size_t bytes = 0;
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    ~Scratch() { reset(); }
    void reset() {
      if (data != nullptr) cudaFree(data);  // waits for the kernels that use it
      data = nullptr;
    }
  };

  int index_;
  CudaMemory memory_;
  cudaStream_t stream_ = nullptr;
};

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int index) : memory_(index), pool_(memory_), context_(index) {
    check(cudaMallocHost(&staging_, kStaging), "allocating pinned memory");
    for (auto& event : arrived_) check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  }
  const kernels::Table& kernels() override { return kernels::cuda(); }
  kernels::Context& context() override { return context_; }
  Pool& pool() override { return pool_; }

  // While one half of the staging travels, the other is copied.
  void to_host(void* host, const void* device, size_t bytes) override {
    std::lock_guard lock(mutex_);
    auto* to = static_cast<char*>(host);
    size_t travelling = 0;
    for (size_t at = 0, piece = 0; at < bytes || travelling > 0; ++piece) {
      size_t n = std::min(kHalf, bytes - at);
      if (n > 0) {
        copy(half(piece), static_cast<const char*>(device) + at, n, cudaMemcpyDeviceToHost);
        mark(piece);
      }
      if (travelling > 0) {
        wait(piece + 1);
        std::memcpy(to + at - travelling, half(piece + 1), travelling);
      }
      travelling = n;
      at += n;
    }
  }

  // Returns when `host` may be written again; the last pieces may still travel, ahead of what is queued next.
  void from_host(void* device, const void* host, size_t bytes) override {
    std::lock_guard lock(mutex_);
    for (size_t at = 0, piece = 0; at < bytes; at += kHalf, ++piece) {
      size_t n = std::min(kHalf, bytes - at);
      wait(piece);
      std::memcpy(half(piece), static_cast<const char*>(host) + at, n);
      copy(static_cast<char*>(device) + at, half(piece), n, cudaMemcpyHostToDevice);
      mark(piece);
    }
  }

  void synchronize() override { check(cudaStreamSynchronize(stream()), "waiting for the device"); }

 private:
  static constexpr size_t kHalf = kStaging / 2;
  cudaStream_t stream() { return static_cast<cudaStream_t>(context_.stream()); }
  char* half(size_t piece) const { return static_cast<char*>(staging_) + piece % 2 * kHalf; }
  void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    check(cudaMemcpyAsync(to, from, bytes, kind, stream()), "copying");
  }
  void mark(size_t piece) { check(cudaEventRecord(arrived_[piece % 2], stream()), "recording an event"); }
  void wait(size_t piece) { check(cudaEventSynchronize(arrived_[piece % 2]), "waiting for a copy"); }

  CudaMemory memory_;
  Pool pool_;
  CudaContext context_;
  std::mutex mutex_;  // of the staging
  void* staging_ = nullptr;
  cudaEvent_t arrived_[2];
};

int device_count() {
  int n = 0;
  return cudaGetDeviceCount(&n) == cudaSuccess ? n : 0;
}

}  // namespace

// Backends are never destroyed: tensors in static storage may outlive any order of destruction.
Backend& cuda_backend(int index) {
  static std::mutex mutex;
  static auto* backends = new std::map<int, std::unique_ptr<CudaBackend>>;
  std::lock_guard lock(mutex);
  if (auto at = backends->find(index); at != backends->end()) return *at->second;
  int devices = device_count();
  if (devices == 0) fail("device", "cuda:", index, " was asked for, but the CUDA driver reports no device");
  if (index < 0 || index >= devices) {
    fail("device", "cuda:", index, " was asked for, but the CUDA driver reports ", devices, " device(s)");
  }
  return *backends->emplace(index, std::make_unique<CudaBackend>(index)).first->second;
}

}  // namespace ds
