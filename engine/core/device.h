// Devices, and the backend that serves each: kernels, their context, memory, and the way to and from the host.
#pragma once
#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "engine/core/pool.h"
#include "kernels/table.h"

namespace ds {

enum class DeviceKind : uint8_t { cpu, cuda, null };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
  std::string str() const;                // cpu:0
  static Device parse(std::string_view);  // "cpu", "cuda:1", "null"; throws Error naming what is allowed
};
std::ostream& operator<<(std::ostream&, const Device&);

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const kernels::Table& kernels() = 0;
  virtual kernels::Context& context() = 0;
  virtual Pool& pool() = 0;
  virtual void to_host(void* host, const void* device, size_t bytes) = 0;  // waits for what was queued before
  virtual void from_host(void* device, const void* host, size_t bytes) = 0;
  virtual void synchronize() = 0;
};

// The backend of a device, made on first use. Throws Error when the machine or the build lacks it.
Backend& backend(Device);
// core/cuda.cpp, or core/no_cuda.cpp which throws: "this build has no CUDA".
Backend& cuda_backend(int index);

// Compute threads of the cpu device; default: the cores this process may run on. A change of the number must not meet a
// computation under way in another thread; asking for the number there is changes nothing.
void set_threads(int n);
int threads();

}  // namespace ds
