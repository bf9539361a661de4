// Studies and trials as the JSON documents that docs/cli.md promises.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/view.h"
#include "ds/v1/tune.pb.h"

namespace ds::client {

Json study_document(const v1::Study& study);
Json trial_document(const v1::Study& study, const v1::Trial& trial);
// The recommendation, with the values of its trial and the job file that trains it. `trial` >= 0: of this one instead.
absl::StatusOr<Json> best_document(const v1::Study& study, const std::vector<v1::Trial>& trials, int64_t trial = -1);

// Of two objectives: a line a trial of the front, with posterior means and values of the search, and whether it is the
// knee.
Json front_document(const v1::Study& study, const std::vector<v1::Trial>& trials);

// One line a trial, with a head; numbers keep every bit.
std::string trials_csv(const v1::Study& study, const std::vector<v1::Trial>& trials);

std::string state_name(v1::StudyState state);  // "RUNNING"
std::string state_name(v1::TrialState state);  // "FINISHED"
// A number of a trial as tables show it: 0.8912
std::string value_text(double value);
// Sizes of models keep six digits.
std::string value_text(const std::string& metric, double value);
// "lr" of "train.optimizer.lr", where no other key of the search ends so.
std::string short_key(const v1::StudySpec& spec, const std::string& key);
// Of one objective, or two: "test_accuracy 0.8912, params 25450".
std::string values_text(const v1::StudySpec& spec, const google::protobuf::RepeatedField<double>& values);
// Whether `a` is a better value of the objective than `b`.
bool better(const v1::ObjectiveSpec& objective, double a, double b);
// The first objective that trials measure.
int measured_objective(const v1::StudySpec& spec);

}  // namespace ds::client
