// What a command shows: one JSON document and the columns of its table. One printer makes all formats of it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::client {

using Json = nlohmann::ordered_json;

enum class Format { kTable, kJson, kYaml, kName };

struct Column {
  std::string title;
  std::function<std::string(const Json& row)> cell;
};

struct View {
  Json document;  // a list of rows, or one object, whose table stands upright: a line a column
  std::vector<Column> columns;
  std::string empty = "";  // said instead of a table without rows
};

// Ends with a newline. kName: the ids, or the names of what has no id, one a line.
std::string render(const View& view, Format format);

// Cells, by JSON pointer ("/progress/step"); "-" where there is nothing.
std::function<std::string(const Json&)> text_at(const std::string& pointer);
std::function<std::string(const Json&)> number_at(const std::string& pointer, int digits);  // significant digits
std::function<std::string(const Json&)> age_at(const std::string& pointer);  // of an RFC 3339 time: "3m12s"

std::string to_yaml(const Json& document);
// JSON on one line, with a space after each comma and colon: {"job": "j-1", "ranks": 2}
std::string one_line(const Json& object);

// 75 -> "1m15s", 3700 -> "1h1m"
std::string duration_text(double seconds);

}  // namespace ds::client
