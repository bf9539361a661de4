#include "client/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace ds::client {
namespace {

constexpr char kFont[] = "Inter, 'Segoe UI', Helvetica, Arial, sans-serif";

std::string escaped(const std::string& text) {
  std::string out = absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20; }, ' ');  // XML has no control characters
  return out;
}

std::string title(const std::string& about) {
  return about.empty() ? "/>" : absl::StrCat("><title>", escaped(about), "</title></circle>");
}

}  // namespace

void Svg::rect(double x, double y, double width, double height, const std::string& fill) {
  absl::StrAppendFormat(&body_, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y,
                        width, height, fill);
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& stroke, double width) {
  absl::StrAppendFormat(&body_,
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%g\"/>\n",
                        x1, y1, x2, y2, stroke, width);
}

void Svg::path(const Points& points, const std::string& stroke, double width, double opacity) {
  if (points.empty()) return;
  absl::StrAppend(&body_, "<polyline points=\"");
  for (const auto& [x, y] : points) absl::StrAppendFormat(&body_, "%.1f,%.1f ", x, y);
  absl::StrAppendFormat(&body_, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"%g\" opacity=\"%g\"/>\n", stroke, width,
                        opacity);
}

void Svg::circle(double x, double y, double radius, const std::string& fill, const std::string& about) {
  absl::StrAppendFormat(&body_, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"%s\"%s\n", x, y, radius, fill,
                        title(about));
}

void Svg::ring(double x, double y, double radius, const std::string& stroke, const std::string& about) {
  absl::StrAppendFormat(&body_, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"#ffffff\" stroke=\"%s\"%s\n", x, y,
                        radius, stroke, title(about));
}

void Svg::cross(double x, double y, double radius, const std::string& stroke, const std::string& about) {
  line(x - radius, y - radius, x + radius, y + radius, stroke, 1.5);
  line(x - radius, y + radius, x + radius, y - radius, stroke, 1.5);
  if (!about.empty()) circle(x, y, radius, "transparent", about);
}

void Svg::text(double x, double y, const std::string& text, Align align, int size, const std::string& fill) {
  static const char* const kAnchors[] = {"start", "middle", "end"};
  absl::StrAppendFormat(&body_,
                        "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", x, y,
                        size, kAnchors[static_cast<int>(align)], fill, escaped(text));
}

std::string Svg::str() const {
  return absl::StrFormat(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
             "font-family=\"%s\">\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
             width_, height_, width_, height_, kFont, width_, height_) +
         body_ + "</svg>\n";
}

std::string blend(const std::string& from, const std::string& to, double part) {
  const auto channel = [](const std::string& c, size_t i) {
    return std::strtol(c.substr(1 + 2 * i, 2).c_str(), nullptr, 16);
  };
  std::string out = "#";
  for (size_t i = 0; i < 3; ++i) {
    const auto a = static_cast<double>(channel(from, i)), b = static_cast<double>(channel(to, i));
    absl::StrAppendFormat(&out, "%02x", std::lround(a + (b - a) * std::clamp(part, 0.0, 1.0)));
  }
  return out;
}

}  // namespace ds::client
