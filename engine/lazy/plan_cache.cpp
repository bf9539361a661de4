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

// What a program of one node depends on, in 63 bits; of any other op the plan is the same. 0: it does not fit.
uint64_t key_of_one(const Node& n) {
  if (!is_elementwise(n.op->info().category)) return UINT64_MAX;
  uint64_t key = static_cast<uint64_t>(n.op->kind()) << 16 | static_cast<uint64_t>(n.op->variant()) << 8 |
                 static_cast<uint64_t>(n.outputs[0].type.dtype);
  for (size_t i = 0; i < 3; ++i) {
    key <<= 13;
    if (i >= n.inputs.size()) continue;
    const Tensor& input = n.inputs[i];
    if (input.output() > 7) return 0;
    key |= static_cast<uint64_t>(input.dtype()) << 5 | input.node()->index << 3 | static_cast<uint64_t>(input.output());
  }
  return key | uint64_t{1} << 63;
}

PlanCache& cache() {
  static auto* c = new PlanCache;
  return *c;
}

}  // namespace

std::shared_ptr<const Plan> plan_for(const Trace& trace) { return cache().get(trace); }
const Plan* plan_of_one(const Trace& trace) {
  static thread_local std::unordered_map<uint64_t, std::unique_ptr<const Plan>> plans;
  uint64_t key = key_of_one(*trace.nodes[0]);
  if (key == 0) return nullptr;
  auto& plan = plans[key];
  if (!plan) plan = make_plan(trace);
  return plan.get();
}
void clear_plan_cache() { cache().clear(); }
size_t cached_plans() { return cache().size(); }
uint64_t plans_built() { return cache().built(); }

}  // namespace ds
