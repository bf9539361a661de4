// What /metrics says: histograms that grow with effects, and families made from the state at each scrape.
#pragma once
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/core/apply.h"

namespace ds::coordinator {

// Any thread.
class Meters {
 public:
  Meters();
  void measured(const Measure& measure);
  void committed(int events, absl::Duration fsync);
  void suggested(absl::Duration took) { suggest_.Observe(absl::ToDoubleSeconds(took)); }
  void trained(const v1::MetricsBatch& batch);
  void artifact_received(int64_t bytes) { received_.Increment(static_cast<double>(bytes)); }
  void artifact_sent(int64_t bytes) { sent_.Increment(static_cast<double>(bytes)); }
  void artifacts_stored(size_t count, int64_t bytes);

  // Prometheus' text. `heard` gives the seconds since a worker was heard.
  using Heard = std::function<double(const std::string&)>;
  std::string text(const State& state, const Heard& heard, absl::Time now = absl::Now());

 private:
  struct Training {
    double samples = 0, step_seconds = 0;
    uint64_t steps = 0;
    std::pair<int64_t, int64_t> last = {0, 0};  // generation and sequence: a batch may come again
  };
  void add_jobs(const State& state, std::vector<prometheus::MetricFamily>& families)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void add_studies(const State& state, absl::Time now, std::vector<prometheus::MetricFamily>& families);
  void forget_old(const State& state, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  prometheus::Registry registry_;
  prometheus::Histogram& queue_wait_;
  prometheus::Histogram& recovery_;
  prometheus::Histogram& fsync_;
  prometheus::Histogram& suggest_;
  prometheus::Counter& events_;
  prometheus::Counter &received_, &sent_;  // bytes of artifacts
  prometheus::Gauge &artifacts_, &artifact_bytes_;
  absl::Mutex mutex_;
  Training all_ ABSL_GUARDED_BY(mutex_);                              // jobs together, the forgotten ones too
  std::map<std::string, Training> training_ ABSL_GUARDED_BY(mutex_);  // by job, since this process started
};

}  // namespace ds::coordinator
