#include "engine/comm/endpoints.h"

namespace ds::comm {

std::unique_ptr<Endpoint> make_endpoint(std::string_view transport, const EndpointOptions& options) {
  if (transport == "inproc") return make_inproc(options);
  if (transport == "self") return make_self(options);
  if (transport == "ucx") return make_ucx(options);
  if (transport == "nccl") return make_nccl(options);
  throw CommError("[make_endpoint] no transport is called '" + std::string(transport) + "'; built in are self, inproc" +
                  (has_ucx() ? ", ucx" : "") + (has_nccl() ? ", nccl" : ""));
}

}  // namespace ds::comm
