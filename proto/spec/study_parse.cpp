// A study file to StudySpec: the job's keys are read as in a job file, and the study's own beside them.
#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/nearest.h"
#include "proto/spec/reader.h"
#include "proto/spec/study_rules.h"
#include "proto/spec/study_spec.h"

namespace ds::spec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor* field_of(const Message& message, const char* name) {
  return message.GetDescriptor()->FindFieldByName(name);
}

std::vector<std::string> known_paths() {
  std::vector<std::string> known = paths_of(v1::JobSpec::descriptor());
  for (const char* key : {"search", "objective", "objective.maximize", "objective.minimize", "constraints", "seed",
                          "early_stopping", "retrain", "budget"})
    known.emplace_back(key);
  for (const Field& field : study_fields()) known.emplace_back(field.path);
  return known;
}

class StudyReader {
 public:
  explicit StudyReader(v1::StudySpec* study)
      : study_(study),
        reader_(known_paths(),
                {{"search", [this](const YAML::Node& node) { search_ = node; }},
                 {"objective", [this](const YAML::Node& node) { objective(node); }},
                 {"constraints", [this](const YAML::Node& node) { constraints(node); }},
                 {"budget", [this](const YAML::Node& n) { reader_.read_map(n, study_->mutable_budget(), "budget"); }},
                 {"seed", [this](const YAML::Node& node) { own("seed", node); }},
                 {"early_stopping", [this](const YAML::Node& node) { own("early_stopping", node); }},
                 {"retrain", [this](const YAML::Node& node) { own("retrain", node); }}}) {}

  std::vector<Problem> read(const YAML::Node& root, std::string_view name) {
    reader_.read_map(root, study_->mutable_job(), "");
    if (search_) search(*search_);
    for (const auto& [index, node] : when_) when(study_->mutable_search(index), node);
    if (!name.empty()) study_->mutable_job()->set_name(std::string(name));
    epochs(root);
    fill_defaults(*study_);
    return reader_.with_rules(check_study(*study_));
  }

 private:
  void own(const char* key, const YAML::Node& node) { reader_.read_field(node, study_, field_of(*study_, key), key); }

  void search(const YAML::Node& node) {
    if (!node.IsMap())
      return reader_.problem(
          "search", node,
          absl::StrCat("expected a mapping of keys of the job file, such as {train.optimizer.lr: {log: "
                       "[1e-5, 0.1]}}; got ",
                       describe(node)));
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar())
        return reader_.problem("search", entry.first,
                               absl::StrCat("a key must be a word, got ", describe(entry.first)));
      const std::string path = absl::StrCat("search.", printable(entry.first.Scalar()));
      reader_.note(path, entry.first);
      if (!seen.insert(path).second) {
        reader_.problem(path, entry.first, "stands twice; keep one");
      } else {
        parameter(path, entry.first.Scalar(), entry.second);
      }
    }
  }

  void parameter(const std::string& path, const std::string& key, const YAML::Node& node) {
    if (!node.IsMap())
      return reader_.problem(path, node,
                             absl::StrCat("expected a kind and its values, such as {log: [1e-5, 0.1]} or ",
                                          "{choice: [...]}; got ", describe(node)));
    v1::SearchSpec* search = study_->add_search();
    search->set_key(key);
    for (const auto& entry : node) {
      const std::string word = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const std::string below = absl::StrCat(path, ".", printable(word));
      const v1::SearchSpec::Kind kind = kind_named(word);
      reader_.note(below, entry.first);
      if (word == "when") {
        when_.emplace_back(study_->search_size() - 1, entry.second);
      } else if (kind == v1::SearchSpec::KIND_UNSPECIFIED) {
        const std::string meant = nearest(word, kind_words());
        reader_.problem(
            below, entry.first,
            absl::StrCat("is no kind; ", meant.empty() ? absl::StrCat("there are ", absl::StrJoin(kind_words(), ", "))
                                                       : absl::StrCat("did you mean ", meant, "?")));
      } else if (search->kind() != v1::SearchSpec::KIND_UNSPECIFIED) {
        reader_.problem(below, entry.first,
                        absl::StrCat("a second kind, beside ", word_of(search->kind()), "; keep one"));
      } else {
        search->set_kind(kind);
        has_bounds(kind) ? bounds(search, below, entry.second) : choices(search, below, entry.second);
      }
    }
  }

  void bounds(v1::SearchSpec* search, const std::string& path, const YAML::Node& node) {
    if (!node.IsSequence() || node.size() != 2)
      return reader_.problem(
          path, node,
          absl::StrCat("expected bounds [low, high], got ",
                       node.IsSequence() ? absl::StrCat("a list of ", node.size()) : describe(node)));
    reader_.read_scalar(node[0], search, field_of(*search, "low"), path + "[0]");
    reader_.read_scalar(node[1], search, field_of(*search, "high"), path + "[1]");
  }

  void choices(v1::SearchSpec* search, const std::string& path, const YAML::Node& node) {
    if (!node.IsSequence())
      return reader_.problem(path, node, absl::StrCat("expected a list of values, got ", describe(node)));
    for (size_t i = 0; i < node.size(); ++i) {
      if (std::string text; value(search->key(), absl::StrCat(path, "[", i, "]"), node[i], &text))
        search->add_choices(std::move(text));
    }
  }

  // A value of a key of the job file, as it would stand there. False: it is none, and that has been said.
  bool value(const std::string& key, const std::string& path, const YAML::Node& node, std::string* text) {
    const Field* field = searchable(study_->job(), key);
    if (field == nullptr || field->fixed) return false;  // the rules will say so
    const size_t before = reader_.problems();
    v1::JobSpec scratch = scratch_of(study_->job());
    const FieldDescriptor* descriptor = nullptr;
    Message* owner = owner_of(scratch, key, &descriptor);
    if (node.IsScalar()) {
      reader_.read_scalar(node, owner, descriptor, path);
    } else {
      reader_.read_field(node, owner, descriptor, path);
    }
    *text = value_text(scratch, key);
    return reader_.problems() == before;
  }

  void when(v1::SearchSpec* search, const YAML::Node& node) {
    const std::string path = absl::StrCat("search.", search->key(), ".when");
    if (!node.IsMap() || node.size() != 1 || !node.begin()->first.IsScalar())
      return reader_.problem(path, node,
                             "expected one key of the search and its value or values, such as "
                             "{train.optimizer.name: sgd}");
    const std::string parent = node.begin()->first.Scalar();
    const YAML::Node values = node.begin()->second;
    search->set_parent(parent);
    const v1::SearchSpec* above = find_search(*study_, parent);
    const auto add = [&](const YAML::Node& one) {
      std::string text = one.IsScalar() ? one.Scalar() : "";
      const bool whole = above != nullptr && has_bounds(above->kind());
      if (above == nullptr || whole || value(parent, absl::StrCat(path, ".", parent), one, &text))
        search->add_when(std::move(text));
    };
    if (!values.IsSequence()) return add(values);
    for (const YAML::Node& one : values) add(one);
  }

  // A mapping, or a list of them.
  void objective(const YAML::Node& node) {
    if (!node.IsSequence()) return one_objective("objective", node);
    for (size_t i = 0; i < node.size(); ++i)
      one_objective(node.size() == 1 ? "objective" : absl::StrCat("objective[", i, "]"), node[i]);
  }

  void one_objective(const std::string& above, const YAML::Node& node) {
    constexpr char kOne[] = "expected one metric to maximize or minimize, such as {maximize: test_accuracy}";
    constexpr char kTwo[] = "two objectives are a list, such as [{maximize: test_accuracy}, {minimize: params}]";
    if (!node.IsMap() || node.size() == 0)
      return reader_.problem(above, node, absl::StrCat(kOne, "; got ", describe(node)));
    if (node.size() > 1) return reader_.problem(above, node, kTwo);
    const YAML::Node key = node.begin()->first, metric = node.begin()->second;
    const std::string word = key.IsScalar() ? key.Scalar() : "", path = absl::StrCat(above, ".", printable(word));
    reader_.note(path, key);
    if (word != "maximize" && word != "minimize") {
      const std::string meant = nearest(word, {"maximize", "minimize"});
      return reader_.problem(path, key,
                             meant.empty() ? kOne : absl::StrCat("unknown key; did you mean ", above, ".", meant, "?"));
    }
    if (metric.IsSequence()) return reader_.problem(path, metric, kTwo);
    v1::ObjectiveSpec* objective = study_->add_objectives();
    objective->set_maximize(word == "maximize");
    reader_.read_scalar(metric, objective, field_of(*objective, "metric"), path);
  }

  void constraints(const YAML::Node& node) {
    if (!node.IsSequence())
      return reader_.problem("constraints", node,
                             absl::StrCat("expected a list such as [\"params <= 600000\"], got ", describe(node)));
    for (size_t i = 0; i < node.size(); ++i) constraint(absl::StrCat("constraints[", i, "]"), node[i]);
  }

  void constraint(const std::string& path, const YAML::Node& node) {
    reader_.note(path, node);
    const std::string text = node.IsScalar() ? node.Scalar() : "";
    const bool at_least = text.find(">=") != text.npos;
    const std::vector<std::string> sides = absl::StrSplit(text, at_least ? ">=" : "<=");
    double bound = 0;
    if (sides.size() != 2 || !absl::SimpleAtod(sides[1], &bound))
      return reader_.problem(
          path, node,
          absl::StrCat("expected params or flops, <= or >=, and a number, such as params <= 600000; got ",
                       describe(node)));
    v1::ConstraintSpec* constraint = study_->add_constraints();
    const std::string word(absl::StripAsciiWhitespace(sides[0]));
    if (word != "params" && word != "flops") {
      const std::string meant = nearest(word, {"params", "flops"});
      reader_.problem(path, node,
                      absl::StrCat(quoted(word), " is not one of params, flops",
                                   meant.empty() ? "" : absl::StrCat("; did you mean ", meant, "?")));
    }
    constraint->set_quantity(word == "flops" ? v1::ConstraintSpec::FLOPS : v1::ConstraintSpec::PARAMS);
    constraint->set_at_least(at_least);
    constraint->set_bound(bound);
  }

  // The template may say how long its job trains, and the budget how long a trial does: not two different things.
  void epochs(const YAML::Node& root) {
    const v1::TrainSpec& train = study_->job().train();
    const v1::TuneBudgetSpec& budget = study_->budget();
    if (!train.has_epochs() || !budget.has_max_epochs() || train.epochs() == budget.max_epochs()) return;
    reader_.problem(
        "train.epochs", root["train"]["epochs"],
        absl::StrCat(train.epochs(), " stands beside budget.max_epochs ", budget.max_epochs(), "; keep one"));
  }

  v1::StudySpec* const study_;
  Reader reader_;
  std::optional<YAML::Node> search_;  // read when all of the template is known: a script's parameters have its types
  std::vector<std::pair<int, YAML::Node>> when_;  // by index in the search: a parent may stand below its child
};

}  // namespace

absl::StatusOr<v1::StudySpec> parse_study(std::string_view text, std::string_view name) {
  v1::StudySpec study;
  const auto read = [&](const YAML::Node& root) { return StudyReader(&study).read(root, name); };
  if (absl::Status status = read_document(text, "study file", read); !status.ok()) return status;
  return study;
}

}  // namespace ds::spec
