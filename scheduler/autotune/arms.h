// Which way of proposing serves best is not known before: a bandit learns it from what their trials bring.
#pragma once
#include <string>
#include <vector>

#include "scheduler/autotune/random.h"

namespace ds::autotune {

struct Play {   // a trial that has ended, in the order of the ends
  int arm;      // that proposed it; -1: none of them
  double gain;  // over the best before it; 0: none
};

// Thompson sampling (1933): each arm's chance to bring a better trial is drawn from what its last ones brought, later
// ones counting more; the highest draw plays. arms: at least one.
int choose_arm(int arms, const std::vector<Play>& plays, Random& random);

}  // namespace ds::autotune
