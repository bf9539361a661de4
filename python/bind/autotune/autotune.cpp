// deepseek._autotune: spaces and studies. Values pass as coordinates; deepseek/autotune.py makes them names and
// choices.
#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "scheduler/autotune/study.h"

namespace nb = nanobind;

namespace ds::py {
namespace {

using namespace autotune;

template <typename T>
T value_or_throw(absl::StatusOr<T> got) {
  if (!got.ok()) throw nb::value_error(std::string(got.status().message()).c_str());
  return *std::move(got);
}

void apply(Study& study, const Event& event) {
  if (absl::Status s = study.apply(event); !s.ok()) throw nb::value_error(std::string(s.message()).c_str());
}

Kind kind_named(const std::string& name) {
  return name == "real"      ? Kind::real
         : name == "integer" ? Kind::integer
         : name == "ordinal" ? Kind::ordinal
                             : Kind::categorical;
}

Scale scale_named(const std::string& name) {
  return name == "log" ? Scale::log : name == "logit" ? Scale::logit : Scale::linear;
}

// (name, kind, scale, low, high, choices, parent, when)
Parameter parameter_of(nb::tuple t) {
  return {.name = nb::cast<std::string>(t[0]),
          .kind = kind_named(nb::cast<std::string>(t[1])),
          .scale = scale_named(nb::cast<std::string>(t[2])),
          .low = nb::cast<double>(t[3]),
          .high = nb::cast<double>(t[4]),
          .choices = nb::cast<std::vector<std::string>>(t[5]),
          .parent = nb::cast<std::string>(t[6]),
          .when = nb::cast<std::vector<std::string>>(t[7])};
}

// (maximize, function of a point that knows it or None)
Objective objective_of(nb::tuple t) {
  Objective out{.maximize = nb::cast<bool>(t[0])};
  if (nb::object known = t[1]; !known.is_none())
    out.known = [known](const Space&, const Point& point) { return nb::cast<double>(known(point)); };
  return out;
}

// What an ablation switches; an error names what there is not.
void set_options(nb::dict options, StudyOptions& out) {
  nb::dict left;
  left.update(options);
  const auto set = [&](const char* name, auto& field) {
    if (left.contains(name)) field = nb::cast<std::remove_reference_t<decltype(field)>>(left.attr("pop")(name));
  };
  set("startup", out.startup), set("replicates", out.replicates), set("stopping", out.stopping);
  set("least_steps", out.least_steps), set("policy_rounds", out.propose.policy_rounds);
  set("spread", out.propose.spread), set("mutants", out.propose.mutants), set("rollouts", out.propose.rollouts);
  set("local", out.propose.local), set("bold", out.propose.bold), set("rounds", out.propose.rounds);
  set("refined", out.propose.refined), set("leapfrogs", out.surrogate.leapfrogs), set("few", out.surrogate.few);
  set("chains_per_update", out.surrogate.chains_per_update), set("counts", out.surrogate.counts);
  set("modes", out.surrogate.modes);
  set("chains_per_warp", out.surrogate.chains_per_warp);
  std::vector<int> warps;
  set("warps", warps);
  if (!warps.empty()) out.surrogate.warps.clear();
  for (const int w : warps) out.surrogate.warps.push_back(static_cast<Warp>(w));
  for (auto [name, value] : left)
    throw nb::type_error(("[autotune] unknown option: " + nb::cast<std::string>(name)).c_str());
}

Study make_study(nb::list parameters, nb::object allows, uint64_t seed, nb::list objectives, nb::dict options) {
  std::vector<Parameter> list;
  for (nb::handle p : parameters) list.push_back(parameter_of(nb::cast<nb::tuple>(p)));
  std::vector<Constraint> constraints;
  if (!allows.is_none())
    constraints.push_back(
        {"constraints", [allows](const Space&, const Point& point) { return nb::cast<bool>(allows(point)); }});
  StudyOptions out;
  out.seed = seed;
  out.objectives.clear();
  for (nb::handle o : objectives) out.objectives.push_back(objective_of(nb::cast<nb::tuple>(o)));
  set_options(options, out);
  return value_or_throw(Study::create(value_or_throw(Space::create(std::move(list), std::move(constraints))), out));
}

nb::dict trial_of(const Trial& t) {
  static constexpr const char* kStates[] = {"running", "finished", "stopped", "paused", "failed"};
  nb::dict out;
  out["id"] = t.id, out["point"] = t.point, out["source"] = t.source, out["state"] = kStates[t.state];
  out["values"] = t.values, out["curve"] = t.curve;
  out["failure"] = t.state == Trial::failed ? nb::cast(name_of(t.failure)) : nb::none();
  return out;
}

}  // namespace
}  // namespace ds::py

NB_MODULE(_autotune, m) {
  using namespace ds::py;
  using namespace ds::autotune;
  nb::class_<Study>(m, "Study")
      .def_static("create", &make_study, nb::arg("space"), nb::arg("allows").none(), nb::arg("seed"),
                  nb::arg("objectives"), nb::arg("options"))
      .def("suggest",
           [](const Study& s, int64_t trial) {
             Suggestion out = value_or_throw(s.suggest(trial));
             return nb::make_tuple(out.point, out.source, out.resumes.value_or(-1));
           })
      .def("next_trial", &Study::next_trial)
      .def("asked",
           [](Study& s, int64_t trial, Point point, std::string source) {
             apply(s, Asked{trial, point, source});
           })
      .def("told",
           [](Study& s, int64_t trial, std::vector<double> values, bool stopped, bool paused) {
             apply(s, Told{trial, values, paused ? Told::paused : stopped ? Told::stopped : Told::whole});
           })
      .def("resumed", [](Study& s, int64_t trial) { apply(s, Resumed{trial}); })
      .def("to_finish", [](const Study& s) { return s.to_finish().value_or(-1); })
      .def("failed",
           [](Study& s, int64_t trial, const std::string& why) {
             apply(s, Failed{trial, value_or_throw(failure_named(why))});
           })
      .def("reported",
           [](Study& s, int64_t trial, int64_t step, double value) {
             apply(s, Reported{trial, step, value});
           })
      .def("should_stop", [](const Study& s, int64_t trial) { return value_or_throw(s.should_stop(trial)); })
      .def("recommend",
           [](const Study& s) {
             const Recommendation r = value_or_throw(s.recommend());
             return nb::make_tuple(r.trial, r.mean, r.low, r.high, r.best_observed);
           })
      .def("front",
           [](const Study& s) {
             nb::list out;
             for (const Best& b : value_or_throw(s.front())) out.append(nb::make_tuple(b.trial, b.means));
             return out;
           })
      .def("value", [](const Study& s, int i, double c) { return s.space().value(i, c); })
      .def("coordinate", [](const Study& s, int i, double v) { return value_or_throw(s.space().coordinate(i, v)); })
      .def("trials", [](const Study& s) {
        nb::list out;
        for (const Trial& t : s.trials()) out.append(trial_of(t));
        return out;
      });
}
