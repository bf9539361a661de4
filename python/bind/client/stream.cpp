#include "python/bind/client/stream.h"

#include <utility>

namespace ds::py {
namespace {

constexpr size_t kMostItems = 1000;  // that wait to be taken
constexpr absl::Duration kLook = absl::Milliseconds(100);

}  // namespace

Stream::Stream(client::ClientOptions options, Read read) : client_(std::move(options)) {
  thread_ = std::thread([this, read = std::move(read)] {
    absl::Status status = read(client_, [this](std::string item) { return push(std::move(item)); });
    absl::MutexLock lock(&mutex_);
    end_ = std::move(status);
  });
}

Stream::~Stream() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  client_.stop_streams();
  thread_.join();
}

bool Stream::push(std::string item) {
  absl::MutexLock lock(&mutex_);
  auto has_room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closed_ || items_.size() < kMostItems; };
  mutex_.Await(absl::Condition(&has_room));
  if (closed_) return false;
  items_.push_back(std::move(item));
  return true;
}

absl::StatusOr<std::optional<std::string>> Stream::next(const std::function<bool()>& interrupted) {
  auto has_news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !items_.empty() || end_.has_value(); };
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&has_news), kLook)) {
        if (items_.empty()) return end_->ok() ? absl::StatusOr<std::optional<std::string>>(std::nullopt) : *end_;
        std::string item = std::move(items_.front());
        items_.pop_front();
        return item;
      }
    }
    if (interrupted()) return absl::CancelledError("interrupted");
  }
}

}  // namespace ds::py
