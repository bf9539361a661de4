// A rank of Gloo over its TCP transport on the loopback device, in place. Usage: bench_collectives_gloo FOLDER RANK
// SIZE
#include <gloo/allreduce.h>
#include <gloo/barrier.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/collectives/rank_loop.h"

namespace {

class Gloo final : public ds::bench::Library {
 public:
  Gloo(int rank, int size, const std::string& folder)
      : context_(std::make_shared<gloo::rendezvous::Context>(rank, size)) {
    gloo::transport::tcp::attr attributes;
    attributes.hostname = "localhost";
    auto device = gloo::transport::tcp::CreateDevice(attributes);
    gloo::rendezvous::FileStore store(folder);
    context_->connectFullMesh(store, device);
  }
  void* memory(size_t bytes) override {
    memory_.resize(bytes);
    return memory_.data();
  }
  void all_reduce_sum(float* data, size_t count) override {
    gloo::AllreduceOptions options(context_);
    options.setOutput(data, count);
    options.setReduceFunction(static_cast<void (*)(void*, const void*, const void*, size_t)>(&gloo::sum<float>));
    gloo::allreduce(options);
  }
  void barrier() override {
    gloo::BarrierOptions options(context_);
    gloo::barrier(options);
  }

 private:
  std::shared_ptr<gloo::rendezvous::Context> context_;
  std::vector<char> memory_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int rank = std::atoi(argv[2]), size = std::atoi(argv[3]);
  try {
    Gloo library(rank, size, argv[1]);
    ds::bench::serve(library, rank, size, argv[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_collectives_gloo: rank %d: %s\n", rank, e.what());
    return 1;
  }
  return 0;
}
