// How endpoint.cpp reaches the transports. A transport whose library was absent throws CommError with a sentence.
#pragma once
#include "engine/comm/communicator.h"

namespace ds::comm {

std::unique_ptr<Endpoint> make_inproc(const EndpointOptions&);
std::unique_ptr<Endpoint> make_self(const EndpointOptions&);
std::unique_ptr<Endpoint> make_ucx(const EndpointOptions&);   // ucx/, or ucx/no_ucx.cpp
std::unique_ptr<Endpoint> make_nccl(const EndpointOptions&);  // nccl/, or nccl/no_nccl.cpp
bool has_ucx();
bool has_nccl();

}  // namespace ds::comm
