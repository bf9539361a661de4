#include "engine/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/data/dataset.h"
#include "engine/data/decode_cache.h"
#include "tests/data/idx_file.h"
#include "tests/io/folder.h"

namespace ds::data {
namespace {

using ::ds::testing::big_endian;
using ::ds::testing::Folder;
using ::ds::testing::gzipped;
using ::ds::testing::idx_file;
using ::ds::testing::message_of;
using ::ds::testing::slurp;
using ::ds::testing::spill;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string text_of(const IdxArray& array) {
  return {reinterpret_cast<const char*>(array.data.get()), static_cast<size_t>(array.elements())};
}

std::string refusal(const std::string& bytes, int64_t rank = 2) {
  const Folder folder;
  spill(folder / "x.idx", bytes);
  return message_of<DataError>([&] { read_idx(folder / "x.idx", rank); });
}

TEST(Idx, ReadsPlainAndGzip) {
  const Folder folder;
  spill(folder / "plain", idx_file({2, 3}, "abcdef"));
  spill(folder / "packed", gzipped(idx_file({2, 3}, "abcdef")));
  for (const char* name : {"plain", "packed"}) {
    const IdxArray array = read_idx(folder / name, 2);
    EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(text_of(array), "abcdef");
  }
  spill(folder / "empty", idx_file({0, 3}, ""));
  EXPECT_EQ(read_idx(folder / "empty", 2).elements(), 0);
}

TEST(Idx, NamesFileFieldAndValue) {
  EXPECT_THAT(refusal(idx_file({2, 3}, "abcdef", 0x0d)),
              AllOf(HasSubstr("x.idx"), HasSubstr("magic is 0x00000d02"), HasSubstr("0x00000802")));
  EXPECT_THAT(refusal(idx_file({6}, "abcdef")), HasSubstr("magic is 0x00000801"));
  EXPECT_THAT(refusal("PNG\n..."), HasSubstr("magic is 0x504e470a"));
  EXPECT_THAT(refusal(""), HasSubstr("magic has 0 bytes"));
  EXPECT_THAT(refusal(big_endian(0x802) + big_endian(2)), HasSubstr("extent 1 is missing"));
  EXPECT_THAT(refusal(idx_file({2, 3}, "abcde")), HasSubstr("need 6 bytes, there are 5"));
  EXPECT_THAT(refusal(idx_file({2, 3}, "abcdefg")), HasSubstr("bytes are left behind the 6"));
  EXPECT_THAT(refusal(idx_file({1u << 31, 3}, "abc")), HasSubstr("truncated: the extents need 6442450944 bytes"));
  EXPECT_THAT(refusal(idx_file({~0u, ~0u}, "abc")), HasSubstr("extent 1 is 4294967295, too large"));
  EXPECT_THAT(message_of<DataError>([] { read_idx("/no/such.idx", 1); }),
              AllOf(HasSubstr("/no/such.idx"), HasSubstr("No such file")));
}

TEST(Idx, RefusesEveryTruncationAndDamageOfAGzipFile) {
  std::string elements(600, 'x');
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<char>(i * i % 251);
  const std::string good = gzipped(idx_file({20, 30}, elements));
  for (size_t n = 0; n < good.size(); ++n) EXPECT_NE(refusal(good.substr(0, n)), "") << n;
  EXPECT_THAT(refusal(good.substr(0, good.size() - 9)), HasSubstr("truncated"));
  EXPECT_THAT(refusal(good + "tail"), HasSubstr("4 bytes behind the gzip stream"));
  constexpr size_t kHeader = 10;  // its time and system fields may be anything
  for (size_t at = kHeader; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] ^= 0x10;
    EXPECT_NE(refusal(bad), "") << at;
  }
}

TEST(DecodeCache, IsUsedAndForgotWhenTheSourceChangesOrItIsDamaged) {
  const Folder folder, cache;
  const std::string path = folder / "x";
  spill(path, gzipped(idx_file({2, 3}, "abcdef")));
  EXPECT_EQ(text_of(read_idx(path, 2, cache.path())), "abcdef");
  const auto entry = std::filesystem::directory_iterator(cache.path())->path().string();
  const std::string cached = slurp(entry);

  IdxArray array;
  EXPECT_TRUE(DecodeCache(cache.path(), path).load(2, &array));
  EXPECT_EQ(text_of(array), "abcdef");
  EXPECT_FALSE(DecodeCache(cache.path(), path).load(3, &array));
  EXPECT_EQ(text_of(read_idx(path, 2, cache.path())), "abcdef");

  for (size_t at : {size_t{3}, size_t{20}, cached.size() - 1}) {
    std::string bad = cached;
    bad[at] ^= 4;
    spill(entry, bad);
    EXPECT_FALSE(DecodeCache(cache.path(), path).load(2, &array)) << at;
    EXPECT_EQ(text_of(read_idx(path, 2, cache.path())), "abcdef");
    EXPECT_TRUE(DecodeCache(cache.path(), path).load(2, &array));  // written anew
  }
  spill(path, gzipped(idx_file({2, 3}, "ABCDEFG").substr(0, 18)));
  EXPECT_EQ(text_of(read_idx(path, 2, cache.path())), "ABCDEF");
}

TEST(DecodeCache, ThatCannotBeWrittenIsPassedOver) {
  const Folder folder;
  spill(folder / "x", gzipped(idx_file({2, 3}, "abcdef")));
  spill(folder / "file", "");
  EXPECT_EQ(text_of(read_idx(folder / "x", 2, folder / "file/below")), "abcdef");
}

}  // namespace
}  // namespace ds::data
