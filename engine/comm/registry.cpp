#include "engine/comm/registry.h"

#include <algorithm>
#include <limits>

#include "engine/comm/group.h"

namespace ds::comm {
namespace {

std::vector<Algorithm>& table() {
  static std::vector<Algorithm> algorithms;
  return algorithms;
}

std::string known(Collective collective) {
  std::string names;
  for (const Algorithm* a : registered(collective)) names += (names.empty() ? "" : ", ") + std::string(a->name);
  return names;
}

const Algorithm& forced(const Group& group, const Call& call, std::string_view name) {
  const std::string where = std::string("[") + name_of(call.collective) + "] ";
  for (const Algorithm* a : registered(call.collective)) {
    if (a->name != name) continue;
    if (const char* why = a->refusal(group, call)) {
      throw CommError(where + "algorithm " + a->name + " does not serve " + std::to_string(call.bytes()) +
                      " bytes of " + ds::name_of(call.type) + " over " + std::to_string(group.size()) +
                      " ranks: " + why);
    }
    return *a;
  }
  throw CommError(where + "no algorithm is called " + std::string(name) + "; there are " + known(call.collective));
}

}  // namespace

Register::Register(const Algorithm& a) { table().push_back(a); }

const char* name_of(Collective c) {
  switch (c) {
    case Collective::all_reduce:
      return "all_reduce";
    case Collective::reduce_scatter:
      return "reduce_scatter";
    case Collective::all_gather:
      return "all_gather";
    case Collective::broadcast:
      return "broadcast";
    case Collective::barrier:
      return "barrier";
  }
  return "?";
}

std::vector<const Algorithm*> registered(Collective collective) {
  std::vector<const Algorithm*> found;
  for (const Algorithm& a : table()) {
    if (a.collective == collective) found.push_back(&a);
  }
  std::sort(found.begin(), found.end(), [](auto* a, auto* b) { return std::string_view(a->name) < b->name; });
  return found;
}

const Algorithm& choose(const Group& group, const Call& call, const Options& options) {
  if (!options.algorithm.empty()) return forced(group, call, options.algorithm);
  const Algorithm* best = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const Algorithm& a : table()) {
    if (a.collective != call.collective || (options.deterministic && !a.deterministic)) continue;
    if (a.refusal(group, call)) continue;
    const double seconds = a.seconds(group, call.bytes());
    // Static initialisers run in link order: ties go by name, so that ranks built apart agree.
    if (seconds < least || (seconds == least && std::string_view(a.name) < best->name)) {
      least = seconds;
      best = &a;
    }
  }
  if (!best) {
    throw CommError(std::string("[") + name_of(call.collective) + "] no algorithm serves " + ds::name_of(call.type) +
                    " over " + std::to_string(group.size()) + " ranks; there are " + known(call.collective));
  }
  return *best;
}

std::vector<std::string> algorithms(std::string_view collective) {
  std::vector<std::string> names;
  for (const Algorithm& a : table()) {
    if (collective == name_of(a.collective)) names.emplace_back(a.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ds::comm
