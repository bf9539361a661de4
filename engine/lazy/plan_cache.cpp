#include "engine/lazy/plan_cache.h"

#include <list>
#include <mutex>
#include <unordered_map>

namespace ds {
namespace {

class PlanCache {
 public:
  std::shared_ptr<const Plan> get(const Trace& trace) {
    Key key{trace.hash[0], trace.hash[1]};
    uint64_t age;
    {
      std::lock_guard lock(mutex_);
      if (auto plan = find(key)) return plan;
      age = age_;
    }
    std::shared_ptr<const Plan> plan = make_plan(trace);
    std::lock_guard lock(mutex_);
    ++built_;
    if (age != age_) return plan;  // the passes were switched meanwhile: this one is not to be seen again
    if (auto other = find(key)) return other;
    recent_.push_front({key, plan});
    index_.emplace(key, recent_.begin());
    if (recent_.size() > kMaxPlans) {
      index_.erase(recent_.back().key);
      recent_.pop_back();
    }
    return plan;
  }

  void clear() {
    std::lock_guard lock(mutex_);
    ++age_;
    index_.clear();
    recent_.clear();
  }

  size_t size() {
    std::lock_guard lock(mutex_);
    return recent_.size();
  }

  uint64_t built() {
    std::lock_guard lock(mutex_);
    return built_;
  }

 private:
  struct Key {
    uint64_t a, b;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& k) const { return k.a ^ (k.b * 0x9e3779b97f4a7c15u); }
  };
  struct Entry {
    Key key;
    std::shared_ptr<const Plan> plan;
  };

  std::shared_ptr<const Plan> find(const Key& key) {
    auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    recent_.splice(recent_.begin(), recent_, it->second);
    return it->second->plan;
  }

  std::mutex mutex_;
  std::list<Entry> recent_;  // the one used last comes first
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> index_;
  uint64_t age_ = 0, built_ = 0;
};

PlanCache& cache() {
  static auto* c = new PlanCache;
  return *c;
}

}  // namespace

std::shared_ptr<const Plan> plan_for(const Trace& trace) { return cache().get(trace); }
void clear_plan_cache() { cache().clear(); }
size_t cached_plans() { return cache().size(); }
uint64_t plans_built() { return cache().built(); }

}  // namespace ds
