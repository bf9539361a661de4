// From a study's spec to the tuner's space, and from a point of it to the job that a trial is.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ds/v1/tune.pb.h"
#include "scheduler/autotune/study.h"

namespace ds::coordinator {

// Points that make no valid job, or a model that breaks a constraint of the study, are not in the space.
absl::StatusOr<autotune::Space> make_space(const v1::StudySpec& spec);

// What is known of the models is a function of the point.
std::vector<autotune::Objective> objectives_of(const v1::StudySpec& spec);

// Key to value as it would stand in the job file; inactive parameters are left out.
std::map<std::string, std::string> params_of(const autotune::Space& space, const autotune::Point& point);

}  // namespace ds::coordinator
