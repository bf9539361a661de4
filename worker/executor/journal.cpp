#include "worker/executor/journal.h"

#include <fcntl.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ds::worker {
namespace {

std::string file_of(const std::string& job_dir, int64_t generation) {
  return absl::StrCat(job_dir, "/metrics/gen-", generation, ".records");
}

}  // namespace

Journal::Journal(const std::string& job_dir, int64_t generation) {
  std::filesystem::create_directories(job_dir + "/metrics");
  std::string path = file_of(job_dir, generation);
  file_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file_.get() < 0) throw std::system_error(errno, std::generic_category(), "[journal] " + path);
}

void Journal::append(std::span<const v1::MetricRecord> records) {
  std::ostringstream bytes;
  for (const v1::MetricRecord& record : records) google::protobuf::util::SerializeDelimitedToOstream(record, &bytes);
  std::string text = bytes.str();
  for (size_t at = 0; at < text.size();) {
    ssize_t n = ::write(file_.get(), text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::system_error(errno, std::generic_category(), "[journal] write");
    at += static_cast<size_t>(n);
  }
}

std::vector<v1::MetricRecord> Journal::replay(const std::string& job_dir, int64_t generation, int64_t after,
                                              int64_t up_to) {
  std::map<std::pair<int64_t, std::string>, v1::MetricRecord> kept;  // by step and kind
  for (int64_t g = 1; g < generation; ++g) {
    UniqueFd file(::open(file_of(job_dir, g).c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) continue;  // that generation did not come so far
    google::protobuf::io::FileInputStream input(file.get());
    v1::MetricRecord record;
    bool clean_end = false;  // a torn last record is one that was never followed by a checkpoint
    while (google::protobuf::util::ParseDelimitedFromZeroCopyStream(&record, &input, &clean_end)) {
      const bool news = record.kind() == "train" ? record.step() > after : record.step() >= after;
      if (news && record.step() <= up_to) kept[{record.step(), record.kind()}] = record;
      record.Clear();
    }
  }
  std::vector<v1::MetricRecord> records;
  for (auto& [key, record] : kept) records.push_back(std::move(record));
  return records;
}

}  // namespace ds::worker
