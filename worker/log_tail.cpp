#include "worker/log_tail.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ds::worker {
namespace {

constexpr int64_t kPiece = 64 << 10;
constexpr int64_t kUnacknowledged = 1 << 20;
constexpr const char* kShipped = ".shipped";

std::string read_range(const std::string& path, int64_t offset, int64_t bytes) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(offset);
  std::string text(bytes, '\0');
  file.read(text.data(), bytes);
  text.resize(std::max<std::streamsize>(0, file.gcount()));
  return text;
}

// Length of the valid UTF-8 sequence at the start of `s`, or 0.
size_t sequence(const unsigned char* s, size_t left) {
  auto tail = [&](size_t n) {
    if (n >= left) return false;
    for (size_t i = 1; i <= n; ++i) {
      if ((s[i] & 0xc0) != 0x80) return false;
    }
    return true;
  };
  if (s[0] < 0x80) return 1;
  if (s[0] >= 0xc2 && s[0] < 0xe0) return tail(1) ? 2 : 0;
  if (s[0] < 0xf0) {
    bool good = s[0] >= 0xe0 && tail(2) && !(s[0] == 0xe0 && s[1] < 0xa0) && !(s[0] == 0xed && s[1] >= 0xa0);
    return good ? 3 : 0;
  }
  bool good = s[0] < 0xf5 && tail(3) && !(s[0] == 0xf0 && s[1] < 0x90) && !(s[0] == 0xf4 && s[1] >= 0x90);
  return good ? 4 : 0;
}

void make_utf8(std::string& text) {
  auto* bytes = reinterpret_cast<unsigned char*>(text.data());
  for (size_t i = 0; i < text.size();) {
    size_t length = sequence(bytes + i, text.size() - i);
    if (length == 0) bytes[i] = '?';
    i += std::max<size_t>(1, length);
  }
}

// "gen-2-rank-1.log"
bool parse_name(const std::string& name, int64_t& generation, int32_t& rank) {
  std::vector<std::string> parts = absl::StrSplit(name.substr(0, name.size() - std::min<size_t>(4, name.size())), '-');
  return name.ends_with(".log") && parts.size() == 4 && parts[0] == "gen" && parts[2] == "rank" &&
         absl::SimpleAtoi(parts[1], &generation) && absl::SimpleAtoi(parts[3], &rank);
}

}  // namespace

LogTail::LogTail(std::string path, std::string job, int64_t generation, int32_t rank)
    : path_(std::move(path)), job_(std::move(job)), generation_(generation), rank_(rank) {}

std::string LogTail::path_of(const std::string& data, const std::string& job, int64_t generation, int32_t rank) {
  return absl::StrCat(data, "/logs/", job, "/gen-", generation, "-rank-", rank, ".log");
}

std::vector<std::unique_ptr<LogTail>> LogTail::leftovers(const std::string& data) {
  namespace fs = std::filesystem;
  std::vector<std::unique_ptr<LogTail>> tails;
  std::error_code error;  // a folder that cannot be read holds nothing to send
  for (const auto& job : fs::directory_iterator(data + "/logs", error)) {
    for (const auto& file : fs::directory_iterator(job.path(), error)) {
      int64_t generation = 0;
      int32_t rank = 0;
      if (!parse_name(file.path().filename(), generation, rank)) continue;
      if (fs::exists(file.path().string() + kShipped, error)) continue;
      tails.push_back(std::make_unique<LogTail>(file.path(), job.path().filename(), generation, rank));
      tails.back()->finish();
    }
  }
  return tails;
}

bool LogTail::is(const std::string& job, int64_t generation, int32_t rank) const {
  return generation == generation_ && rank == rank_ && job == job_;
}

int64_t LogTail::size() const {
  struct stat info {};
  return ::stat(path_.c_str(), &info) == 0 ? info.st_size : 0;
}

bool LogTail::ready() const { return sent_ - acknowledged_ < kUnacknowledged && size() > sent_; }

std::optional<v1::LogBatch> LogTail::next() {
  if (!ready()) return std::nullopt;
  std::string text = read_range(path_, sent_, kPiece);
  if (size_t end = text.rfind('\n'); end != std::string::npos) {
    text.resize(end + 1);
  } else if (!finished_ && static_cast<int64_t>(text.size()) < kPiece) {
    return std::nullopt;  // half a line: its writer is not done with it
  }
  if (text.empty()) return std::nullopt;
  make_utf8(text);
  v1::LogBatch batch;
  batch.set_job(job_);
  batch.set_generation(generation_);
  batch.set_rank(rank_);
  batch.set_offset(sent_);
  sent_ += static_cast<int64_t>(text.size());
  batch.set_text(std::move(text));
  return batch;
}

void LogTail::acknowledge(int64_t offset) {
  if (offset < acknowledged_) sent_ = offset;  // the coordinator has lost what it had: it goes again
  acknowledged_ = std::min(offset, size());
  sent_ = std::max(sent_, acknowledged_);
}

bool LogTail::shipped() {
  if (!finished_ || acknowledged_ < size()) return false;
  std::ofstream mark(path_ + kShipped);
  return true;
}

std::string LogTail::last_lines(int lines, int64_t bytes) const {
  int64_t from = std::max<int64_t>(0, size() - bytes);
  std::string text = read_range(path_, from, bytes);
  if (from > 0) text.erase(0, text.find('\n') + 1);
  make_utf8(text);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t at = text.size();
  for (int i = 0; i < lines && at != std::string::npos && at > 0; ++i) at = text.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

}  // namespace ds::worker
