// What the generators share: the files beside this one make one schedule each; schedule.cpp checks their input first.
#pragma once
#include "scheduler/schedules/schedule.h"

namespace ds::pipeline {

absl::StatusOr<Schedule> gpipe(const Request& request);
absl::StatusOr<Schedule> one_f_one_b(const Request& request);
absl::StatusOr<Schedule> interleaved(const Request& request);
absl::StatusOr<Schedule> zb_h1(const Request& request);
absl::StatusOr<Schedule> zb_h2(const Request& request);
absl::StatusOr<Schedule> zb_v(const Request& request);
absl::StatusOr<Schedule> v_half(const Request& request);
absl::StatusOr<Schedule> v_min(const Request& request);
absl::StatusOr<Schedule> dualpipe_v(const Request& request);
absl::StatusOr<Schedule> zb_1p(const Request& request);
absl::StatusOr<Schedule> zb_2p(const Request& request);

// Empty lists of the asked size.
Schedule blank(const Request& request, Placement placement = Placement::loop);

}  // namespace ds::pipeline
