#include "scheduler/schedules/schedule.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/schedules/generators.h"

namespace ds::pipeline {
namespace {

constexpr int most_operations = 1 << 26;  // a typo of a size is a refusal, not an afternoon

// Levenshtein's distance.
int distance(const std::string& a, const std::string& b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      int change = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

absl::Status refuse(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("[", name, "] ", what));
}

absl::Status check_sizes(const Generator& row, const Request& request) {
  if (request.stages < 1) return refuse(row.name, absl::StrCat("stages must be at least 1: got ", request.stages));
  if (request.micro_batches < 1) {
    return refuse(row.name, absl::StrCat("micro_batches must be at least 1: got ", request.micro_batches));
  }
  if (request.chunks < 1) return refuse(row.name, absl::StrCat("chunks must be at least 1: got ", request.chunks));
  if (request.chunks != row.default_chunks && !row.any_chunks) {
    return refuse(row.name,
                  absl::StrCat("has ", row.default_chunks, " chunks a stage, no others: got ", request.chunks));
  }
  if (3.0 * request.stages * request.micro_batches * request.chunks > most_operations) {
    return refuse(row.name, absl::StrCat("stages x micro_batches x chunks is too large: got ", request.stages, " x ",
                                         request.micro_batches, " x ", request.chunks));
  }
  if (!(request.memory_limit >= 0) || std::isinf(request.memory_limit)) {
    return refuse(row.name, absl::StrCat("memory_limit must be 0 or more: got ", request.memory_limit));
  }
  return request.costs.check(request.stages, request.chunks);
}

void append(List& list, const Operation& op, Kind kind, int peer) {
  list.push_back({kind, op.micro_batch, op.chunk, peer});
}

// One operation with its receive before it and its send after it.
void surround(const Schedule& schedule, int stage, const Operation& op, List& list) {
  int at = schedule.position(stage, op.chunk), last = schedule.depth() - 1;
  bool forward = op.kind == Kind::forward;
  bool talks = forward || op.kind == Kind::backward || op.kind == Kind::input_gradient;
  int from = forward ? at - 1 : at + 1, to = forward ? at + 1 : at - 1;
  auto away = [&](int position) {
    return talks && position >= 0 && position <= last && schedule.stage_at(position) != stage;
  };
  if (away(from)) {
    append(list, op, forward ? Kind::receive_activation : Kind::receive_gradient, schedule.stage_at(from));
  }
  list.push_back(op);
  if (away(to)) append(list, op, forward ? Kind::send_activation : Kind::send_gradient, schedule.stage_at(to));
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::forward:
      return "F";
    case Kind::backward:
      return "BW";
    case Kind::input_gradient:
      return "B";
    case Kind::weight_gradient:
      return "W";
    case Kind::send_activation:
      return "send activation";
    case Kind::receive_activation:
      return "receive activation";
    case Kind::send_gradient:
      return "send gradient";
    case Kind::receive_gradient:
      return "receive gradient";
    case Kind::reduce:
      return "reduce";
    case Kind::optimizer:
      return "optimizer";
  }
  return "?";
}

int Schedule::position(int stage, int chunk) const {
  bool back = placement == Placement::vee && chunk % 2 == 1;
  return chunk * stages + (back ? stages - 1 - stage : stage);
}

int Schedule::stage_at(int position) const {
  int stage = position % stages;
  return placement == Placement::vee && chunk_at(position) % 2 == 1 ? stages - 1 - stage : stage;
}

int Schedule::chunk_at(int position) const { return position / stages; }

const std::vector<Generator>& generators() {
  static const auto& table = *new std::vector<Generator>{
      {"gpipe", "all forwards, then all backwards; bubble (p-1)/(m+p-1), memory m", gpipe, false, false, 1, false},
      {"1f1b", "one forward, one backward; bubble (p-1)/(m+p-1), memory p", one_f_one_b, false, false, 1, false},
      {"interleaved", "1f1b over v chunks a stage; bubble (p-1)/(vm+p-1), memory p+(p-1)/v", interleaved, false, false,
       2, true},
      {"zb-h1", "1f1b with weight gradients put off; a third of its bubble, memory p", zb_h1, false, true, 1, false},
      {"zb-h2", "zb-h1 with more forwards ahead; no bubble, memory 2p-1", zb_h2, false, true, 1, false},
      {"zb-v", "two chunks in a vee, searched for the costs given; no bubble, memory p", zb_v, true, true, 2, false},
      {"v-half", "two chunks in a vee; half of 1f1b's bubble, memory p/2", v_half, false, true, 2, false},
      {"v-min", "two chunks in a vee; two thirds of 1f1b's bubble, memory p/3", v_min, false, true, 2, false},
      {"dualpipe-v", "two chunks in a vee, a forward beside each backward; memory p+1", dualpipe_v, false, true, 2,
       false},
      {"zb-1p", "searched for the costs given within 1f1b's memory, p", zb_1p, true, true, 1, false},
      {"zb-2p", "searched for the costs given within twice 1f1b's memory, 2p", zb_2p, true, true, 1, false},
  };
  return table;
}

absl::StatusOr<const Generator*> find_generator(const std::string& name) {
  const Generator* nearest = nullptr;
  int least = 0;
  std::vector<std::string> names;
  for (const Generator& row : generators()) {
    if (name == row.name) return &row;
    int apart = distance(name, row.name);
    if (!nearest || apart < least) nearest = &row, least = apart;
    names.push_back(row.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown schedule \"", name, "\": did you mean ", nearest->name,
                                                 "? known: ", absl::StrJoin(names, ", ")));
}

absl::StatusOr<Schedule> make_schedule(const std::string& name, const Request& request) {
  auto row = find_generator(name);
  if (!row.ok()) return row.status();
  Request asked = request;
  if (asked.chunks == 0) asked.chunks = (*row)->default_chunks;
  if (absl::Status fine = check_sizes(**row, asked); !fine.ok()) return fine;
  auto made = (*row)->make(asked);
  if (made.ok()) made->name = (*row)->name;
  return made;
}

Schedule blank(const Request& request, Placement placement) {
  Schedule schedule;
  schedule.stages = request.stages;
  schedule.micro_batches = request.micro_batches;
  schedule.chunks = request.chunks;
  schedule.placement = placement;
  schedule.lists.resize(request.stages);
  for (List& list : schedule.lists) list.reserve(3 * request.micro_batches * request.chunks);
  return schedule;
}

Schedule with_communication(Schedule schedule) {
  for (int stage = 0; stage < schedule.stages; ++stage) {
    std::vector<int> left(schedule.chunks, schedule.micro_batches);
    List full;
    for (const Operation& op : schedule.lists[stage]) {
      surround(schedule, stage, op, full);
      bool weights = op.kind == Kind::backward || op.kind == Kind::weight_gradient;
      if (weights && --left[op.chunk] == 0) full.push_back({Kind::reduce, 0, op.chunk, -1});
    }
    full.push_back({Kind::optimizer, 0, 0, -1});
    schedule.lists[stage] = std::move(full);
  }
  return schedule;
}

}  // namespace ds::pipeline
