#include "engine/core/device.h"

#include <sched.h>

#include <cstring>
#include <memory>
#include <mutex>

#include "engine/core/error.h"
#include "engine/core/storage.h"
#include "engine/core/thread_pool.h"

namespace ds {
namespace {

int allowed_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend() : pool_(host_memory()) { resize(allowed_cores()); }
  const kernels::Table& kernels() override { return kernels::cpu(); }
  kernels::Context& context() override { return *threads_; }
  Pool& pool() override { return pool_; }
  void to_host(void* host, const void* device, size_t bytes) override { std::memcpy(host, device, bytes); }
  void from_host(void* device, const void* host, size_t bytes) override { std::memcpy(device, host, bytes); }
  void synchronize() override {}
  // Ranks that are threads of one process each ask for their number: the pool that a neighbour computes on stays.
  void resize(int n) {
    std::lock_guard lock(mutex_);
    if (!threads_ || threads_->threads() != n) threads_ = std::make_unique<ThreadPool>(n);
  }

 private:
  std::mutex mutex_;
  Pool pool_;
  std::unique_ptr<ThreadPool> threads_;
};

class NullBackend final : public Backend {
 public:
  const kernels::Table& kernels() override { return kernels::null(); }
  kernels::Context& context() override { return threads_; }
  Pool& pool() override { return pool_; }
  void to_host(void* host, const void*, size_t bytes) override { std::memset(host, 0, bytes); }
  void from_host(void*, const void*, size_t) override {}
  void synchronize() override {}

 private:
  Pool pool_{null_memory()};
  ThreadPool threads_{1};
};

// Never destroyed: tensors in static storage may outlive any order of destruction.
CpuBackend& cpu_backend() {
  static auto* b = new CpuBackend;
  return *b;
}

}  // namespace

std::string Device::str() const {
  static constexpr const char* names[] = {"cpu", "cuda", "null"};
  return std::string(names[static_cast<int>(kind)]) + ":" + std::to_string(index);
}

Device Device::parse(std::string_view s) {
  auto colon = s.find(':');
  auto name = s.substr(0, colon);
  int index = colon == std::string_view::npos ? 0 : std::atoi(std::string(s.substr(colon + 1)).c_str());
  if (name == "cpu") return {DeviceKind::cpu, index};
  if (name == "cuda") return {DeviceKind::cuda, index};
  if (name == "null") return {DeviceKind::null, index};
  fail("device", "\"", s, "\" is none of cpu, cuda:N, null");
}

std::ostream& operator<<(std::ostream& out, const Device& d) { return out << d.str(); }

Backend& backend(Device d) {
  static auto* null_backend = new NullBackend;
  if (d.kind == DeviceKind::cpu) return cpu_backend();
  if (d.kind == DeviceKind::null) return *null_backend;
  return cuda_backend(d.index);
}

void set_threads(int n) {
  if (n < 1) fail("set_threads", "at least 1 thread is needed, got ", n);
  cpu_backend().resize(n);
}

int threads() { return cpu_backend().context().threads(); }

Storage::Storage(Device device, size_t bytes) : device_(device), bytes_(bytes) {
  data_ = backend(device).pool().allocate(bytes);
}

Storage::~Storage() {
  if (!foreign_) backend(device_).pool().release(data_, bytes_);
}

}  // namespace ds
