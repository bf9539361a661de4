// What the coordinator knows, all of it made from its log by apply().
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "ds/v1/event.pb.h"

namespace ds::coordinator {

struct State {
  int64_t revision = 0;                             // events applied
  int64_t submitted = 0;                            // jobs ever
  int64_t studies_submitted = 0;                    // ever
  std::map<std::string, v1::JobRecord> jobs;        // by id
  std::map<std::string, v1::WorkerRecord> workers;  // by name
  std::map<std::string, v1::StudyRecord> studies;   // by id

  // Indices of `jobs` and `studies`, kept by apply().
  std::map<int64_t, std::string> by_order;
  std::map<std::string, std::string> by_key;  // client keys
  std::set<int64_t> live;                     // orders of the jobs that have not ended
  std::map<int64_t, std::string> studies_by_order;
  std::map<std::string, std::string> studies_by_key;
};

// The whole state as one message with a fixed order: equal states give equal bytes.
v1::StateSnapshot to_snapshot(const State& state);
State from_snapshot(v1::StateSnapshot snapshot);

bool ended(v1::JobState state);
bool ended(v1::StudyState state);
// The rank holds its slot no more: it exited, or its worker is lost.
bool released(const v1::RankRecord& rank);
bool holds_slots(const v1::JobRecord& record);
std::string device(const v1::RankRecord& rank);

// Whether a study's trials are measured by training's own numbers alone, and so at any step.
bool measured_by_steps(const v1::StudySpec& spec);

// As users see them.
v1::Job view(const v1::JobRecord& record);
v1::Study view(const v1::StudyRecord& record);
v1::Worker view(const State& state, const v1::WorkerRecord& worker);

}  // namespace ds::coordinator
