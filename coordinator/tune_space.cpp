#include "coordinator/tune_space.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "proto/spec/study_spec.h"

namespace ds::coordinator {
namespace {

using autotune::Kind;
using autotune::Scale;

autotune::Parameter parameter_of(const v1::SearchSpec& search) {
  autotune::Parameter p{.name = search.key(), .low = search.low(), .high = search.high(), .parent = search.parent()};
  p.choices.assign(search.choices().begin(), search.choices().end());
  p.when.assign(search.when().begin(), search.when().end());
  switch (search.kind()) {
    case v1::SearchSpec::LOG:
      p.scale = Scale::log;
      break;
    case v1::SearchSpec::LOGIT:
      p.scale = Scale::logit;
      break;
    case v1::SearchSpec::LOG_INT:
      p.scale = Scale::log;
      [[fallthrough]];
    case v1::SearchSpec::INT:
      p.kind = Kind::integer;
      break;
    case v1::SearchSpec::CHOICE:
      p.kind = Kind::categorical;
      break;
    case v1::SearchSpec::ORDINAL:
      p.kind = Kind::ordinal;
      break;
    default:
      break;
  }
  return p;
}

bool within(const v1::ConstraintSpec& constraint, const spec::ModelSize& size) {
  const double amount = constraint.quantity() == v1::ConstraintSpec::FLOPS ? size.flops : size.params;
  return constraint.at_least() ? amount >= constraint.bound() : amount <= constraint.bound();
}

bool fits(const v1::StudySpec& study, const std::map<std::string, std::string>& params) {
  const absl::StatusOr<v1::JobSpec> job = spec::trial_job(study, 0, params);
  if (!job.ok()) return false;
  if (study.constraints().empty()) return true;
  const std::optional<spec::ModelSize> size = spec::model_size(*job);
  if (!size) return false;
  return std::all_of(study.constraints().begin(), study.constraints().end(),
                     [&](const v1::ConstraintSpec& c) { return within(c, *size); });
}

}  // namespace

absl::StatusOr<autotune::Space> make_space(const v1::StudySpec& spec) {
  std::vector<autotune::Parameter> parameters;
  for (const v1::SearchSpec& search : spec.search()) parameters.push_back(parameter_of(search));
  auto study = std::make_shared<const v1::StudySpec>(spec);
  autotune::Constraint valid{"a valid job within the constraints",
                             [study](const autotune::Space& space, const autotune::Point& point) {
                               return fits(*study, params_of(space, point));
                             }};
  return autotune::Space::create(std::move(parameters), {std::move(valid)});
}

std::vector<autotune::Objective> objectives_of(const v1::StudySpec& spec) {
  auto study = std::make_shared<const v1::StudySpec>(spec);
  std::vector<autotune::Objective> out;
  for (const v1::ObjectiveSpec& o : spec.objectives()) {
    out.push_back({.maximize = o.maximize()});
    if (!spec::is_known(o)) continue;
    out.back().known = [study, flops = o.metric() == "flops"](const autotune::Space& space,
                                                              const autotune::Point& point) {
      const absl::StatusOr<v1::JobSpec> job = spec::trial_job(*study, 0, params_of(space, point));
      const std::optional<spec::ModelSize> size = job.ok() ? spec::model_size(*job) : std::nullopt;
      return !size ? 0.0 : flops ? size->flops : size->params;  // no job, no trial: the space does not have the point
    };
  }
  return out;
}

std::map<std::string, std::string> params_of(const autotune::Space& space, const autotune::Point& point) {
  std::map<std::string, std::string> params;
  for (int i = 0; i < space.size(); ++i) {
    const double coordinate = point[static_cast<size_t>(i)];
    if (coordinate != autotune::kInactive) params[space.parameter(i).name] = space.label(i, coordinate);
  }
  return params;
}

}  // namespace ds::coordinator
