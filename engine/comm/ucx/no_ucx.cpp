// Built where UCX is absent.
#include "engine/comm/endpoints.h"

namespace ds::comm {

std::unique_ptr<Endpoint> make_ucx(const EndpointOptions&) {
  throw CommError("[make_endpoint] this build has no transport ucx: libucx-dev was absent when it was configured");
}

bool has_ucx() { return false; }

}  // namespace ds::comm
