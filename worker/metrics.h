// /metrics of the worker, made at each scrape from what the agent knows.
#pragma once
#include <prometheus/collectable.h>

#include <string>

#include "worker/agent.h"

namespace ds::worker {

class AgentMetrics final : public prometheus::Collectable {
 public:
  AgentMetrics(Agent& agent, std::string worker) : agent_(agent), worker_(std::move(worker)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  Agent& agent_;
  const std::string worker_;
};

}  // namespace ds::worker
