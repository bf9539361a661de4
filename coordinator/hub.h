// Who listens to what: to jobs, watchers and log readers; to studies, watchers. Any thread; callbacks run on the
// publisher's.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ds::coordinator {

// Listeners hear what they listen to after a change, or null when a job's logs have grown.
template <class Message>
class Hub {
 public:
  using Listener = std::function<void(const Message*)>;

  void add(const std::string& id, const void* owner, Listener listener) {
    absl::MutexLock lock(&mutex_);
    listeners_[id][owner] = std::make_shared<Listener>(std::move(listener));
  }
  void remove(const std::string& id, const void* owner) {
    absl::MutexLock lock(&mutex_);
    auto found = listeners_.find(id);
    if (found == listeners_.end()) return;
    found->second.erase(owner);
    if (found->second.empty()) listeners_.erase(found);
  }
  bool has(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    return listeners_.count(id) > 0;
  }
  void publish(const std::string& id, const Message* changed) {
    std::vector<std::shared_ptr<Listener>> hearing;
    {
      absl::MutexLock lock(&mutex_);
      auto found = listeners_.find(id);
      if (found == listeners_.end()) return;
      for (auto& [owner, listener] : found->second) hearing.push_back(listener);
    }
    for (auto& listener : hearing) (*listener)(changed);
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::map<const void*, std::shared_ptr<Listener>>> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ds::coordinator
