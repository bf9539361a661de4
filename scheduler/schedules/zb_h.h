// The handcrafted zero-bubble schedules of one chunk, ZB-H1 and ZB-H2: one shape, two lengths.
#pragma once
#include "scheduler/schedules/schedule.h"

namespace ds::pipeline {

// Stage s starts with reach * (p - s) - (reach - 1) forwards and puts each weight gradient off by reach * s
// micro-batches while there are forwards left, so every stage holds reach * p - (reach - 1). reach: 1 is ZB-H1, 2
// ZB-H2.
Schedule zb_handcrafted(const Request& request, int reach);

}  // namespace ds::pipeline
