#include "engine/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "engine/io/crc32c.h"
#include "tests/io/folder.h"

namespace ds::io {
namespace {

using ::ds::testing::Folder;
using ::ds::testing::message_of;
using ::ds::testing::slurp;
using ::ds::testing::spill;
using ::testing::HasSubstr;

// A file of the given header text and data.
std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string refusal(const std::string& bytes) {
  const Folder folder;
  spill(folder / "x.safetensors", bytes);
  return message_of<IoError>([&] { SafetensorsFile(folder / "x.safetensors"); });
}

struct Sample {
  std::vector<unsigned char> u8 = {1, 2, 3};
  std::vector<float> f32 = {1.5f, -0.0f, 3e38f, 4, 5, 6};
  std::vector<double> f64 = {2.5};
  std::vector<int64_t> i64 = {-1, 1ll << 60};
  std::vector<int32_t> i32 = {-7};
  std::vector<bfloat16> bf16 = {bfloat16(1.0f), bfloat16(-2.0f), bfloat16(0.5f)};
  bool boolean[2] = {true, false};
  std::vector<float16> f16 = {float16(1.0f), float16(-65504.0f)};
  std::vector<int8_t> i8 = {-128};
  std::vector<int16_t> i16 = {-300, 300};
  std::vector<uint16_t> u16 = {65535};
  std::vector<uint32_t> u32 = {~uint32_t{0}};
  std::vector<uint64_t> u64 = {~uint64_t{0}};
  std::vector<TensorView> views = {
      {"u8", DType::u8, {3}, u8.data()},       {"layer.weight", DType::f32, {2, 3}, f32.data()},
      {"scalar", DType::f64, {}, f64.data()},  {"i64", DType::i64, {2}, i64.data()},
      {"i32", DType::i32, {1, 1}, i32.data()}, {"bf16", DType::bf16, {3}, bf16.data()},
      {"bool", DType::boolean, {2}, boolean},  {"empty", DType::f32, {0, 4}, nullptr},
      {"f16", DType::f16, {2}, f16.data()},    {"i8", DType::i8, {1}, i8.data()},
      {"i16", DType::i16, {2}, i16.data()},    {"u16", DType::u16, {1}, u16.data()},
      {"u32", DType::u32, {1}, u32.data()},    {"u64", DType::u64, {1}, u64.data()}};
};

TEST(Safetensors, ComplexNumbersHaveNoPlaceInTheFormat) {
  const Folder folder;
  const complex64 z(1, 2);
  const std::vector<TensorView> views = {{"z", DType::c64, {1}, &z}};
  EXPECT_THAT(message_of<IoError>([&] { write_safetensors(folder / "z.safetensors", views); }), HasSubstr("complex64"));
}

TEST(Safetensors, RoundTripsEveryDType) {
  const Folder folder;
  const Sample sample;
  const std::string path = folder / "a.safetensors";
  const FileSummary written = write_safetensors(path, sample.views, {{"who", "test \"quoted\" \xc3\xa9"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.tensors().size(), sample.views.size());
  EXPECT_EQ(file.metadata().at("who"), "test \"quoted\" \xc3\xa9");
  for (const TensorView& view : sample.views) {
    const TensorView* found = file.find(view.name);
    ASSERT_NE(found, nullptr) << view.name;
    EXPECT_EQ(found->dtype, view.dtype);
    EXPECT_EQ(found->shape, view.shape);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found->data) % size_of(view.dtype), 0u) << view.name;
    if (view.bytes() > 0) {
      EXPECT_EQ(std::memcmp(found->data, view.data, view.bytes()), 0) << view.name;
    }
  }
  EXPECT_EQ(file.find("absent"), nullptr);
  const std::string bytes = slurp(path);
  EXPECT_EQ(written.size, bytes.size());
  EXPECT_EQ(written.crc32c, crc32c(bytes.data(), bytes.size()));
  EXPECT_EQ(file.summary().crc32c, written.crc32c);
}

TEST(Safetensors, WritesNoTensorsAtAll) {
  const Folder folder;
  write_safetensors(folder / "none", {});
  EXPECT_TRUE(SafetensorsFile(folder / "none").tensors().empty());
}

TEST(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const Folder folder;
  const float x = 1;
  const std::vector<TensorView> twice = {{"a", DType::f32, {1}, &x}, {"a", DType::f32, {1}, &x}};
  EXPECT_THAT(message_of<IoError>([&] { write_safetensors(folder / "x", twice); }), HasSubstr("\"a\" is taken"));
  const std::vector<TensorView> reserved = {{"__metadata__", DType::f32, {1}, &x}};
  EXPECT_THAT(message_of<IoError>([&] { write_safetensors(folder / "x", reserved); }), HasSubstr("__metadata__"));
  const std::vector<TensorView> negative = {{"a", DType::f32, {-1}, &x}};
  EXPECT_THAT(message_of<IoError>([&] { write_safetensors(folder / "x", negative); }), HasSubstr("[-1]"));
  const std::vector<TensorView> not_utf8 = {{"\xff", DType::f32, {1}, &x}};
  EXPECT_THAT(message_of<IoError>([&] { write_safetensors(folder / "x", not_utf8); }), HasSubstr("UTF-8"));
  EXPECT_THAT(message_of<IoError>([&] { write_safetensors(folder / "no/such/x", {}); }), HasSubstr("no/such/x"));
}

TEST(Safetensors, ReadsAFileMadeElsewhere) {
  const Folder folder;
  // Holds an odd offset for an f32, keys in another order, and no padding: all allowed.
  spill(folder / "x", file_of(R"({"b":{"shape":[1],"dtype":"F32","data_offsets":[1,5]},"a":{"dtype":"U8","shape":[1],)"
                              R"("data_offsets":[0,1]},"__metadata__":{"format":"pt"}})",
                              std::string("\x07\x00\x00\x80\x3f", 5)));
  const SafetensorsFile file(folder / "x");
  float b = 0;
  std::memcpy(&b, file.find("b")->data, 4);
  EXPECT_EQ(b, 1.0f);
  EXPECT_EQ(file.tensors()[0].name, "a");  // in the order of the offsets
}

TEST(Safetensors, RefusesEachBrokenField) {
  const std::string data(8, 'x');
  const auto header = [](const std::string& entry) { return "{\"t\":" + entry + "}"; };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {file_of(header(R"({"dtype":"F32","shape":[2],"data_offsets":[0,12]})"), data), "the file has 8 bytes of data"},
      {file_of(header(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), data), "data_offsets"},
      {file_of(header(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), data), "another size"},
      {file_of(header(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"), data),
       "another size"},
      {file_of(header(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), data), "\"t\".shape is -2"},
      {file_of(header(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), data), "\"t\".shape is 2.0"},
      {file_of(header(R"({"dtype":"F17","shape":[2],"data_offsets":[0,8]})"), data), "F17"},
      {file_of(header(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), data), "\"t\".shape is 2"},
      {file_of(header(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), data), "data_offsets"},
      {file_of(header(R"({"dtype":"F32","shape":[2]})"), data), "must have exactly"},
      {file_of(header(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), data), "after a hole"},
      {file_of(header(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), data), "end at 4 of 8"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
           data),
       "inside the tensor before it"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
           data),
       "\"a\" twice"},
      {file_of(R"({"__metadata__":{"k":1},"t":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})", data),
       "__metadata__.k"},
      {file_of("[1]", data), "not a JSON object"},
      {file_of("{", data), "not JSON"},
      {file_of("", data), "not JSON"},
      {"1234567", "truncated: 7 bytes"},
      {std::string("\xff\xff\xff\x7f\0\0\0\0", 8) + "{}", "at most 100 MB"},
      {std::string("\x10\0\0\0\0\0\0\0", 8) + "{}", "truncated: header length is 16"}};
  for (const auto& [bytes, why] : cases) {
    const std::string message = refusal(bytes);
    EXPECT_THAT(message, HasSubstr(why));
    EXPECT_THAT(message, HasSubstr("x.safetensors"));
  }
}

TEST(Safetensors, NeverReadsOutsideADamagedFile) {
  const Folder folder;
  const Sample sample;
  write_safetensors(folder / "a", sample.views, {{"k", "v"}});
  const std::string good = slurp(folder / "a");
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    const size_t flips = 1 + random() % 4;
    for (size_t i = 0; i < flips; ++i) bad[random() % bad.size()] ^= static_cast<char>(1u << random() % 8);
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    spill(folder / "b", bad);
    try {
      const SafetensorsFile file(folder / "b");
      for (const TensorView& t : file.tensors()) crc32c(t.data, t.bytes());  // faults when it points outside
    } catch (const IoError&) {
    }
  }
}

TEST(Safetensors, IsReadByThePythonPackage) {
  if (std::system("python3 -c 'import safetensors, numpy' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3 has no safetensors and numpy";
  }
  const Folder folder;
  const Sample sample;
  write_safetensors(folder / "a", sample.views, {{"k", "v"}});
  const std::string script = R"(
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], 'np') as f:
    assert f.metadata() == {'k': 'v'}, f.metadata()
    assert f.get_tensor('layer.weight').tolist()[1] == [4, 5, 6]
    assert f.get_tensor('layer.weight').dtype == 'float32'
    assert f.get_tensor('i64').tolist() == [-1, 1 << 60]
    assert f.get_tensor('scalar').tolist() == 2.5
    assert f.get_tensor('bool').tolist() == [True, False]
    assert f.get_slice('bf16').get_shape() == [3] and f.get_slice('bf16').get_dtype() == 'BF16'
    assert f.get_tensor('empty').shape == (0, 4)
from safetensors.numpy import save_file
import numpy
save_file({'w': numpy.arange(6, dtype='int32').reshape(2, 3), 'b': numpy.ones(3, 'uint8')}, sys.argv[2], {'from': 'python'})
)";
  spill(folder / "check.py", script);
  ASSERT_EQ(std::system(("python3 " + (folder / "check.py") + " " + (folder / "a") + " " + (folder / "p")).c_str()), 0);
  const SafetensorsFile file(folder / "p");
  EXPECT_EQ(file.metadata().at("from"), "python");
  ASSERT_NE(file.find("w"), nullptr);
  EXPECT_EQ(file.find("w")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(static_cast<const int32_t*>(file.find("w")->data)[5], 5);
}

}  // namespace
}  // namespace ds::io
