#include <algorithm>

#include "scheduler/pipeline/simulate.h"

namespace ds::pipeline {
namespace {

// A request with its generator's defaults, or nullopt where it makes no schedule.
std::optional<Request> completed(const std::string& name, const Request& request) {
  auto row = find_generator(name);
  if (!row.ok() || request.stages < 1 || request.micro_batches < 1) return std::nullopt;
  Request asked = request;
  if (asked.chunks == 0) asked.chunks = (*row)->default_chunks;
  if (!asked.costs.check(asked.stages, asked.chunks).ok()) return std::nullopt;
  return asked;
}

// The busiest stage's time in F, B and W.
double most_work(const Request& r) {
  double most = 0;
  for (int s = 0; s < r.stages; ++s) {
    double work = 0;
    for (int c = 0; c < r.chunks; ++c) work += r.costs.at(s, c, r.chunks).sum();
    most = std::max(most, work * r.micro_batches);
  }
  return most;
}

}  // namespace

// The terms that grow with p alone are the papers' (1f1b and gpipe: arXiv 2104.04473 section 2.2; zb-h1 and zb-h2:
// arXiv 2401.10241 table 1). How often a transfer lies on the critical path is counted on the lists: between two stages
// of 1f1b, (p-1)/p round trips a micro-batch.
std::optional<double> closed_form_cost(const std::string& schedule, const Request& request) {
  auto asked = completed(schedule, request);
  if (!asked || asked->costs.times.size() != 1 || asked->costs.transfer.size() > 1) return std::nullopt;
  if (!asked->costs.overlapped || asked->costs.wrap_waits_once) return std::nullopt;
  const auto& [f, b, w] = asked->costs.times[0];
  double c = asked->costs.transfer.empty() ? 0 : asked->costs.transfer[0];
  int64_t p = asked->stages, m = asked->micro_batches, v = asked->chunks;
  double one = f + b + w, least = std::min(f, b);
  bool known = schedule == "gpipe" || schedule == "1f1b" || schedule == "interleaved" || schedule == "zb-h1" ||
               schedule == "zb-h2";
  if (known && p == 1) return m * v * one;
  if (schedule == "gpipe") return (m + p - 1) * one + 2 * (p - 1) * c;
  if (schedule == "1f1b") return (m + p - 1) * one + 2 * (p - 1 + (m - 1) * (p - 1) / p) * c;
  if (schedule == "interleaved" && m % p == 0 && m >= 2 * p && v > 1 && 2 * c <= std::min(f, b + w)) {
    return (m * v + p - 1) * one + 2 * (p * v - 1) * c;
  }
  if (schedule == "zb-h1" && m >= 2 * p && w + 2 * c <= least && 2 * c <= w) {
    return m * one + (p - 1) * (f + b - w + 4 * c);
  }
  if (schedule == "zb-h2" && m >= 2 * p && w + c <= least) return m * one + (p - 1) * (f + b - 2 * w + 2 * c);
  return std::nullopt;
}

// Two arguments: a stage does its own work; and at any position the first forward has come from the input, all forwards
// and backwards of the position follow on its one stage, and the last gradient goes back to the input.
double lower_bound(const std::string& schedule, const Request& request) {
  auto asked = completed(schedule, request);
  if (!asked) return 0;
  const Request& r = *asked;
  bool splits = (*find_generator(schedule))->splits;
  Schedule shape;
  shape.stages = r.stages, shape.micro_batches = r.micro_batches, shape.chunks = r.chunks;
  bool vee = schedule == "zb-v" || schedule == "v-half" || schedule == "v-min" || schedule == "dualpipe-v";
  shape.placement = vee ? Placement::vee : Placement::loop;
  double bound = most_work(r), chain = splits ? r.costs.at(0, 0, r.chunks).weight_gradient : 0;
  for (int q = 0; q < shape.depth(); ++q) {
    int stage = shape.stage_at(q);
    const ChunkTimes& t = r.costs.at(stage, shape.chunk_at(q), r.chunks);
    double piece = t.forward + t.input_gradient + (splits ? 0 : t.weight_gradient);
    bound = std::max(bound, chain + r.micro_batches * piece);
    if (q + 1 == shape.depth()) break;
    int after = shape.stage_at(q + 1);
    chain += piece + r.costs.edge(stage, after, r.stages) + r.costs.edge(after, stage, r.stages);
  }
  return bound;
}

}  // namespace ds::pipeline
