// A rank of Open MPI, in place on plain memory. Usage: mpirun bench_collectives_openmpi FOLDER
#include <mpi.h>

#include <vector>

#include "bench/collectives/rank_loop.h"

namespace {

class OpenMpi final : public ds::bench::Library {
 public:
  void* memory(size_t bytes) override {
    memory_.resize(bytes);
    return memory_.data();
  }
  void all_reduce_sum(float* data, size_t count) override {
    MPI_Allreduce(MPI_IN_PLACE, data, static_cast<int>(count), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }
  void barrier() override { MPI_Barrier(MPI_COMM_WORLD); }

 private:
  std::vector<char> memory_;
};

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  if (argc < 2) MPI_Abort(MPI_COMM_WORLD, 2);
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  OpenMpi library;
  ds::bench::serve(library, rank, size, argv[1]);
  MPI_Finalize();
  return 0;
}
