#include "engine/io/checkpoint_writer.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include "engine/io/checkpoint_layout.h"
#include "engine/io/file.h"

namespace ds::io {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kNice = 10;
constexpr size_t kAlignment = 64;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::string report_name(int rank, int world) { return shard_name(rank, world) + ".report"; }

}  // namespace

void Snapshot::reserve(size_t bytes, size_t alignment) {
  if (bytes <= capacity_) return;
  data_.reset();
  capacity_ = 0;
  data_.reset(static_cast<char*>(std::aligned_alloc(alignment, bytes)));
  if (data_ == nullptr) throw IoError("[checkpoint] no memory for a snapshot of " + std::to_string(bytes) + " bytes");
  capacity_ = bytes;
}

CheckpointWriter::CheckpointWriter(WriterOptions options) : options_(std::move(options)) {
  const bool bad_rank = options_.rank < 0 || options_.rank >= options_.world;
  if (options_.dir.empty() || options_.generation < 0 || bad_rank) {
    throw IoError("[checkpoint] impossible writer: dir \"" + options_.dir + "\", generation " +
                  std::to_string(options_.generation) + ", rank " + std::to_string(options_.rank) + " of " +
                  std::to_string(options_.world));
  }
  last_.step = -1;
  if (options_.rank == 0) claim(options_.dir, options_.generation);
  if (options_.rank == 0 || options_.sharded) thread_ = std::thread([this] { run(); });
}

CheckpointWriter::~CheckpointWriter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointWriter::save(const TrainingState& state, std::span<const TensorView> tensors) {
  if (!thread_.joinable()) return;
  wait();
  const Clock::time_point start = Clock::now();
  size_t total = 0;
  for (const TensorView& tensor : tensors) total += aligned(tensor.bytes());
  bytes_.reserve(total, kAlignment);
  state_ = state;
  tensors_.assign(tensors.begin(), tensors.end());
  char* to = bytes_.data();
  for (TensorView& tensor : tensors_) {
    if (tensor.bytes() > 0) std::memcpy(to, tensor.data, tensor.bytes());
    tensor.data = to;
    to += aligned(tensor.bytes());
  }
  {
    const std::lock_guard lock(mutex_);
    busy_ = true;
    last_ = {};
    last_.copy_seconds = seconds_since(start);
  }
  changed_.notify_all();
}

SaveResult CheckpointWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !busy_; });
  return last_;
}

bool CheckpointWriter::busy() const {
  const std::lock_guard lock(mutex_);
  return busy_;
}

void CheckpointWriter::run() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);  // of this thread alone, on Linux
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return busy_ || stop_; });
    if (!busy_) return;
    SaveResult result = last_;
    lock.unlock();
    write(result);
    if (options_.done) options_.done(result);
    lock.lock();
    last_ = result;
    busy_ = false;
    changed_.notify_all();
  }
}

void CheckpointWriter::write(SaveResult& result) const {
  const Clock::time_point start = Clock::now();
  result.step = state_.step;
  try {
    const int world = options_.sharded ? options_.world : 1;
    const ShardReport report =
        write_shard(options_.dir, state_.step, options_.generation, options_.rank, world, tensors_);
    result.bytes = report.summary.size;
    std::vector<ShardReport> reports;
    if (!options_.sharded) {
      reports.push_back(report);
    } else {
      const CollectReports& collect = options_.collect;
      for (const std::string& text :
           collect ? collect(state_.step, report.encode()) : collect_through_folder(report.encode())) {
        reports.push_back(ShardReport::decode(text));
      }
    }
    if (options_.rank == 0) {
      if (reports.size() != static_cast<size_t>(world)) {
        throw IoError("[checkpoint] " + std::to_string(reports.size()) + " shard reports of " + std::to_string(world));
      }
      result.folder = commit(options_.dir, options_.generation, state_, reports, options_.keep);
    }
  } catch (const StaleGeneration& error) {
    result.stale = true;
    result.error = error.what();
  } catch (const std::exception& error) {
    result.error = error.what();
  }
  result.write_seconds = seconds_since(start);
}

std::vector<std::string> CheckpointWriter::collect_through_folder(const std::string& own) const {
  const fs::path folder = temporary_folder(options_.dir, state_.step, options_.generation);
  const auto report_path = [&](int rank) { return (folder / report_name(rank, options_.world)).string(); };
  if (options_.rank != 0) {
    const std::string half = report_path(options_.rank) + ".new";
    write_text(half, own);
    rename_path(half, report_path(options_.rank));  // rank 0 sees it whole or not at all
    return {};
  }
  std::vector<std::string> reports{own};
  const auto deadline = Clock::now() + std::chrono::duration<double>(options_.collect_timeout_seconds);
  for (int rank = 1; rank < options_.world; ++rank) {
    while (!fs::exists(report_path(rank))) {
      if (Clock::now() > deadline) throw IoError("[checkpoint] no shard report from rank " + std::to_string(rank));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    reports.push_back(read_text(report_path(rank)));
    remove_tree(report_path(rank));
  }
  return reports;
}

}  // namespace ds::io
