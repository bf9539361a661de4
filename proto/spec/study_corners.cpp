// Whether every combination of a search gives a job that may be submitted, as far as its corners tell.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "proto/spec/study_rules.h"
#include "proto/spec/study_spec.h"

namespace ds::spec {
namespace {

using Keys = std::set<std::string>;

constexpr int64_t kAllValues = 16;       // of an int with fewer values, each is a corner
constexpr int kMostCombinations = 2048;  // of the keys that a rule joins

// Keys that some rule of check.cpp looks at together.
const std::vector<Keys>& joined_keys() {
  static const auto* const keys = new std::vector<Keys>{
      {"train.batch_size", "strategy.data_parallel", "train.virtual_shards", "train.deterministic"},
      {"model.family", "model.width", "model.heads"},
      {"model.family", "model.channels", "model.depth"},
      {"model.family", "model.hidden", "model.depth"},  // this and the next: the model's size
      {"model.family", "model.width", "model.layers", "model.context", "model.vocab"},
      {"train.optimizer.lr", "train.schedule.name", "train.schedule.min_lr"}};
  return *keys;
}

std::vector<std::string> corners_of(const v1::SearchSpec& search) {
  if (!has_bounds(search.kind())) return {search.choices().begin(), search.choices().end()};
  if (!is_whole(search.kind())) return {show(search.low()), show(search.high())};
  const auto low = static_cast<int64_t>(search.low()), high = static_cast<int64_t>(search.high());
  std::set<int64_t> values{low, low + 1, high - 1, high};
  for (int64_t v = low; v <= high && high - low < kAllValues; ++v) values.insert(v);
  std::vector<std::string> out;
  for (const int64_t v : values) out.push_back(absl::StrCat(v));
  return out;
}

bool active(const v1::SearchSpec& search, const Values& values) {
  if (search.parent().empty()) return true;
  const auto parent = values.find(search.parent());
  return parent != values.end() && std::count(search.when().begin(), search.when().end(), parent->second) > 0;
}

class Corners {
 public:
  explicit Corners(const v1::StudySpec& study) : study_(study) {
    while (order_.size() < static_cast<size_t>(study.search_size())) {  // parents first; there are no cycles
      for (const v1::SearchSpec& search : study.search())
        if (!placed(search.key()) && (search.parent().empty() || placed(search.parent()))) order_.push_back(&search);
    }
  }

  std::vector<Problem> run() {
    std::set<Keys> groups;
    for (const v1::SearchSpec& search : study_.search()) groups.insert(closed({search.key()}));
    for (const Keys& keys : joined_keys()) groups.insert(closed(keys));
    for (const Keys& group : groups) {
      left_ = kMostCombinations;
      group_ = group;
      Values values;
      visit(0, values);
    }
    std::vector<Problem> problems = reported();
    for (int i = 0; i < study_.constraints_size(); ++i)
      if (std::string text = never_met(i); !text.empty())
        problems.push_back({absl::StrCat("constraints[", i, "]"), std::move(text)});
    return problems;
  }

 private:
  struct Found {
    Problem problem;
    Keys group;
    Values values;
    int times = 0;
  };

  bool placed(const std::string& key) const {
    return std::any_of(order_.begin(), order_.end(), [&](const v1::SearchSpec* s) { return s->key() == key; });
  }

  // With the keys of the search that say whether one of these is active, or whether its field has a meaning.
  Keys closed(const Keys& keys) const {
    Keys out;
    std::vector<std::string> open(keys.begin(), keys.end());
    while (!open.empty()) {
      const std::string key = open.back();
      open.pop_back();
      const v1::SearchSpec* search = find_search(study_, key);
      if (search == nullptr || !out.insert(key).second) continue;
      const Field* field = searchable(study_.job(), key);
      for (const absl::string_view above : {absl::string_view(search->parent()), field->only.path})
        if (!above.empty()) open.emplace_back(above);
    }
    return out;
  }

  // All combinations of the group; every other key has its first value.
  void visit(size_t at, Values& values) {
    if (left_ <= 0) return;
    if (at == order_.size()) {
      --left_;
      return judge(values);
    }
    const v1::SearchSpec& search = *order_[at];
    if (!active(search, values)) return visit(at + 1, values);
    const std::vector<std::string> corners = corners_of(search);
    for (const std::string& corner : corners) {
      values[search.key()] = corner;
      visit(at + 1, values);
      if (group_.count(search.key()) == 0) break;
    }
    values.erase(search.key());
  }

  void judge(const Values& values) {
    ++combinations_;
    const v1::JobSpec job = job_with(study_, values);
    if (const auto size = model_size(job)) sizes_.push_back(*size);
    for (Problem& p : check(job)) {
      if (values.count(p.path) > 0) p.text = with_when(job, p);
      const auto same = [&](const Found& f) { return f.problem.path == p.path && f.problem.text == p.text; };
      auto found = std::find_if(found_.begin(), found_.end(), same);
      if (found == found_.end()) found = found_.insert(found_.end(), Found{p, group_, values});
      if (!concerns(found->group, p.path)) found->group = group_, found->values = values;
      ++found->times;
    }
  }

  // A searched key beside a value of another that gives it no meaning: it should say when it is active.
  std::string with_when(const v1::JobSpec& job, const Problem& p) const {
    const Condition& only = searchable(job, p.path)->only;
    const bool searched = only.kind == Condition::kIs && find_search(study_, only.path) != nullptr;
    if (!searched || holds(job, only)) return p.text;
    const bool several = only.value.find('|') != only.value.npos;
    const std::string value = absl::StrReplaceAll(only.value, {{"|", ", "}});
    return absl::StrCat("is used only where ", describe(only), "; add when: {", only.path, ": ",
                        several ? absl::StrCat("[", value, "]") : value, "}");
  }

  // Whether a rule that looks at `path` looks at a key of the group.
  static bool concerns(const Keys& group, const std::string& path) {
    const auto in_group = [&](const std::string& key) { return group.count(key) > 0; };
    if (in_group(path)) return true;
    return std::any_of(joined_keys().begin(), joined_keys().end(), [&](const Keys& keys) {
      return keys.count(path) > 0 && std::any_of(keys.begin(), keys.end(), in_group);
    });
  }

  // Once a field, told by the keys that matter. What is wrong in every combination is the template's, unless the search
  // has the key.
  std::vector<Problem> reported() {
    std::stable_partition(found_.begin(), found_.end(),
                          [](const Found& f) { return concerns(f.group, f.problem.path); });
    std::vector<Problem> out;
    Keys seen;
    for (const Found& f : found_) {
      if (!seen.insert(f.problem.path).second) continue;
      const bool searched = find_search(study_, f.problem.path) != nullptr, always = f.times == combinations_;
      if (!searched && (always || f.group.empty())) {
        out.push_back(f.problem);
      } else {
        out.push_back({absl::StrCat("search.", searched ? f.problem.path : *f.group.begin()),
                       always ? f.problem.text : said_of(f, searched)});
      }
    }
    return out;
  }

  // A size rises with each of its keys, so the smallest and the largest models are among the corners.
  std::string never_met(int index) const {
    const v1::ConstraintSpec& c = study_.constraints(index);
    const bool params = c.quantity() == v1::ConstraintSpec::PARAMS;
    std::vector<double> sizes;
    for (const ModelSize& size : sizes_) sizes.push_back(params ? size.params : size.flops);
    if (sizes.empty()) return "";
    const double nearest =
        c.at_least() ? *std::max_element(sizes.begin(), sizes.end()) : *std::min_element(sizes.begin(), sizes.end());
    if (c.at_least() ? nearest >= c.bound() : nearest <= c.bound()) return "";
    return absl::StrFormat("no model of the search has %s %s %.17g; the %s has %.17g", params ? "params" : "flops",
                           c.at_least() ? ">=" : "<=", c.bound(), c.at_least() ? "largest" : "smallest", nearest);
  }

  static std::string said_of(const Found& f, bool searched) {
    std::vector<std::string> with;
    for (const std::string& key : f.group)
      if (const auto value = f.values.find(key); value != f.values.end())
        with.push_back(absl::StrCat(key, " ", value->second));
    return absl::StrCat("with ", absl::StrJoin(with, " and "), ": ", searched ? "" : absl::StrCat(f.problem.path, ": "),
                        f.problem.text);
  }

  const v1::StudySpec& study_;
  std::vector<const v1::SearchSpec*> order_;
  Keys group_;
  int left_ = 0, combinations_ = 0;
  std::vector<Found> found_;
  std::vector<ModelSize> sizes_;
};

}  // namespace

std::vector<Problem> check_corners(const v1::StudySpec& study) { return Corners(study).run(); }

}  // namespace ds::spec
