#include "engine/io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/io/crc32c.h"
#include "engine/io/file.h"

namespace ds::io {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kHeaderBound = 100'000'000;
constexpr size_t kAlignment = 64;  // so that a mapped tensor can feed vector loads

struct DTypeName {
  DType dtype;
  const char* name;
};
constexpr std::array<DTypeName, 13> kDTypeNames{{{DType::f32, "F32"},
                                                 {DType::f64, "F64"},
                                                 {DType::bf16, "BF16"},
                                                 {DType::i64, "I64"},
                                                 {DType::i32, "I32"},
                                                 {DType::u8, "U8"},
                                                 {DType::boolean, "BOOL"},
                                                 {DType::f16, "F16"},
                                                 {DType::i8, "I8"},
                                                 {DType::i16, "I16"},
                                                 {DType::u16, "U16"},
                                                 {DType::u32, "U32"},
                                                 {DType::u64, "U64"}}};

const char* format_name(DType dtype) {
  for (const DTypeName& row : kDTypeNames) {
    if (row.dtype == dtype) return row.name;
  }
  throw IoError(std::string("[safetensors] the format has no ") + name_of(dtype) +
                "; save real and imaginary parts as two tensors");
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw IoError("[safetensors] " + path + ": " + why);
}

// Product of the extents times `unit`; false when it does not fit 64 bits.
bool checked_bytes(const std::vector<int64_t>& shape, uint64_t unit, uint64_t* bytes) {
  *bytes = unit;
  for (int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(*bytes, static_cast<uint64_t>(extent), bytes)) return false;
  }
  return true;
}

// Data goes in descending element size, so that each tensor is aligned to its element without the holes that the format
// forbids.
std::vector<const TensorView*> file_order(std::span<const TensorView> tensors) {
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(),
                   [](const TensorView* a, const TensorView* b) { return size_of(a->dtype) > size_of(b->dtype); });
  return order;
}

std::string render_header(std::span<const TensorView* const> tensors, const Metadata& metadata) try {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0, bytes = 0;
  for (const TensorView* tensor : tensors) {
    if (tensor->name == "__metadata__" || header.contains(tensor->name)) {
      throw IoError("[safetensors] the name \"" + tensor->name + "\" is taken");
    }
    if (!checked_bytes(tensor->shape, size_of(tensor->dtype), &bytes)) {
      throw IoError("[safetensors] \"" + tensor->name + "\" has the shape " + Json(tensor->shape).dump());
    }
    header[tensor->name] = {
        {"dtype", format_name(tensor->dtype)}, {"shape", tensor->shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((kAlignment - (8 + text.size()) % kAlignment) % kAlignment, ' ');  // the format allows trailing spaces
  if (text.size() > kHeaderBound) throw IoError("[safetensors] header of " + std::to_string(text.size()) + " bytes");
  return text;
} catch (const Json::exception& error) {
  throw IoError(std::string("[safetensors] a name or a metadata string is not UTF-8: ") + error.what());
}

// Parsing keeps the last of two equal keys; a file that has both is ambiguous, so it is refused.
Json parse_header(const std::string& path, const char* begin, size_t bytes) {
  std::vector<std::set<std::string>> keys;
  const auto unique_keys = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      refuse(path, "the header has \"" + parsed.get<std::string>() + "\" twice");
    }
    return true;
  };
  try {
    Json header = Json::parse(begin, begin + bytes, unique_keys);
    if (!header.is_object()) refuse(path, "the header is not a JSON object");
    return header;
  } catch (const Json::exception& error) {
    refuse(path, std::string("the header is not JSON: ") + error.what());
  }
}

struct Placed {
  TensorView view;
  uint64_t begin, end;
};

uint64_t unsigned_at(const std::string& path, const std::string& field, const Json& value) {
  if (!value.is_number_unsigned()) refuse(path, field + " is " + value.dump() + ", not a count");
  return value.get<uint64_t>();
}

Placed parse_tensor(const std::string& path, const std::string& name, const Json& entry, uint64_t data_bytes) {
  const auto field = [&](const char* key) { return "\"" + name + "\"." + key; };
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    refuse(path, "\"" + name + "\" must have exactly dtype, shape and data_offsets");
  }
  Placed placed{};
  placed.view.name = name;
  const Json& dtype = entry["dtype"];
  const auto row =
      std::find_if(kDTypeNames.begin(), kDTypeNames.end(), [&](const DTypeName& r) { return dtype == r.name; });
  if (row == kDTypeNames.end()) refuse(path, field("dtype") + " is " + dtype.dump() + ", which is not read here");
  placed.view.dtype = row->dtype;
  if (!entry["shape"].is_array()) refuse(path, field("shape") + " is " + entry["shape"].dump());
  for (const Json& extent : entry["shape"]) {
    const uint64_t value = unsigned_at(path, field("shape"), extent);
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      refuse(path, field("shape") + " is too large");
    placed.view.shape.push_back(static_cast<int64_t>(value));
  }
  const Json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) refuse(path, field("data_offsets") + " is " + offsets.dump());
  placed.begin = unsigned_at(path, field("data_offsets"), offsets[0]);
  placed.end = unsigned_at(path, field("data_offsets"), offsets[1]);
  if (placed.begin > placed.end || placed.end > data_bytes) {
    refuse(path, field("data_offsets") + " is " + offsets.dump() + ", the file has " + std::to_string(data_bytes) +
                     " bytes of data");
  }
  uint64_t bytes = 0;
  if (!checked_bytes(placed.view.shape, size_of(row->dtype), &bytes) || bytes != placed.end - placed.begin) {
    refuse(path, field("data_offsets") + " spans " + std::to_string(placed.end - placed.begin) + " bytes, but " +
                     row->name + entry["shape"].dump() + " is another size");
  }
  return placed;
}

// Offsets must tile the data: what overlaps or leaves a hole was not written by a sane writer.
void check_tiling(const std::string& path, const std::vector<Placed>& placed, uint64_t data_bytes) {
  uint64_t at = 0;
  for (const Placed& p : placed) {
    if (p.begin != at) {
      refuse(path, "\"" + p.view.name + "\" begins at " + std::to_string(p.begin) + ", " +
                       (p.begin < at ? "inside the tensor before it, which ends at " : "after a hole that begins at ") +
                       std::to_string(at));
    }
    at = p.end;
  }
  if (at != data_bytes) {
    refuse(path, "tensors end at " + std::to_string(at) + " of " + std::to_string(data_bytes) + " bytes of data");
  }
}

}  // namespace

size_t TensorView::elements() const {
  size_t n = 1;
  for (int64_t extent : shape) n *= static_cast<size_t>(extent);
  return n;
}

FileSummary write_safetensors(const std::string& path, std::span<const TensorView> tensors, const Metadata& metadata) {
  const std::vector<const TensorView*> order = file_order(tensors);
  const std::string header = render_header(order, metadata);
  const uint64_t length = header.size();
  FileWriter writer(path);
  writer.write(&length, sizeof length);  // little-endian, as crc32c.cpp asserts
  writer.write(header.data(), header.size());
  for (const TensorView* tensor : order) writer.write(tensor->data, tensor->bytes());
  return writer.finish();
}

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(std::make_shared<MappedFile>(path)) {
  uint64_t length = 0;
  if (file_->size() < sizeof length) refuse(path, "truncated: " + std::to_string(file_->size()) + " bytes");
  std::memcpy(&length, file_->data(), sizeof length);
  if (length > kHeaderBound)
    refuse(path, "header length is " + std::to_string(length) + ", at most 100 MB are allowed");
  if (length > file_->size() - sizeof length) {
    refuse(path, "truncated: header length is " + std::to_string(length) + ", the file has " +
                     std::to_string(file_->size()) + " bytes");
  }
  const auto* text = reinterpret_cast<const char*>(file_->data()) + sizeof length;
  const unsigned char* data = file_->data() + sizeof length + length;
  const uint64_t data_bytes = file_->size() - sizeof length - length;
  const Json header = parse_header(path, text, length);
  std::vector<Placed> placed;
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") {
      placed.push_back(parse_tensor(path, name, entry, data_bytes));
      continue;
    }
    if (!entry.is_object()) refuse(path, "__metadata__ is " + entry.dump());
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) refuse(path, "__metadata__." + key + " is " + value.dump() + ", not a string");
      metadata_[key] = value.get<std::string>();
    }
  }
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::tie(a.begin, a.end, a.view.name) < std::tie(b.begin, b.end, b.view.name);
  });
  check_tiling(path, placed, data_bytes);
  for (Placed& p : placed) {
    p.view.data = data + p.begin;
    by_name_[p.view.name] = tensors_.size();
    tensors_.push_back(std::move(p.view));
  }
}

const std::string& SafetensorsFile::path() const { return file_->path(); }

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

FileSummary SafetensorsFile::summary() const { return {file_->size(), crc32c(file_->data(), file_->size())}; }

}  // namespace ds::io
