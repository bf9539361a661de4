// The rules of a study: each key of the search against the job file's table, then the jobs at the search's corners.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/spec/nearest.h"
#include "proto/spec/reader.h"
#include "proto/spec/study_rules.h"
#include "proto/spec/study_spec.h"

namespace ds::spec {
namespace {

using google::protobuf::FieldDescriptor;
using Problems = std::vector<Problem>;

constexpr double kMostLevels = 1 << 30;
constexpr int kMostParentLevels = 1024;
constexpr int kMostKeys = 64;
constexpr const char* kWords[] = {"", "float", "log", "logit", "int", "log_int", "choice", "ordinal"};
constexpr const char* kMetrics[] = {"test_accuracy", "test_loss", "loss", "samples_per_second", "params", "flops"};
constexpr size_t kMeasured = 4;  // the first ones; what comes after is known before any trial
constexpr int kMostObjectives = 2;
constexpr size_t kLongestMetric = 63;

constexpr Field kStudyFields[] = {
    {.path = "budget.trials", .doc = "Trials in all.", .fallback = "40", .least = 1, .most = 100000},
    {.path = "budget.parallel", .doc = "Trials under way at once.", .fallback = "2", .least = 1, .most = 1024},
    {.path = "budget.max_epochs", .doc = "Epochs of a trial. Default: `train.epochs`.", .least = 1, .most = 1e6},
};

// One key of the search.
class SearchCheck {
 public:
  SearchCheck(const v1::StudySpec& study, const v1::SearchSpec& search, Problems* problems)
      : study_(study), search_(search), path_(absl::StrCat("search.", search.key())), problems_(problems) {}

  void run() {
    const Field* field = searchable(study_.job(), search_.key());
    if (field == nullptr) return unknown();
    if (field->fixed) return problem("", absl::StrCat("a study does not search it", instead_of(search_.key())));
    descriptor_ = look(study_.job(), search_.key()).descriptor;
    if (search_.kind() == v1::SearchSpec::KIND_UNSPECIFIED) {
      problem("", absl::StrCat("no kind; give one of ", absl::StrJoin(kind_words(), ", ")));
    } else if (has_bounds(search_.kind())) {
      bounds(*field);
    } else {
      choices(*field);
    }
    parent();
  }

 private:
  void problem(const std::string& below, std::string text) { problems_->push_back({path_ + below, std::move(text)}); }
  std::string below(int index) const { return absl::StrCat(".", word_of(search_.kind()), "[", index, "]"); }

  static const char* instead_of(absl::string_view key) {
    if (key == "train.epochs") return "; budget.max_epochs says how long a trial trains";
    return key == kParams || key == "model.args" ? "; name a parameter of the script, such as model.params.lr" : "";
  }

  void unknown() {
    std::vector<std::string> known;
    for (const Field& field : fields())
      if (!field.fixed && (!is_script(study_) || holds(study_.job(), field.only))) known.emplace_back(field.path);
    for (const v1::ScriptParam& param : study_.job().model().params())
      known.push_back(absl::StrCat(kParams, ".", param.name()));
    const std::string meant = nearest_path(search_.key(), known);
    if (absl::StartsWith(search_.key(), absl::StrCat(kParams, ".")))
      return problem("", absl::StrCat("the template has no such parameter; ",
                                      meant.empty() ? "give it a value there, which says its type"
                                                    : absl::StrCat("did you mean ", meant, "?")));
    problem("", meant.empty() ? absl::StrCat("no key of the job file; known: ", absl::StrJoin(known, ", "))
                              : absl::StrCat("no key of the job file; did you mean ", meant, "?"));
  }

  bool takes_numbers() {
    const auto type = descriptor_->cpp_type();
    const bool number = type != FieldDescriptor::CPPTYPE_STRING && type != FieldDescriptor::CPPTYPE_BOOL;
    if (!number) {
      problem("", absl::StrCat(word_of(search_.kind()), " is for numbers; use choice", in_template("")));
    } else if (type != FieldDescriptor::CPPTYPE_DOUBLE && !is_whole(search_.kind())) {
      problem("", absl::StrCat(word_of(search_.kind()), " gives fractions, and this is an integer; use int or log_int",
                               in_template(", or write it with a point")));
    } else {
      return true;
    }
    return false;
  }

  // Of a script's parameter: what says its type, and how to say another.
  std::string in_template(const char* else_write) const {
    if (find_field(search_.key()) != nullptr) return "";
    return absl::StrCat("; the template has ", show(look(study_.job(), search_.key())), else_write);
  }

  void bounds(const Field& field) {
    if (!takes_numbers()) return;
    const double low = search_.low(), high = search_.high();
    const std::string shown = absl::StrCat("[", show(low), ", ", show(high), "]");
    const auto kind = search_.kind();
    bool inside = true;
    for (const auto& [index, bound] : {std::pair(0, low), std::pair(1, high)}) {
      std::string text = std::isfinite(bound) ? outside(field, bound, show(bound)) : "is not finite";
      if (text.empty() && is_whole(kind) && bound != std::floor(bound))
        text = absl::StrCat(show(bound), " is no whole number; the nearest is ", show(std::round(bound)));
      if (text.empty()) continue;
      problem(below(index), std::move(text));
      inside = false;
    }
    if (!inside) return;
    if (low >= high)
      problem("", absl::StrCat("bounds are [low, high] with low below high, got ", shown));
    else if ((kind == v1::SearchSpec::LOG || kind == v1::SearchSpec::LOG_INT) && low <= 0)
      problem(below(0), absl::StrCat(word_of(kind), " needs a lower bound above 0, got ", show(low)));
    else if (kind == v1::SearchSpec::LOGIT && (low <= 0 || high >= 1))
      problem("", absl::StrCat("logit needs bounds within (0, 1), got ", shown));
    else if (is_whole(kind) && high - low >= kMostLevels)
      problem("", absl::StrCat(shown, " holds ", show(high - low + 1), " values; the most is ", show(kMostLevels)));
  }

  void choices(const Field& field) {
    const std::string list = absl::StrCat(".", word_of(search_.kind()));
    if (search_.choices().empty()) problem(list, "there are no choices");
    if (search_.choices_size() > static_cast<int>(kLongestList))
      problem(list, absl::StrCat(search_.choices_size(), " choices; the most is ", kLongestList));
    std::set<std::string> seen;
    for (int i = 0; i < search_.choices_size(); ++i) {
      const std::string& text = search_.choices(i);
      v1::JobSpec scratch = scratch_of(study_.job());
      if (const std::string expected = set_value(&scratch, search_.key(), text); !expected.empty())
        problem(below(i), absl::StrCat("expected ", expected, ", got ", quoted(text)));
      else if (const Problems wrong = check_value(field, look(scratch, search_.key())); !wrong.empty())
        problem(below(i), wrong.front().text);
      else if (field.automatic && text == show(kAutomatic))
        problem(below(i), "auto is planned at each start and not searched; give numbers");
      else if (!seen.insert(value_text(scratch, search_.key())).second)
        problem(below(i), absl::StrCat(text, " stands twice; keep one"));
    }
  }

  void parent() {
    if (search_.parent().empty()) {
      if (!search_.when().empty()) problem(".when", "values, but no key that has them");
      return;
    }
    const std::string at = absl::StrCat(".when.", search_.parent());
    const v1::SearchSpec* above = find_search(study_, search_.parent());
    if (above == nullptr) {
      std::vector<std::string> keys;
      for (const v1::SearchSpec& other : study_.search())
        if (other.key() != search_.key()) keys.push_back(other.key());
      const std::string meant = nearest_path(search_.parent(), keys);
      return problem(at, absl::StrCat("is no key of this search",
                                      meant.empty() ? "" : absl::StrCat("; did you mean ", meant, "?")));
    }
    const bool whole = is_whole(above->kind());
    if (has_bounds(above->kind()) && (!whole || above->high() - above->low() >= kMostParentLevels))
      return problem(at, absl::StrCat("must have at most ", kMostParentLevels, " values to choose from; it is a ",
                                      word_of(above->kind())));
    if (search_.when().empty()) problem(at, "no value is named");
    for (const std::string& value : search_.when()) parent_value(*above, at, value);
  }

  void parent_value(const v1::SearchSpec& above, const std::string& at, const std::string& value) {
    if (is_whole(above.kind())) {
      int64_t number = 0;
      if (absl::SimpleAtoi(value, &number) && static_cast<double>(number) >= above.low() &&
          static_cast<double>(number) <= above.high())
        return;
      return problem(at, absl::StrCat(value, " is not within its [", show(above.low()), ", ", show(above.high()), "]"));
    }
    const std::vector<std::string> allowed(above.choices().begin(), above.choices().end());
    if (std::count(allowed.begin(), allowed.end(), value) > 0) return;
    const std::string meant = nearest(value, allowed);
    problem(at, absl::StrCat(value, " is not one of its values ", absl::StrJoin(allowed, ", "),
                             meant.empty() ? "" : absl::StrCat("; did you mean ", meant, "?")));
  }

  const v1::StudySpec& study_;
  const v1::SearchSpec& search_;
  const std::string path_;
  const FieldDescriptor* descriptor_ = nullptr;
  Problems* const problems_;
};

void check_cycles(const v1::StudySpec& study, Problems* problems) {
  for (const v1::SearchSpec& search : study.search()) {
    const v1::SearchSpec* above = find_search(study, search.parent());
    for (int i = 0; i < study.search_size() && above != nullptr && above != &search; ++i)
      above = find_search(study, above->parent());
    if (above == &search)
      problems->push_back({absl::StrCat("search.", search.key(), ".when"), "its parents lead back to it"});
  }
}

Problems check_search(const v1::StudySpec& study) {
  Problems problems;
  if (study.search().empty()) problems.push_back({"search", "is missing; name at least one key and its values"});
  if (study.search_size() > kMostKeys)
    problems.push_back({"search", absl::StrCat(study.search_size(), " keys; the most is ", kMostKeys)});
  std::set<std::string> seen;
  for (const v1::SearchSpec& search : study.search()) {
    SearchCheck(study, search, &problems).run();
    if (!seen.insert(search.key()).second)
      problems.push_back({absl::StrCat("search.", search.key()), "stands twice; keep one"});
  }
  check_cycles(study, &problems);
  return problems;
}

// Why the size of the study's models is not known before they are trained; "": it is.
std::string size_unknown(const v1::StudySpec& study) {
  const v1::JobSpec& job = study.job();
  if (!job.model().graph().empty() || !job.model().script().empty())
    return "the size of a graph or a script is not known before it is trained; remove it";
  if (job.data().dataset() == "fashion_mnist" && !job.data().path().empty())
    return "the size of a model on the images in data.path is not known before; remove it";
  return "";
}

// As job.report() takes them of a script.
bool is_metric_name(absl::string_view name) {
  const auto allowed = [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("_-./", c); };
  return !name.empty() && name != "lr" && name.size() <= kLongestMetric && absl::ascii_isalpha(name[0]) &&
         std::all_of(name.begin(), name.end(), allowed);
}

// What is wrong with one objective, by itself and beside those before it; "": nothing.
std::string wrong_with(const v1::StudySpec& study, int index) {
  const v1::ObjectiveSpec& objective = study.objectives(index);
  const std::vector<std::string> metrics(std::begin(kMetrics), std::end(kMetrics));
  const bool own = is_script(study) && is_metric_name(objective.metric());
  if (!own && std::count(metrics.begin(), metrics.end(), objective.metric()) == 0) {
    const std::string meant = nearest(objective.metric(), metrics);
    return absl::StrCat(quoted(objective.metric()), " is not one of ", absl::StrJoin(metrics, ", "),
                        is_script(study) ? ", nor a name that a script may report: letters, digits, _, -, . and /" : "",
                        meant.empty() ? "" : absl::StrCat("; did you mean ", meant, "?"));
  }
  for (int i = 0; i < index; ++i)
    if (study.objectives(i).metric() == objective.metric())
      return absl::StrCat(objective.metric(), " stands twice; keep one");
  if (!is_known(objective)) return "";
  if (measured_objectives(study) == 0)
    return absl::StrCat(objective.metric(), " is known before any trial; give one that trials measure beside it: ",
                        absl::StrJoin(kMetrics, kMetrics + kMeasured, ", "));
  return size_unknown(study);
}

void check_objectives(const v1::StudySpec& study, Problems* problems) {
  const int count = study.objectives_size();
  if (count == 0)
    problems->push_back({"objective", "is missing; give one, such as {maximize: test_accuracy}, or a list of two"});
  if (count > kMostObjectives)
    problems->push_back({"objective", absl::StrCat(count, " objectives; the most is ", kMostObjectives)});
  for (int i = 0; i < count; ++i)
    if (std::string text = wrong_with(study, i); !text.empty())
      problems->push_back({objective_path(study.objectives(i), i, count), std::move(text)});
  if (measured_objectives(study) > 1 && study.early_stopping())
    problems->push_back(
        {"early_stopping",
         "a trial is compared with others by one measured objective, and two are; leave it out, or make "
         "one of them params or flops"});
}

void check_budget(const v1::StudySpec& study, Problems* problems) {
  const v1::TuneBudgetSpec& budget = study.budget();
  const double values[] = {static_cast<double>(budget.trials()), static_cast<double>(budget.parallel()),
                           static_cast<double>(budget.max_epochs())};
  if (is_script(study) && budget.has_max_epochs())
    problems->push_back({"budget.max_epochs", "a script's own parameters say how long it trains; remove it"});
  for (size_t i = 0; i < std::size(values) - (is_script(study) ? 1 : 0); ++i)
    if (std::string text = outside(kStudyFields[i], values[i], show(values[i])); !text.empty())
      problems->push_back({std::string(kStudyFields[i].path), std::move(text)});
}

void check_constraints(const v1::StudySpec& study, Problems* problems) {
  for (int i = 0; i < study.constraints_size(); ++i) {
    const v1::ConstraintSpec& c = study.constraints(i);
    const std::string path = absl::StrCat("constraints[", i, "]");
    if (c.quantity() == v1::ConstraintSpec::QUANTITY_UNSPECIFIED)
      problems->push_back({path, "no quantity; give params or flops"});
    else if (!(c.bound() > 0) || !std::isfinite(c.bound()))
      problems->push_back({path, absl::StrCat("a bound must be greater than 0, got ", show(c.bound()))});
    else if (std::string text = size_unknown(study); !text.empty())
      problems->push_back({path, std::move(text)});
  }
}

// Of a template whose search is wrong: what is said of it whatever the trials are.
Problems check_template(const v1::StudySpec& study) {
  Problems problems = check(job_with(study, {}));
  std::erase_if(problems, [&](const Problem& p) { return find_search(study, p.path) != nullptr; });
  return problems;
}

}  // namespace

const char* word_of(v1::SearchSpec::Kind kind) { return kWords[kind]; }

v1::SearchSpec::Kind kind_named(absl::string_view word) {
  for (size_t i = 1; i < std::size(kWords); ++i)
    if (word == kWords[i]) return static_cast<v1::SearchSpec::Kind>(i);
  return v1::SearchSpec::KIND_UNSPECIFIED;
}

std::vector<std::string> kind_words() { return {std::begin(kWords) + 1, std::end(kWords)}; }

bool has_bounds(v1::SearchSpec::Kind kind) {
  return kind != v1::SearchSpec::KIND_UNSPECIFIED && kind <= v1::SearchSpec::LOG_INT;
}

bool is_whole(v1::SearchSpec::Kind kind) { return kind == v1::SearchSpec::INT || kind == v1::SearchSpec::LOG_INT; }

std::span<const Field> study_fields() { return kStudyFields; }

bool is_known(const v1::ObjectiveSpec& objective) {
  return std::count(kMetrics + kMeasured, std::end(kMetrics), objective.metric()) > 0;
}

int measured_objectives(const v1::StudySpec& study) {
  return static_cast<int>(std::count_if(study.objectives().begin(), study.objectives().end(),
                                        [](const v1::ObjectiveSpec& o) { return !is_known(o); }));
}

std::string objective_path(const v1::ObjectiveSpec& objective, int index, int count) {
  const char* word = objective.maximize() ? "maximize" : "minimize";
  return count == 1 ? absl::StrCat("objective.", word) : absl::StrCat("objective[", index, "].", word);
}

const v1::SearchSpec* find_search(const v1::StudySpec& study, absl::string_view key) {
  for (const v1::SearchSpec& search : study.search())
    if (search.key() == key) return &search;
  return nullptr;
}

std::vector<Problem> check_study(const v1::StudySpec& study) {
  Problems problems = check_search(study);
  const bool sound = problems.empty();
  for (Problem& p : sound ? check_corners(study) : check_template(study)) problems.push_back(std::move(p));
  check_constraints(study, &problems);
  check_objectives(study, &problems);
  check_budget(study, &problems);
  return problems;
}

absl::Status validate(const v1::StudySpec& study) {
  std::vector<Problem> problems = check_study(study);
  if (study.name() != study.job().name())
    problems.push_back(
        {"name", absl::StrCat(quoted(study.name()), " is not its job's name ", quoted(study.job().name()))});
  for (Problem& p : check_artifacts(study.job(), false)) problems.push_back(std::move(p));
  return as_status(std::move(problems));
}

}  // namespace ds::spec
