#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "engine/data/dataset.h"
#include "tests/io/folder.h"

namespace ds::data {
namespace {

using ::ds::testing::Folder;
using ::ds::testing::message_of;
using ::ds::testing::spill;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class T>
std::string binary(const std::vector<T>& tokens) {
  std::string bytes(tokens.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), tokens.data(), bytes.size());
  return bytes;
}

std::string why_not(const DatasetOptions& options) {
  return message_of<DataError>([&] { open_dataset("tokens", options); });
}

template <class T>
void expect_windows(const std::string& name) {
  const Folder folder;
  std::vector<T> tokens;
  for (int i = 0; i < 42; ++i) tokens.push_back(static_cast<T>(100 + i));
  spill(folder / name, binary(tokens));
  DatasetOptions options;
  options.path = folder / name;
  options.context = 4;
  const auto train = open_dataset("tokens", options);
  options.split = Split::test;
  const auto test = open_dataset("tokens", options);
  ASSERT_EQ(train->size(), 9);  // 41 / 4 = 10 samples, of which the last tenth is the test's
  ASSERT_EQ(test->size(), 1);
  EXPECT_THAT(train->input_shape(), ElementsAre(4));
  EXPECT_THAT(train->target_shape(), ElementsAre(4));
  EXPECT_EQ(train->input_dtype(), DType::i64);
  EXPECT_EQ(train->classes(), sizeof(T) == 1 ? 256 : 142);

  std::vector<int64_t> inputs(8), targets(8);
  const std::vector<int64_t> indices = {2, 0};
  train->read(indices, inputs.data(), targets.data());
  EXPECT_THAT(inputs, ElementsAre(108, 109, 110, 111, 100, 101, 102, 103));
  EXPECT_THAT(targets, ElementsAre(109, 110, 111, 112, 101, 102, 103, 104));
  const int64_t first = 0, outside = 1;
  test->read({&first, 1}, inputs.data(), targets.data());
  EXPECT_EQ(inputs[0], 136);
  EXPECT_EQ(targets[3], 140);
  EXPECT_THAT(message_of<DataError>([&] {
                test->read({&outside, 1}, inputs.data(), targets.data());
              }),
              HasSubstr("index 1 is outside [0, 1)"));
}

TEST(Tokens, CutBytesAndNumbersIntoWindows) {
  expect_windows<uint8_t>("text.txt");
  expect_windows<uint16_t>("text.u16");
  expect_windows<uint16_t>("text.bin");
  expect_windows<uint32_t>("text.u32");
}

TEST(Tokens, TakeTheSplitsOfAFolderWhole) {
  const Folder folder;
  spill(folder / "train.bin", binary<uint16_t>({1, 2, 3, 4, 5}));
  spill(folder / "val.bin", binary<uint16_t>({6, 7, 8}));
  DatasetOptions options;
  options.path = folder.path();
  options.context = 2;
  EXPECT_EQ(open_dataset("tokens", options)->size(), 2);
  options.limit = 1;
  EXPECT_EQ(open_dataset("tokens", options)->size(), 1);
  options.split = Split::test;
  const auto test = open_dataset("tokens", options);
  ASSERT_EQ(test->size(), 1);
  std::vector<int64_t> inputs(2), targets(2);
  const int64_t first = 0;
  test->read({&first, 1}, inputs.data(), targets.data());
  EXPECT_THAT(inputs, ElementsAre(6, 7));
  EXPECT_THAT(targets, ElementsAre(7, 8));
}

TEST(Tokens, NameWhatIsWrong) {
  const Folder folder;
  DatasetOptions options;
  EXPECT_THAT(why_not(options), HasSubstr("path is empty"));
  options.path = folder.path();
  EXPECT_THAT(why_not(options), HasSubstr("context is 0"));
  options.context = 2;
  EXPECT_THAT(why_not(options), HasSubstr("has no train.*"));
  options.path = folder / "absent.u16";
  EXPECT_THAT(why_not(options), AllOf(HasSubstr("absent.u16"), HasSubstr("No such file")));
  options.path = folder / "odd.u16";
  spill(options.path, "abc");
  EXPECT_THAT(why_not(options), HasSubstr("truncated: 3 bytes are not whole 2-byte tokens"));
  spill(options.path, "abcd");
  EXPECT_THAT(why_not(options), HasSubstr("2 tokens give this split no sample of 2 + 1"));
  spill(options.path, "");
  EXPECT_THAT(why_not(options), HasSubstr("0 tokens"));
  spill(options.path, binary<uint16_t>({1, 2, 77, 4, 5, 6, 7, 8, 9}));
  options.vocab = 50;
  EXPECT_THAT(why_not(options), AllOf(HasSubstr("token 2 is 77"), HasSubstr("has 50")));
}

}  // namespace
}  // namespace ds::data
