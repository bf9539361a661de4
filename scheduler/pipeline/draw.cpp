#include "scheduler/pipeline/draw.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ds::pipeline {
namespace {

constexpr const char* font = "Inter, 'Segoe UI', Helvetica, Arial, sans-serif";
constexpr int left = 84, top = 76, row = 26, gap = 6, right = 28, bottom = 58;

bool computes(Kind kind) { return kind <= Kind::weight_gradient; }

double origin(const Result& result) {
  double first = result.stages[0].first;
  for (const StageResult& stage : result.stages) first = std::min(first, stage.first);
  return first;
}

char letter(const Operation& op) {
  constexpr char letters[] = {'F', 'X', 'B', 'W'};
  char upper = letters[static_cast<int>(op.kind)];
  return op.chunk == 0 ? upper : static_cast<char>(upper - 'A' + 'a');
}

using Shades = std::array<const char*, 4>;  // by chunk; the last one for all further ones

const char* fill_of(const Operation& op) {
  static constexpr Shades forward = {"#3b78c4", "#85b1e3", "#a9c9ec", "#c6dcf3"};
  static constexpr Shades whole = {"#2a9d7f", "#7fcab5", "#a3d9ca", "#c4e7dd"};
  static constexpr Shades input = {"#e08a2e", "#f2bd7f", "#f6d0a4", "#f9e1c6"};
  static constexpr Shades weights = {"#8a63b8", "#bda5dc", "#d0bfe6", "#e2d7f0"};
  static constexpr const Shades* shades[] = {&forward, &whole, &input, &weights};
  return (*shades[static_cast<int>(op.kind)])[std::min(op.chunk, 3)];
}

// A box a piece; the number only where it has room.
void box(std::string& out, const Operation& op, double x, double width, int y) {
  double inset = width > 3 ? 0.5 : 0;
  absl::StrAppendFormat(&out, "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"%s\" fill=\"%s\"/>",
                        x + inset, y, std::max(width - 2 * inset, 0.2), row, width > 8 ? "2.5" : "0", fill_of(op));
  std::string number = absl::StrCat(op.micro_batch + 1);
  if (width < 6.2 * number.size() + 3) return;
  absl::StrAppendFormat(&out, "<text x=\"%.2f\" y=\"%d\" fill=\"%s\">%s</text>", x + width / 2, y + row / 2 + 4,
                        op.chunk == 0 ? "#ffffff" : "#22303c", number);
}

void legend(std::string& out, const Schedule& schedule, int y) {
  struct Entry {
    Kind kind;
    const char* text;
  };
  constexpr Entry entries[] = {{Kind::forward, "forward"},
                               {Kind::backward, "backward"},
                               {Kind::input_gradient, "input gradient"},
                               {Kind::weight_gradient, "weight gradient"}};
  std::array<bool, 4> used{};
  for (const List& list : schedule.lists) {
    for (const Operation& op : list) {
      if (computes(op.kind)) used[static_cast<int>(op.kind)] = true;
    }
  }
  int x = left;
  for (const Entry& entry : entries) {
    if (!used[static_cast<int>(entry.kind)]) continue;
    for (int chunk = 0; chunk < std::min(schedule.chunks, 4); ++chunk, x += 16) {
      absl::StrAppendFormat(&out, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"14\" rx=\"2.5\" fill=\"%s\"/>", x, y,
                            fill_of({entry.kind, 0, chunk}));
    }
    absl::StrAppendFormat(&out, "<text class=\"k\" x=\"%d\" y=\"%d\">%s</text>", x + 4, y + 11, entry.text);
    x += 26 + 7 * static_cast<int>(std::string(entry.text).size());
  }
  if (schedule.chunks > 1) {
    absl::StrAppendFormat(&out, "<text class=\"k\" x=\"%d\" y=\"%d\" fill=\"#6b7885\">paler: later chunks</text>", x,
                          y + 11);
  }
}

std::string head(const Schedule& schedule, const Result& result, int width, int height) {
  double peak = 0;
  for (const StageResult& stage : result.stages) peak = std::max(peak, stage.peak_activation);
  std::string out = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" font-family=\"%s\">"
      "<style>text{font-size:11px;text-anchor:middle}.t{font-size:18px;font-weight:600;text-anchor:start;fill:#22303c}"
      ".s{font-size:12.5px;text-anchor:start;fill:#566471}.k{font-size:12px;text-anchor:start;fill:#22303c}"
      ".r{font-size:12px;text-anchor:end;fill:#22303c}</style>"
      "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>",
      width, height, width, height, font, width, height);
  absl::StrAppendFormat(&out, "<text class=\"t\" x=\"%d\" y=\"32\">%s</text>", left, schedule.name);
  absl::StrAppendFormat(
      &out,
      "<text class=\"s\" x=\"%d\" y=\"54\">%d stages, %d micro-batches: bubble %.2f %%, makespan %.6g, "
      "peak activation %.3g micro-batches (simulated)</text>",
      left, schedule.stages, schedule.micro_batches, 100 * result.bubble, result.makespan, peak);
  return out;
}

}  // namespace

std::string draw_text(const Schedule& schedule, const Result& result, int width) {
  std::string out;
  double first = origin(result);
  int digits = static_cast<int>(std::to_string(schedule.stages - 1).size()), columns = std::max(width - digits - 2, 8);
  for (int s = 0; s < schedule.stages; ++s) {
    std::string line(columns, '.');
    for (size_t i = 0; i < schedule.lists[s].size(); ++i) {
      const Operation& op = schedule.lists[s][i];
      if (!computes(op.kind)) continue;
      const Span& span = result.spans[s][i];
      double scale = result.makespan > 0 ? columns / result.makespan : 0;
      // A column shows what runs in its middle.
      int from = static_cast<int>(std::ceil((span.start - first) * scale - 0.5));
      int to = static_cast<int>(std::ceil((span.end - first) * scale - 0.5));
      for (int x = std::max(from, 0); x < std::min(to, columns); ++x) line[x] = letter(op);
    }
    absl::StrAppendFormat(&out, "%*d  %s\n", digits, s, line);
  }
  return out;
}

std::string draw_svg(const Schedule& schedule, const Result& result) {
  size_t longest = 1;
  for (const List& list : schedule.lists) longest = std::max(longest, list.size());
  double drawn = std::clamp(22.0 * longest, 900.0, 6000.0), first = origin(result);
  double scale = result.makespan > 0 ? drawn / result.makespan : 0;
  int width = left + static_cast<int>(drawn) + right, height = top + schedule.stages * (row + gap) + bottom;
  std::string out = head(schedule, result, width, height);
  for (int s = 0; s < schedule.stages; ++s) {
    int y = top + s * (row + gap);
    absl::StrAppendFormat(&out, "<text class=\"r\" x=\"%d\" y=\"%d\">stage %d</text>", left - 12, y + row / 2 + 4, s);
    absl::StrAppendFormat(&out, "<rect x=\"%d\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"2.5\" fill=\"#eef1f4\"/>",
                          left, y, drawn, row);
    for (size_t i = 0; i < schedule.lists[s].size(); ++i) {
      const Operation& op = schedule.lists[s][i];
      const Span& span = result.spans[s][i];
      if (computes(op.kind)) box(out, op, left + (span.start - first) * scale, (span.end - span.start) * scale, y);
    }
    out += "\n";
  }
  legend(out, schedule, height - bottom + 22);
  return out + "</svg>\n";
}

}  // namespace ds::pipeline
