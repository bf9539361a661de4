#include "engine/comm/ucx/context.h"

#include <cstring>

namespace ds::comm {

void throw_ucx(const std::string& what, ucs_status_t status) {
  throw CommError(what + ": " + ucs_status_string(status));
}

UcxContext::UcxContext(const EndpointOptions& options) {
  ucp_config_t* config = nullptr;
  if (const ucs_status_t s = ucp_config_read(nullptr, nullptr, &config); s != UCS_OK)
    throw_ucx("[ucx] reading UCX_*", s);
  auto set = [&](const char* name, const char* value) {
    if (const ucs_status_t s = ucp_config_modify(config, name, value); s != UCS_OK) {
      ucp_config_release(config);
      throw_ucx(std::string("[ucx] setting ") + name + "=" + value, s);
    }
  };
  if (!options.ucx_transports.empty()) set("TLS", options.ucx_transports.c_str());
  // Only shared memory will do; without this UCX falls back to the heap, which no peer can map.
  if (options.share_memory) set("ALLOC_PRIO", "md:posix,md:sysv");
  set("KEEPALIVE_INTERVAL", "1s");

  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_TAG | UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
  params.mt_workers_shared = 1;  // a buffer may be freed on any thread
  params.name = "deepseek";
  const ucs_status_t status = ucp_init(&params, config, &context_);
  ucp_config_release(config);
  if (status != UCS_OK) throw_ucx("[ucx] starting with transports '" + options.ucx_transports + "'", status);
}

UcxSegment::UcxSegment(std::shared_ptr<UcxContext> context, size_t bytes)
    : context_(std::move(context)), bytes_(bytes) {
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS;
  params.length = bytes;
  params.flags = UCP_MEM_MAP_ALLOCATE;
  if (const ucs_status_t s = ucp_mem_map(context_->get(), &params, &memory_); s != UCS_OK) {
    throw_ucx("[allocate] " + std::to_string(bytes) + " bytes of shared memory (is /dev/shm full?)", s);
  }
  ucp_mem_attr_t attributes{};
  attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS;
  ucp_mem_query(memory_, &attributes);
  data_ = attributes.address;

  void* key = nullptr;
  size_t key_bytes = 0;
  const ucs_status_t packed = ucp_rkey_pack(context_->get(), memory_, &key, &key_bytes);
  if (packed != UCS_OK) {
    ucp_mem_unmap(context_->get(), memory_);
    throw_ucx("[allocate] packing the key of " + std::to_string(bytes) + " bytes", packed);
  }
  const uint64_t address = reinterpret_cast<uint64_t>(data_);
  handle_.assign(reinterpret_cast<const char*>(&address), sizeof address);
  handle_.append(static_cast<const char*>(key), key_bytes);
  ucp_rkey_buffer_release(key);
  if (handle_.size() > Export::kHandle) {
    ucp_mem_unmap(context_->get(), memory_);
    throw CommError("[allocate] a remote key of " + std::to_string(key_bytes) + " bytes is longer than expected");
  }
}

UcxMapping::UcxMapping(ucp_ep_h endpoint, int rank, std::string_view handle) {
  const std::string where = "[map] a buffer of rank " + std::to_string(rank);
  uint64_t address = 0;
  if (handle.size() <= sizeof address) throw CommError(where + " has no key");
  std::memcpy(&address, handle.data(), sizeof address);
  if (const ucs_status_t s = ucp_ep_rkey_unpack(endpoint, handle.data() + sizeof address, &key_); s != UCS_OK) {
    throw_ucx(where, s);
  }
  void* data = nullptr;
  if (const ucs_status_t s = ucp_rkey_ptr(key_, address, &data); s != UCS_OK) {
    ucp_rkey_destroy(key_);
    throw_ucx(where + " cannot be reached", s);
  }
  data_ = static_cast<std::byte*>(data);
}

}  // namespace ds::comm
