// A simulated schedule as pictures: text for a terminal, SVG for a page.
#pragma once
#include <string>

#include "scheduler/pipeline/simulate.h"

namespace ds::pipeline {

// One line a stage, at most `width` characters: F B W in capitals for the first chunk, small letters for the second,
// digits of the chunk's number beyond; X a whole backward; "." idle. `result` has its spans.
std::string draw_text(const Schedule& schedule, const Result& result, int width = 120);

// Rows are stages, boxes operations with their micro-batch's number, colours F, B and W (paler for later chunks).
std::string draw_svg(const Schedule& schedule, const Result& result);

}  // namespace ds::pipeline
