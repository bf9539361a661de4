// A rank of ours, over UCX. Usage: bench_collectives_ours FOLDER RANK SIZE [ALGORITHM] [heap]
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "bench/collectives/rank_loop.h"
#include "engine/comm/communicator.h"

namespace {

class Ours final : public ds::bench::Library {
 public:
  Ours(std::unique_ptr<ds::comm::Communicator> c, std::string algorithm, bool heap)
      : communicator_(std::move(c)), algorithm_(std::move(algorithm)), heap_(heap) {}
  void* memory(size_t bytes) override {
    if (heap_) {
      plain_.resize(bytes);
      return plain_.data();
    }
    buffer_ = communicator_->allocate(bytes);
    return buffer_->data();
  }
  void all_reduce_sum(float* data, size_t count) override {
    communicator_->all_reduce(data, count, ds::DType::f32, ds::comm::ReduceOp::sum, {.algorithm = algorithm_});
  }
  void barrier() override { communicator_->barrier(); }

 private:
  std::unique_ptr<ds::comm::Communicator> communicator_;
  std::string algorithm_;
  bool heap_;
  std::shared_ptr<ds::comm::Buffer> buffer_;
  std::vector<char> plain_;
};

// Addresses go through the folder: written under another name first, so that a reader never sees half of one.
std::vector<std::string> exchange(const std::string& folder, int rank, int size, const std::string& address) {
  const std::string mine = folder + "/address." + std::to_string(rank);
  std::ofstream(mine + ".new", std::ios::binary) << address;
  std::rename((mine + ".new").c_str(), mine.c_str());
  std::vector<std::string> all;
  for (int r = 0; r < size; ++r) {
    std::ifstream in;
    for (int tries = 0; tries < 6000; ++tries) {
      in.open(folder + "/address." + std::to_string(r), std::ios::binary);
      if (in) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::ostringstream bytes;
    bytes << in.rdbuf();
    all.push_back(bytes.str());
  }
  return all;
}

// As mpirun does by default: a core of its own for every rank, where there are enough.
void bind_to_core(int rank, int size) {
  const int cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  if (size > cores) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(rank, &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const std::string folder = argv[1];
  const int rank = std::atoi(argv[2]), size = std::atoi(argv[3]);
  bind_to_core(rank, size);
  try {
    auto endpoint = ds::comm::make_endpoint("ucx");
    auto communicator = endpoint->connect(rank, exchange(folder, rank, size, endpoint->address()));
    Ours ours(std::move(communicator), argc > 4 ? argv[4] : "", argc > 5 && std::string(argv[5]) == "heap");
    ds::bench::serve(ours, rank, size, folder);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_collectives_ours: rank %d: %s\n", rank, e.what());
    return 1;
  }
  return 0;
}
