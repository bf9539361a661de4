// A buffer on a device, shared by the tensors that see it. From the device's pool, or from an owner elsewhere (a
// communicator's buffer, a mapped file).
#pragma once
#include <memory>

#include "engine/core/device.h"
#include "engine/core/ref.h"

namespace ds {

class Storage final : public RefCounted {
 public:
  Storage(Device device, size_t bytes);
  Storage(Device device, void* data, size_t bytes, std::shared_ptr<void> owner)
      : device_(device), data_(data), bytes_(bytes), owner_(std::move(owner)), foreign_(true) {}
  ~Storage() override;
  Device device() const { return device_; }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool foreign() const { return foreign_ || shared_outside_; }  // not the pool's: never handed on for reuse in place
  // Others (NumPy, a DLPack consumer) may write to it at any time: ops that read it must not wait.
  bool shared_outside() const { return shared_outside_; }
  void share_outside() { shared_outside_ = true; }

 private:
  Device device_;
  void* data_;
  size_t bytes_;
  std::shared_ptr<void> owner_;
  bool foreign_ = false, shared_outside_ = false;
};

}  // namespace ds
