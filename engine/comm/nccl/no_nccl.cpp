// Built where NCCL or the CUDA runtime is absent.
#include "engine/comm/endpoints.h"

namespace ds::comm {

std::unique_ptr<Endpoint> make_nccl(const EndpointOptions&) {
  throw CommError(
      "[make_endpoint] this build has no transport nccl: nccl.h or the CUDA runtime was absent when it was configured");
}

bool has_nccl() { return false; }

}  // namespace ds::comm
