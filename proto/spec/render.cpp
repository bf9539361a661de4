// Specs as JSON, and the table of fields as a page.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "proto/spec/fields.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/study_rules.h"
#include "proto/spec/study_spec.h"

namespace ds::spec {
namespace {

using google::protobuf::FieldDescriptor;
using Json = nlohmann::ordered_json;

Json scalar(const Slot& slot, int index) {
  const auto* r = slot.owner->GetReflection();
  if (slot.descriptor->cpp_type() == FieldDescriptor::CPPTYPE_STRING)
    return slot.descriptor->is_repeated() ? r->GetRepeatedString(*slot.owner, slot.descriptor, index)
                                          : r->GetString(*slot.owner, slot.descriptor);
  return Json::parse(show(slot, index), nullptr, false);
}

// 3 and 0.1, as show() writes them.
Json number_of(double value) { return Json::parse(show(value), nullptr, false); }

// Numbers stay numbers when they are read again: 1.0 is not 1.
Json value_of(const v1::ScriptParam& param) {
  switch (param.value_case()) {
    case v1::ScriptParam::kInteger:
      return param.integer();
    case v1::ScriptParam::kNumber:
      return param.number();
    case v1::ScriptParam::kFlag:
      return param.flag();
    default:
      return param.text();
  }
}

Json params_of(const v1::ModelSpec& model) {
  Json params = Json::object();
  for (const v1::ScriptParam& param : model.params()) params[param.name()] = value_of(param);
  return params;
}

Json value_of(const Field& field, const Slot& slot) {
  if (field.automatic && slot.owner->GetReflection()->GetInt32(*slot.owner, slot.descriptor) == kAutomatic)
    return std::string(kAutoWord);
  if (slot.owner->GetDescriptor() == v1::ScriptParam::descriptor())
    return value_of(*static_cast<const v1::ScriptParam*>(slot.owner));
  if (!slot.descriptor->is_repeated()) return scalar(slot, 0);
  if (slot.descriptor->message_type() != nullptr) return params_of(*static_cast<const v1::ModelSpec*>(slot.owner));
  Json list = Json::array();
  for (int i = 0; i < slot.owner->GetReflection()->FieldSize(*slot.owner, slot.descriptor); ++i)
    list.push_back(scalar(slot, i));
  return list;
}

std::string type_name(const FieldDescriptor* d) {
  static const char* const kNames[] = {"",       "integer",       "integer", "integer >= 0", "integer >= 0", "number",
                                       "number", "true or false", "",        "text"};
  if (d->message_type() != nullptr) return "names and values";
  const std::string name = kNames[d->cpp_type()];
  return d->is_repeated() ? absl::StrCat("list of ", name, "s") : name;
}

std::string range_of(const Field& field) {
  if (!field.choices.empty()) return absl::StrCat("`", absl::StrReplaceAll(field.choices, {{"|", "`, `"}}), "`");
  std::string out;
  if (field.least > -1e300) out = absl::StrCat(field.above_least ? "> " : ">= ", show(field.least));
  if (field.most < 1e300)
    absl::StrAppend(&out, out.empty() ? "" : ", ", field.below_most ? "< " : "<= ", show(field.most));
  return out;
}

std::string default_of(const Field& field, bool list) {
  if (field.need == Need::kRequired)
    return field.need_only.path.empty() ? "required" : absl::StrCat("required where ", describe(field.need_only, "`"));
  if (field.fallback.empty()) return "";
  const std::string text = list ? absl::StrCat("`[", field.fallback, "]`") : absl::StrCat("`", field.fallback, "`");
  return field.fallback_only.path.empty() ? text : absl::StrCat(text, " (", field.fallback_only.value, ")");
}

constexpr char kHead[] = R"(# The job file

YAML, or JSON. Made from the table in `proto/spec/fields.cpp` by `dsctl job schema`; a test compares the two.

```yaml
name: fashion-mnist
model: {family: mlp, hidden: [512, 256]}
data: {dataset: fashion_mnist}
train: {epochs: 5, batch_size: 128, seed: 7, optimizer: {name: adamw, lr: 0.001}}
strategy: {data_parallel: 2}
checkpoint: {every_steps: 200, keep: 2}
```

A model is a built-in family, a traced graph, or a script:

```yaml
model: {graph: model.safetensors}                   # written by the Python package; trained without Python
data: {dataset: tensors, path: data.safetensors}
```
```yaml
model: {script: train.py, args: [--epochs, 3], params: {lr: 0.001, width: 128}}   # free-form Python, one process a rank
strategy: {data_parallel: 2}
```

A key that is not below is refused, with the nearest one named. All that is wrong with a file is said at once.

| key | type | allowed | default | only where | meaning |
|---|---|---|---|---|---|
)";

constexpr char kTail[] = R"(
## Rules that join keys
- `train.batch_size` is the batch of all ranks together: a multiple of `strategy.data_parallel`; with
  `auto` only numbers that divide it are considered.
- With `train.deterministic`, `train.virtual_shards` is a power of two, a multiple of `strategy.data_parallel` and a
  divisor of `train.batch_size`. The batch is summed over the shards in a fixed tree, so that every number of ranks
  gives the same bits. Runs with different `virtual_shards` may differ in rounding.
- Exactly one of `model.family`, `model.graph` and `model.script` is given. `model.graph`, `model.script` and the
  `data.path` of `tensors` or of a script are files beside the job file, which dsctl uploads, or the digests
  (`sha256:...`) of artifacts that were uploaded before. The coordinator takes digests only.
- A script trains as it likes: of `train`, it is given `threads` alone. What it wants to be told goes into
  `model.params`, or into `model.args`. A parameter's type is that of its value in the file: `1` is an integer and takes no
  fraction, `1.0` a number, `"1"` a text; `0x10` is 16, and `.inf` and `.nan`, no finite numbers, are refused. Its name is
  letters, digits, `-` and `_`, beginning with a letter.
- `mlp` and `cnn` train on `fashion_mnist`, `gpt` on `tokens`; `tokens` and `tensors` need `data.path`.
- Where `data.path` is not given, `train.batch_size` is at most the 60,000 training samples of `fashion_mnist`, and
  `model.channels` has at most 4 entries: each halves the 28x28 images. It is never above `data.limit`.
- `model.depth` says how many layers there are whatever the list says: of `[256, 128]`, 1 makes 256, and 4 makes 256, 128,
  128, 128. Each convolution halves the images, so a cnn's depth is at most 4 too.
- `model.width` is a multiple of `model.heads`; `train.schedule.min_lr` is at most `train.optimizer.lr`.
)";

Json document_of(const v1::JobSpec& spec) {
  Json document = Json::object();
  for (const Field& field : fields()) {
    const Slot slot = look(spec, field.path);
    if (!is_set(slot)) continue;
    Json* at = &document;
    for (absl::string_view part : absl::StrSplit(field.path, '.')) at = &(*at)[std::string(part)];
    *at = value_of(field, slot);
  }
  return document;
}

// A value of a searched key, as value_text() wrote it.
Json choice_of(const v1::StudySpec& study, absl::string_view key, const std::string& text) {
  const Field* field = searchable(study.job(), key);
  v1::JobSpec scratch = scratch_of(study.job());
  if (field == nullptr || !set_value(&scratch, key, text).empty()) return text;
  return value_of(*field, look(scratch, key));
}

Json document_of(const v1::StudySpec& study, const v1::SearchSpec& search) {
  Json values = Json::array();
  if (has_bounds(search.kind())) values = {number_of(search.low()), number_of(search.high())};
  for (const std::string& choice : search.choices()) values.push_back(choice_of(study, search.key(), choice));
  Json document = {{word_of(search.kind()), values}};
  if (search.parent().empty()) return document;
  const v1::SearchSpec* parent = find_search(study, search.parent());
  const bool whole = parent != nullptr && has_bounds(parent->kind());
  Json when = Json::array();
  for (const std::string& value : search.when())
    when.push_back(whole ? Json::parse(value, nullptr, false) : choice_of(study, search.parent(), value));
  document["when"] = {{search.parent(), when}};
  return document;
}

}  // namespace

std::string to_json(const v1::JobSpec& spec, int indent) {
  return document_of(spec).dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string to_json(const v1::StudySpec& study, int indent) {
  Json document = document_of(study.job());
  for (const v1::SearchSpec& search : study.search()) document["search"][search.key()] = document_of(study, search);
  for (const v1::ConstraintSpec& c : study.constraints())
    document["constraints"].push_back(absl::StrCat(c.quantity() == v1::ConstraintSpec::FLOPS ? "flops" : "params",
                                                   c.at_least() ? " >= " : " <= ", show(c.bound())));
  for (const v1::ObjectiveSpec& o : study.objectives())
    document["objective"].push_back({{o.maximize() ? "maximize" : "minimize", o.metric()}});
  if (study.objectives_size() == 1) document["objective"] = Json(document["objective"][0]);
  document["budget"] = {{"trials", study.budget().trials()}, {"parallel", study.budget().parallel()}};
  if (study.budget().has_max_epochs()) document["budget"]["max_epochs"] = study.budget().max_epochs();
  document["seed"] = study.seed();
  document["early_stopping"] = study.early_stopping();
  document["retrain"] = study.retrain();
  return document.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string value_json(const v1::StudySpec& study, std::string_view key, const std::string& text) {
  return choice_of(study, {key.data(), key.size()}, text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string schema_json() {
  Json rows = Json::array();
  for (const Field& field : fields()) {
    const FieldDescriptor* descriptor = look(v1::JobSpec(), field.path).descriptor;
    const std::string only = field.only.path.empty() ? "" : describe(field.only, "`");
    rows.push_back({{"key", std::string(field.path)},
                    {"type", absl::StrCat(type_name(descriptor), field.automatic ? " or `auto`" : "")},
                    {"allowed", range_of(field)},
                    {"default", default_of(field, descriptor->is_repeated())},
                    {"only_where", only},
                    {"meaning", std::string(field.doc)}});
  }
  return rows.dump(2);
}

std::string schema_markdown() {
  std::string page = kHead;
  for (const Json& row : Json::parse(schema_json())) {
    absl::StrAppend(&page, "| `", row["key"].get<std::string>(), "`");
    for (const char* cell : {"type", "allowed", "default", "only_where", "meaning"})
      absl::StrAppend(&page, " | ", row[cell].get<std::string>());
    absl::StrAppend(&page, " |\n");
  }
  return page + kTail;
}

}  // namespace ds::spec
