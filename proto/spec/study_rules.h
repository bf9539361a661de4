// What the files of a study's rules share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ds/v1/tune.pb.h"
#include "proto/spec/fields.h"

namespace ds::spec {

using Values = std::map<std::string, std::string>;  // by key of the search, as in the job file

// "log_int"; "": none.
const char* word_of(v1::SearchSpec::Kind kind);
v1::SearchSpec::Kind kind_named(absl::string_view word);
std::vector<std::string> kind_words();
bool has_bounds(v1::SearchSpec::Kind kind);
bool is_whole(v1::SearchSpec::Kind kind);

// One of the study's own numbers; `path` as in the file.
std::span<const Field> study_fields();

int measured_objectives(const v1::StudySpec& study);
// Where one of `count` stands in the file: objective.maximize, objective[1].minimize.
std::string objective_path(const v1::ObjectiveSpec& objective, int index, int count);

const v1::SearchSpec* find_search(const v1::StudySpec& study, absl::string_view key);

bool is_script(const v1::StudySpec& study);
// The row of a key of the search: one of the table, or that of a parameter which the template's script declares; null:
// neither.
const Field* searchable(const v1::JobSpec& job, absl::string_view key);

// A spec that says nothing but of what types a script's parameters are, to try values in.
v1::JobSpec scratch_of(const v1::JobSpec& job);

// Puts a value in place of the job's own; returns what was expected if it is none, else "". A number is a list of one.
std::string set_value(v1::JobSpec* job, absl::string_view key, absl::string_view text);
// The value as it would stand in a file: adamw, 0.1, [256, 128].
std::string value_text(const v1::JobSpec& job, absl::string_view key);

// The template with these values, with defaults, not checked. Of the template's own keys, those are left out that are
// for another value of a searched one: beta1, where the trial's optimizer is sgd.
v1::JobSpec job_with(const v1::StudySpec& study, const Values& values);

std::vector<Problem> check_study(const v1::StudySpec& study);
// The jobs at the corners of the search; the search itself has no problem.
std::vector<Problem> check_corners(const v1::StudySpec& study);

}  // namespace ds::spec
