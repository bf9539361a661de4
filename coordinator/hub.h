// Who listens to which job: watchers and log readers. Any thread; callbacks run on the publisher's.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "ds/v1/job.pb.h"

namespace ds::coordinator {

// What listeners hear: the job after a change, or null when its logs have grown.
using Listener = std::function<void(const v1::Job*)>;

class Hub {
 public:
  void add(const std::string& job, const void* owner, Listener listener) {
    absl::MutexLock lock(&mutex_);
    listeners_[job][owner] = std::make_shared<Listener>(std::move(listener));
  }
  void remove(const std::string& job, const void* owner) {
    absl::MutexLock lock(&mutex_);
    auto found = listeners_.find(job);
    if (found == listeners_.end()) return;
    found->second.erase(owner);
    if (found->second.empty()) listeners_.erase(found);
  }
  bool has(const std::string& job) {
    absl::MutexLock lock(&mutex_);
    return listeners_.count(job) > 0;
  }
  void publish(const std::string& job, const v1::Job* changed) {
    std::vector<std::shared_ptr<Listener>> hearing;
    {
      absl::MutexLock lock(&mutex_);
      auto found = listeners_.find(job);
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
