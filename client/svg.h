// Writes SVG: shapes and text in the colours of all our pictures.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ds::client {

// Of the palette that scheduler/pipeline/draw.cpp has too.
namespace colour {
inline constexpr const char *kInk = "#22303c", *kPale = "#8a97a4", *kGrid = "#e4e8ec", *kBlue = "#3b78c4",
                            *kPaleBlue = "#a9c9ec", *kGreen = "#2a9d7f", *kOrange = "#e08a2e";
}  // namespace colour

class Svg {
 public:
  using Points = std::vector<std::pair<double, double>>;
  enum class Align { kLeft, kMiddle, kRight };

  Svg(int width, int height) : width_(width), height_(height) {}

  void rect(double x, double y, double width, double height, const std::string& fill);
  void line(double x1, double y1, double x2, double y2, const std::string& stroke, double width = 1);
  void path(const Points& points, const std::string& stroke, double width, double opacity = 1);
  // `about`: what a browser shows where the pointer rests.
  void circle(double x, double y, double radius, const std::string& fill, const std::string& about = "");
  void ring(double x, double y, double radius, const std::string& stroke, const std::string& about = "");
  void cross(double x, double y, double radius, const std::string& stroke, const std::string& about = "");
  void text(double x, double y, const std::string& text, Align align = Align::kLeft, int size = 12,
            const std::string& fill = colour::kInk);

  std::string str() const;

 private:
  const int width_, height_;
  std::string body_;
};

// "#rrggbb" between two such colours; `part` 0: the first.
std::string blend(const std::string& from, const std::string& to, double part);

}  // namespace ds::client
