// Vee schedules made of one repeated block: V-Half and V-Min.
#pragma once
#include <array>

#include "scheduler/schedules/schedule.h"

namespace ds::pipeline {

// How many unit times (F = B = W = 1) a micro-batch takes from one stage to the next on its four ways through the vee:
// forward down, forward up, backward down, backward up. A micro-batch enters every 6 units, so a stage holds about
// (p - 1) x sum / 12 activations.
using Steps = std::array<int, 4>;

// The block repeated for every micro-batch, with the shortest waits at the turns at which no stage has two pieces at
// once; weight gradients go into the holes.
absl::StatusOr<Schedule> repeat_block(const Request& request, const Steps& steps);

}  // namespace ds::pipeline
