#include "worker/executor/fence.h"

#include <fstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "worker/process.h"

namespace ds::worker {
namespace {

int64_t read_number(const std::string& path) {
  int64_t number = 0;
  std::ifstream(path) >> number;
  return number;
}

}  // namespace

Fence::Fence(const std::string& job_dir, int64_t generation) : path_(job_dir + "/generation"), generation_(generation) {
  absl::Status status = make_folders(job_dir);
  if (status.ok() && read_number(path_) < generation) {
    status = write_file_atomically(path_, absl::StrCat(generation, "\n"));
  }
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

int64_t Fence::overtaken_by() const {
  int64_t owner = read_number(path_);
  return owner > generation_ ? owner : 0;
}

}  // namespace ds::worker
