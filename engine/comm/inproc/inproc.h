#pragma once
#include "engine/comm/communicator.h"

namespace ds::comm {

// Ranks are threads of one process. `name` is what Communicator::transport() says.
std::unique_ptr<Endpoint> make_inproc_named(const char* name, const EndpointOptions&);

}  // namespace ds::comm
