// Owners of UCX objects. The context outlives every segment made in it.
#pragma once
#include <ucp/api/ucp.h>

#include <memory>
#include <string>

#include "engine/comm/transport.h"

namespace ds::comm {

[[noreturn]] void throw_ucx(const std::string& what, ucs_status_t);

class UcxContext {
 public:
  explicit UcxContext(const EndpointOptions&);
  ~UcxContext() { ucp_cleanup(context_); }
  UcxContext(const UcxContext&) = delete;
  UcxContext& operator=(const UcxContext&) = delete;
  ucp_context_h get() const { return context_; }

 private:
  ucp_context_h context_ = nullptr;
};

// Memory that UCX allocates; of a kind that peers on this host can map, when the options share memory.
class UcxSegment final : public Segment {
 public:
  UcxSegment(std::shared_ptr<UcxContext>, size_t bytes);
  ~UcxSegment() override { ucp_mem_unmap(context_->get(), memory_); }
  UcxSegment(const UcxSegment&) = delete;
  UcxSegment& operator=(const UcxSegment&) = delete;
  void* data() override { return data_; }
  size_t bytes() const override { return bytes_; }
  std::string_view handle() const override { return handle_; }  // its address, then its remote key

 private:
  std::shared_ptr<UcxContext> context_;
  ucp_mem_h memory_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_;
  std::string handle_;
};

// A peer's segment, by ucp_rkey_ptr.
class UcxMapping final : public Mapping {
 public:
  UcxMapping(ucp_ep_h, int rank, std::string_view handle);
  ~UcxMapping() override { ucp_rkey_destroy(key_); }
  UcxMapping(const UcxMapping&) = delete;
  UcxMapping& operator=(const UcxMapping&) = delete;
  std::byte* data() override { return data_; }

 private:
  ucp_rkey_h key_ = nullptr;
  std::byte* data_ = nullptr;
};

}  // namespace ds::comm
