// The searched zero-bubble schedules: lists made by playing the pipeline for the costs given.
#pragma once
#include "scheduler/schedules/schedule.h"

namespace ds::pipeline {

// How a stage that is free chooses among what it could do.
struct Policy {
  double patience = 1;     // starts a W when the next input is at least this many W away
  double ahead = 0;        // forwards in flight per stage behind it before backwards flow back; 0: as memory allows
  double reserve = 0;      // in a vee: how much of its memory a stage keeps for second chunks, growing along the stages
  double idle = 0;         // how much a stage may idle before it starts a W that is not yet `patience` away
  bool alternate = false;  // after a backward, a ready forward goes before the next backward
  bool deep_forward = true;    // among ready forwards the one nearest to the model's end, else to its beginning
  bool deep_backward = false;  // among ready backwards the one nearest to the model's end
};

// Lists for `limit` activations a stage, made by letting every stage choose by `policy` whenever it is free.
Schedule play_policy(const Request& request, Placement placement, double limit, const Policy& policy);

// The forwards and backwards of `order` (weight gradients in it are left out), with weight gradients put where the
// policy likes them for these costs.
Schedule refill(const Request& request, const Schedule& order, double limit, const Policy& policy);

// The cheapest of the lists that a range of policies gives, of `orders` refilled and of `seeds` as they are, as far as
// they stay within `limit`. InvalidArgument if nothing does.
struct Candidates {
  std::vector<Schedule> seeds, orders;
};
absl::StatusOr<Schedule> search(const Request& request, Placement placement, double limit, Candidates candidates);

}  // namespace ds::pipeline
