// The table of fields: what the messages of job.proto do not say about a job file.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <string>

#include <vector>

#include "absl/strings/string_view.h"
#include "ds/v1/job.pb.h"

namespace ds::spec {

// Holds where the field at `path` has the value `value` ("a|b": one of these), is given at all, or is not; an empty
// path always holds.
struct Condition {
  enum Kind { kIs, kGiven, kNotGiven };
  absl::string_view path;
  absl::string_view value;
  Kind kind = kIs;
};

inline constexpr absl::string_view kParams = "model.params";
inline constexpr int kAutomatic = -1;
inline constexpr absl::string_view kAutoWord = "auto";

enum class Need { kOptional, kRequired };

// One leaf of JobSpec. The type is the proto's; the rest is here. For a list, the range is that of each element.
struct Field {
  absl::string_view path;
  absl::string_view doc;
  absl::string_view fallback = "";  // default as it would stand in the file; lists without brackets; "": none
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;        // `least` itself is not allowed
  bool below_most = false;         // `most` itself is not allowed
  absl::string_view choices = "";  // "a|b|c"
  Condition only = {};             // the field belongs to this case, and must not be set in another
  Condition fallback_only = {};    // the default is given in this case only
  bool fixed = false;              // a study may not search it
  bool automatic = false;          // the file may say `auto`, which is kAutomatic in the message
  Need need = Need::kOptional;     // kRequired: where `only` and `need_only` hold
  Condition need_only = {};
};

std::span<const Field> fields();
const Field* find_field(absl::string_view path);

// A field of a message, found by its path. `owner` is null where a parent message is not set. A script's parameter is a
// field as well, at model.params.NAME and of the type that it has, and there is none where the spec does not declare
// it.
struct Slot {
  const google::protobuf::Message* owner = nullptr;
  const google::protobuf::FieldDescriptor* descriptor = nullptr;
};
Slot look(const v1::JobSpec& spec, absl::string_view path);
google::protobuf::Message* owner_of(v1::JobSpec& spec, absl::string_view path,
                                    const google::protobuf::FieldDescriptor** descriptor);

bool is_set(const Slot& slot);
bool holds(const v1::JobSpec& spec, const Condition& condition);
// "train.optimizer.name is sgd", each word of the file between two `quote`.
std::string describe(const Condition& condition, absl::string_view quote = "");

// The value of a scalar (or of element `index` of a list) as it would stand in a file; strings in quotes.
std::string show(const Slot& slot, int index = 0);
std::string show(double value);
std::string quoted(absl::string_view text);

// Sets a scalar, or appends to a list, from its text. `plain`: not in quotes, so a number may be read.
// Returns what was expected ("an integer") if the text is not of the type, else "".
std::string set_from_text(google::protobuf::Message* owner, const google::protobuf::FieldDescriptor* descriptor,
                          absl::string_view text, bool plain);

// One thing wrong with a job file.
struct Problem {
  std::string path;  // where
  std::string text;  // what, without the path
  int line = 0;      // 1-based; 0: not known
};
// Why a number is not in the field's range, or "". `shown`: the number as the user wrote it.
std::string outside(const Field& field, double value, const std::string& shown);
// What is wrong with a value that is set, whatever other fields say.
std::vector<Problem> check_value(const Field& field, const Slot& slot);
// Defaults of the fields that are `wanted` only.
void fill_defaults(v1::JobSpec& spec, const std::function<bool(const Field&)>& wanted);
// Names and values of model.params.
void check_params(const v1::ModelSpec& model, std::vector<Problem>* problems);
// Ranges, choices, needs, and the rules that join several fields.
std::vector<Problem> check(const v1::JobSpec& spec);
// Names of artifacts that are none; `may_be_local`: a path of the user's machine is well, as check() takes it.
std::vector<Problem> check_artifacts(const v1::JobSpec& spec, bool may_be_local);

}  // namespace ds::spec
