// The rules of a spec: what the table says of each field, and what several fields must agree on.
#include <algorithm>
#include <bit>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "proto/digest/digest.h"
#include "proto/spec/fields.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/nearest.h"

namespace ds::spec {
namespace {

using google::protobuf::FieldDescriptor;
using Problems = std::vector<Problem>;

void check_choice(const Field& field, const Slot& slot, Problems* problems) {
  const std::string& value = slot.owner->GetReflection()->GetString(*slot.owner, slot.descriptor);
  const std::vector<std::string> choices = absl::StrSplit(field.choices, '|');
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  const std::string meant = nearest(value, choices);
  problems->push_back(
      {std::string(field.path), absl::StrCat(quoted(value), " is not one of ", absl::StrJoin(choices, ", "),
                                             meant.empty() ? "" : absl::StrCat("; did you mean ", meant, "?"))});
}

void check_range(const Field& field, const Slot& slot, Problems* problems) {
  const bool list = slot.descriptor->is_repeated();
  const int size = list ? slot.owner->GetReflection()->FieldSize(*slot.owner, slot.descriptor) : 1;
  for (int i = 0; i < size; ++i) {
    const std::string shown = show(slot, i);
    double value = 0;
    (void)absl::SimpleAtod(shown, &value);
    if (field.automatic && value == kAutomatic) continue;
    if (std::string text = outside(field, value, shown); !text.empty())
      problems->push_back({absl::StrCat(field.path, list ? absl::StrCat("[", i, "]") : ""), std::move(text)});
  }
}

bool is_number(const FieldDescriptor* d) {
  return d->cpp_type() != FieldDescriptor::CPPTYPE_STRING && d->cpp_type() != FieldDescriptor::CPPTYPE_BOOL &&
         d->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE;
}

void check_field(const v1::JobSpec& spec, const Field& field, Problems* problems) {
  const Slot slot = look(spec, field.path);
  const bool belongs = holds(spec, field.only);
  if (!is_set(slot)) {
    const bool required = field.need == Need::kRequired && holds(spec, field.need_only);
    const bool needed = belongs && (required || (!field.fallback.empty() && field.least > 0));
    if (needed && field.choices.empty()) problems->push_back({std::string(field.path), "is missing"});
    if (needed && !field.choices.empty())
      problems->push_back({std::string(field.path), absl::StrCat("is missing; give one of ",
                                                                 absl::StrReplaceAll(field.choices, {{"|", ", "}}))});
    return;
  }
  if (!belongs) {
    problems->push_back(
        {std::string(field.path), absl::StrCat("is used only where ", describe(field.only), "; remove it")});
  } else {
    for (Problem& p : check_value(field, slot)) problems->push_back(std::move(p));
  }
}

// A name in the allowed letters that is nearest to `name`.
std::string tidy_name(absl::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 63)) out.push_back(absl::ascii_isalnum(c) || c == '_' || c == '.' ? c : '-');
  const size_t first = out.find_first_not_of("-_.");
  return first == out.npos ? "job" : out.substr(first);
}

void check_name(const v1::JobSpec& spec, Problems* problems) {
  const std::string& name = spec.name();
  if (name.empty() || tidy_name(name) == name) return;
  problems->push_back({"name", absl::StrCat(quoted(name),
                                            " is not allowed; use at most 63 letters, digits, -, _ and ., beginning "
                                            "with a letter or digit, such as ",
                                            tidy_name(name))});
}

// The multiple of `step` nearest to `value`, at least `step`.
int64_t nearest_multiple(int64_t value, int64_t step) { return std::max<int64_t>(1, (value + step / 2) / step) * step; }

bool has_problem(const Problems& problems, absl::string_view path) {
  return std::any_of(problems.begin(), problems.end(), [&](const Problem& p) { return p.path == path; });
}

// A batch must be cut into equal parts: one a rank, and in deterministic training one a virtual shard.
void check_batch(const v1::JobSpec& spec, Problems* problems) {
  const bool automatic = spec.strategy().data_parallel() == kAutomatic;
  if (!spec.model().script().empty()) {
    if (automatic)
      problems->push_back(
          {"strategy.data_parallel",
           "auto needs the profile of a model, and a script's cannot be traced; give a number of ranks"});
    return;
  }
  const int64_t ranks = automatic ? 1 : spec.strategy().data_parallel(), batch = spec.train().batch_size();
  const int64_t shards = spec.train().virtual_shards();
  for (const char* path : {"strategy.data_parallel", "train.batch_size", "train.virtual_shards"})
    if (has_problem(*problems, path)) return;
  if (!spec.train().deterministic()) {
    if (batch % ranks != 0)
      problems->push_back(
          {"train.batch_size", absl::StrCat(batch, " is not divisible by strategy.data_parallel ", ranks,
                                            "; the nearest that is: ", nearest_multiple(batch, ranks))});
    return;
  }
  const auto power = [](int64_t n) { return std::has_single_bit(static_cast<uint64_t>(n)); };
  if (!power(ranks)) {
    const int64_t below = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(ranks)));
    problems->push_back({"strategy.data_parallel",
                         absl::StrCat(ranks, " is not a power of two, as train.deterministic needs; the nearest are ",
                                      below, " and ", below * 2)});
  } else if (!power(shards) || shards % ranks != 0) {
    const int64_t meant = std::max<int64_t>(ranks, std::bit_ceil(static_cast<uint64_t>(shards)));
    problems->push_back(
        {"train.virtual_shards", absl::StrCat(shards, " is not a power of two that strategy.data_parallel ", ranks,
                                              " divides; the nearest that is: ", meant)});
  } else if (batch % shards != 0) {
    problems->push_back({"train.batch_size", absl::StrCat(batch, " is not divisible by train.virtual_shards ", shards,
                                                          "; the nearest that is: ", nearest_multiple(batch, shards))});
  }
}

// Debian's files: others may lie in data.path.
constexpr int64_t kFashionSamples = 60000, kFashionSide = 28;
bool known_images(const v1::JobSpec& spec) {
  return spec.data().dataset() == "fashion_mnist" && spec.data().path().empty();
}

// A batch of more samples than there are would make an epoch of no step.
void check_samples(const v1::JobSpec& spec, Problems* problems) {
  const int64_t limit = spec.data().limit(), batch = spec.train().batch_size();
  int64_t samples = known_images(spec) ? kFashionSamples : std::numeric_limits<int64_t>::max();
  const bool limited = limit > 0 && limit < samples;
  if (limited) samples = limit;
  for (const char* path : {"data.limit", "strategy.data_parallel", "train.batch_size", "train.virtual_shards"})
    if (has_problem(*problems, path)) return;
  if (batch <= samples) return;
  const int64_t parts = spec.train().deterministic() ? spec.train().virtual_shards() : spec.strategy().data_parallel();
  if (samples < parts) {
    problems->push_back(
        {"data.limit", absl::StrCat(limit, " samples do not make a batch of ", parts, " parts; the least is ", parts)});
  } else {
    problems->push_back({"train.batch_size", absl::StrCat(batch, " is above the ", samples, " training samples of ",
                                                          limited ? "data.limit" : "fashion_mnist", "; the most is ",
                                                          samples / parts * parts)});
  }
}

// Each convolution is followed by a pooling that halves the image.
void check_images(const v1::JobSpec& spec, Problems* problems) {
  const int levels = std::bit_width(static_cast<uint64_t>(kFashionSide)) - 1;
  const bool deep = spec.model().has_depth();
  const int64_t layers = deep ? spec.model().depth() : spec.model().channels_size();
  if (spec.model().family() == "cnn" && known_images(spec) && layers > levels)
    problems->push_back({deep ? "model.depth" : "model.channels",
                         absl::StrCat(deep ? "" : "a list of ", layers, " halves the ", kFashionSide, "x", kFashionSide,
                                      " images of fashion_mnist to nothing; the most is ", levels)});
}

// Exactly one of the three ways to say what is trained.
void check_kind(const v1::ModelSpec& model, Problems* problems) {
  const std::pair<const char*, bool> kinds[] = {{"model.family", !model.family().empty()},
                                                {"model.graph", !model.graph().empty()},
                                                {"model.script", !model.script().empty()}};
  std::string first;
  for (const auto& [path, given] : kinds) {
    if (!given) continue;
    if (!first.empty())
      problems->push_back({path, absl::StrCat("cannot stand beside ", first, "; keep one of family, graph, script")});
    if (first.empty()) first = path;
  }
  if (first.empty())
    problems->push_back({"model.family", "is missing; give one of mlp, cnn, gpt, or model.graph, or model.script"});
}

// What is read from a file of its own, by engine or script.
void check_data(const v1::JobSpec& spec, Problems* problems) {
  const v1::DataSpec& data = spec.data();
  const bool script = !spec.model().script().empty();
  for (const char* dataset : {"tokens", "tensors"}) {
    if (data.dataset() == dataset && data.path().empty() && !script)
      problems->push_back(
          {"data.path", absl::StrCat("is missing; dataset ", dataset, " needs the path of its ",
                                     dataset == std::string("tokens") ? "token file" : "safetensors file")});
  }
  if (absl::StartsWith(data.path(), digest::kPrefix) && !script && data.dataset() != "tensors" &&
      !data.dataset().empty())
    problems->push_back(
        {"data.path", absl::StrCat(quoted(data.path()), " names an artifact; dataset ", data.dataset(),
                                   " is read from a path that the workers see, only tensors from an artifact")});
}

void check_model(const v1::JobSpec& spec, Problems* problems) {
  const v1::ModelSpec& model = spec.model();
  const std::string needs = model.family() == "gpt" ? "tokens" : "fashion_mnist";
  const bool known = model.family() == "gpt" || model.family() == "mlp" || model.family() == "cnn";
  const std::string& dataset = spec.data().dataset();
  const Field* choices = find_field("data.dataset");
  const std::vector<std::string> datasets = absl::StrSplit(choices->choices, '|');
  if (known && dataset != needs && std::count(datasets.begin(), datasets.end(), dataset) > 0)
    problems->push_back({"data.dataset", absl::StrCat(quoted(dataset), " does not fit model.family ", model.family(),
                                                      "; use ", needs)});
  if (model.family() == "gpt" && !has_problem(*problems, "model.heads") && model.width() % model.heads() != 0)
    problems->push_back(
        {"model.width", absl::StrCat(model.width(), " is not divisible by model.heads ", model.heads(),
                                     "; the nearest that is: ", nearest_multiple(model.width(), model.heads()))});
}

void check_optimizer(const v1::JobSpec& spec, Problems* problems) {
  const v1::OptimizerSpec& optimizer = spec.train().optimizer();
  if (optimizer.name() != "graph") return;
  if (spec.model().graph().empty())
    problems->push_back({"train.optimizer.name",
                         "graph is the optimizer that a traced model's file holds, and there is no model.graph; give "
                         "sgd or adamw"});
  if (optimizer.has_weight_decay())
    problems->push_back({"train.optimizer.weight_decay", "stands in the file of model.graph already; remove it"});
}

void check_schedule(const v1::JobSpec& spec, Problems* problems) {
  const double lr = spec.train().optimizer().lr(), min_lr = spec.train().schedule().min_lr();
  if (lr > 0 && min_lr > lr)
    problems->push_back(
        {"train.schedule.min_lr", absl::StrCat(show(min_lr), " is above train.optimizer.lr; the most is ", show(lr))});
}

}  // namespace

std::string outside(const Field& field, double value, const std::string& shown) {
  const auto answer = [&](const char* what, double limit) {
    return absl::StrCat(shown, " is not allowed; ", what, " ", show(limit));
  };
  if (value < field.least && !field.above_least) return answer("the least is", field.least);
  if (value <= field.least && field.above_least) return answer("it must be greater than", field.least);
  if (value > field.most && !field.below_most) return answer("the most is", field.most);
  if (value >= field.most && field.below_most) return answer("it must be less than", field.most);
  if (value != value) return absl::StrCat(shown, " is not a number");
  return "";
}

std::vector<Problem> check_value(const Field& field, const Slot& slot) {
  Problems problems;
  if (!field.choices.empty()) {
    check_choice(field, slot, &problems);
  } else if (is_number(slot.descriptor)) {
    check_range(field, slot, &problems);
  }
  return problems;
}

std::vector<ArtifactName> artifacts(const v1::JobSpec& spec) {
  std::vector<ArtifactName> names;
  if (!spec.model().graph().empty()) names.push_back({"model.graph", spec.model().graph()});
  if (!spec.model().script().empty()) names.push_back({"model.script", spec.model().script()});
  if (absl::StartsWith(spec.data().path(), digest::kPrefix)) names.push_back({"data.path", spec.data().path()});
  return names;
}

std::vector<Problem> check(const v1::JobSpec& spec) {
  Problems problems;
  check_kind(spec.model(), &problems);
  for (const Field& field : fields()) check_field(spec, field, &problems);
  check_name(spec, &problems);
  check_params(spec.model(), &problems);
  check_data(spec, &problems);
  check_model(spec, &problems);
  check_images(spec, &problems);
  check_batch(spec, &problems);
  check_samples(spec, &problems);
  check_optimizer(spec, &problems);
  check_schedule(spec, &problems);
  for (Problem& p : check_artifacts(spec, true)) problems.push_back(std::move(p));
  return problems;
}

namespace {

// `train: {}` says nothing: a spec with it is the same as one without.
void drop_empty(google::protobuf::Message& message) {
  std::vector<const FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  for (const FieldDescriptor* field : set) {
    if (field->message_type() == nullptr || field->is_repeated()) continue;
    google::protobuf::Message* inner = message.GetReflection()->MutableMessage(&message, field);
    drop_empty(*inner);
    if (inner->ByteSizeLong() == 0) message.GetReflection()->ClearField(&message, field);
  }
}

}  // namespace

std::vector<Problem> check_artifacts(const v1::JobSpec& spec, bool may_be_local) {
  Problems problems;
  for (const auto& [path, name] : artifacts(spec)) {
    const bool local = may_be_local && !absl::StartsWith(name, digest::kPrefix);
    if (!local && !digest::is_digest(name))
      problems.push_back({path, absl::StrCat(quoted(name),
                                             " is not the digest of an artifact, sha256: and 64 "
                                             "hexadecimal digits; dsctl and the SDK upload local files")});
  }
  const v1::DataSpec& data = spec.data();
  if (!may_be_local && data.dataset() == "tensors" && !data.path().empty() && data.path()[0] != '/' &&
      !absl::StartsWith(data.path(), digest::kPrefix))
    problems.push_back({"data.path", absl::StrCat(quoted(data.path()),
                                                  " is neither the digest of an artifact nor an "
                                                  "absolute path of the workers")});
  return problems;
}

void fill_defaults(v1::JobSpec& spec) {
  fill_defaults(spec, [](const Field&) { return true; });
}

void fill_defaults(v1::JobSpec& spec, const std::function<bool(const Field&)>& wanted) {
  for (const Field& field : fields()) {
    if (field.fallback.empty() || is_set(look(spec, field.path)) || !wanted(field)) continue;
    if (!holds(spec, field.only) || !holds(spec, field.fallback_only)) continue;
    const FieldDescriptor* descriptor = nullptr;
    google::protobuf::Message* owner = owner_of(spec, field.path, &descriptor);
    for (absl::string_view text : absl::StrSplit(field.fallback, ", ")) set_from_text(owner, descriptor, text, true);
  }
  drop_empty(spec);
}

}  // namespace ds::spec
