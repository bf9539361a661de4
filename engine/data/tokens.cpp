// Token files: a language model's training text, already numbered, or raw bytes.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include "engine/data/datasets.h"
#include "engine/io/file.h"

namespace ds::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTestDivisor = 10;  // a single file gives its last tenth to the test split

struct Window {
  int64_t first = 0, count = 0;  // samples of the file that this split has
};

template <class T>
class Tokens final : public Dataset {
 public:
  Tokens(std::unique_ptr<io::MappedFile> file, int64_t context, int64_t vocab, Window window)
      : file_(std::move(file)), shape_{context}, window_(window) {
    const auto* tokens = reinterpret_cast<const T*>(file_->data());
    const int64_t n = static_cast<int64_t>(file_->size() / sizeof(T));
    const int64_t largest = n == 0 || (vocab == 0 && sizeof(T) == 1) ? 255 : *std::max_element(tokens, tokens + n);
    vocab_ = vocab == 0 ? largest + 1 : vocab;
    if (vocab != 0 && largest >= vocab) {
      const T* bad = std::find_if(tokens, tokens + n, [&](T token) { return static_cast<int64_t>(token) >= vocab; });
      throw DataError("[tokens] " + file_->path() + ": token " + std::to_string(bad - tokens) + " is " +
                      std::to_string(*bad) + ", the vocabulary has " + std::to_string(vocab));
    }
  }
  int64_t size() const override { return window_.count; }
  std::span<const int64_t> input_shape() const override { return shape_; }
  DType input_dtype() const override { return DType::i64; }
  std::span<const int64_t> target_shape() const override { return shape_; }
  int64_t classes() const override { return vocab_; }

  void read(std::span<const int64_t> indices, void* inputs, void* targets) const override {
    check_indices("tokens", indices, window_.count);
    const auto* tokens = reinterpret_cast<const T*>(file_->data());
    const int64_t context = shape_[0];
    auto *in = static_cast<int64_t*>(inputs), *out = static_cast<int64_t*>(targets);
    for (int64_t index : indices) {
      const T* from = tokens + (window_.first + index) * context;
      std::copy_n(from, context, in);
      std::copy_n(from + 1, context, out);
      in += context;
      out += context;
    }
  }

 private:
  std::unique_ptr<io::MappedFile> file_;
  std::array<int64_t, 1> shape_;
  Window window_;
  int64_t vocab_ = 0;
};

size_t token_bytes(const fs::path& path) {
  const fs::path extension = path.extension();
  if (extension == ".u32") return 4;
  return extension == ".u16" || extension == ".bin" ? 2 : 1;
}

// In a folder: the first file, by name, whose stem is one of the split's.
fs::path file_in_folder(const fs::path& folder, Split split) {
  std::vector<std::string> stems = {"train"};
  if (split == Split::test) stems = {"test", "val"};
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (std::find(stems.begin(), stems.end(), entry.path().stem().string()) != stems.end())
      found.push_back(entry.path());
  }
  if (found.empty()) throw DataError("[tokens] " + folder.string() + " has no " + stems.front() + ".*");
  return *std::min_element(found.begin(), found.end());
}

Window window_of(int64_t samples, Split split, bool whole_file) {
  if (whole_file) return {0, samples};
  const int64_t test = samples / kTestDivisor;
  return split == Split::train ? Window{0, samples - test} : Window{samples - test, test};
}

}  // namespace

std::unique_ptr<Dataset> open_tokens(const DatasetOptions& options) try {
  if (options.path.empty())
    throw DataError("[tokens] path is empty: name a token file, or a folder with train.* and test.*");
  if (options.context < 1) throw DataError("[tokens] context is " + std::to_string(options.context) + ", at least 1");
  const bool folder = fs::is_directory(options.path);
  const fs::path path = folder ? file_in_folder(options.path, options.split) : fs::path(options.path);
  auto file = std::make_unique<io::MappedFile>(path.string());
  const size_t unit = token_bytes(path);
  if (file->size() % unit != 0) {
    throw DataError("[tokens] " + path.string() + ": truncated: " + std::to_string(file->size()) +
                    " bytes are not whole " + std::to_string(unit) + "-byte tokens");
  }
  const auto tokens = static_cast<int64_t>(file->size() / unit);
  Window window = window_of(std::max<int64_t>(tokens - 1, 0) / options.context, options.split, folder);
  if (window.count == 0) {
    throw DataError("[tokens] " + path.string() + ": " + std::to_string(tokens) +
                    " tokens give this split no sample of " + std::to_string(options.context) + " + 1");
  }
  window.count = limited("tokens", window.count, options.limit);
  if (unit == 1) return std::make_unique<Tokens<uint8_t>>(std::move(file), options.context, options.vocab, window);
  if (unit == 2) return std::make_unique<Tokens<uint16_t>>(std::move(file), options.context, options.vocab, window);
  return std::make_unique<Tokens<uint32_t>>(std::move(file), options.context, options.vocab, window);
} catch (const io::IoError& error) {
  throw DataError(std::string("[tokens] ") + error.what());
}

}  // namespace ds::data
