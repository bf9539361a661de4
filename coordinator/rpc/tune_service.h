#pragma once
#include <memory>

#include "coordinator/daemon.h"
#include "ds/v1/tune.grpc.pb.h"

namespace ds::coordinator {

std::unique_ptr<grpc::Service> make_tune_service(Daemon& daemon);

}  // namespace ds::coordinator
