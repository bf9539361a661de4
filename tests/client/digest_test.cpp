// SHA-256 as NIST gives it, and what counts as a name.
#include "proto/digest/digest.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

namespace ds::digest {
namespace {

std::string of(const std::string& text, size_t piece) {
  Sha256 sha;
  for (size_t at = 0; at < text.size(); at += piece) sha.update(absl::string_view(text).substr(at, piece));
  return sha.finish();
}

TEST(Digest, KnownAnswers) {  // FIPS 180-4's examples
  EXPECT_EQ(of("", 1), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(of("abc", 1), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(of(std::string(1000000, 'a'), 777),
            "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, NamesAreExact) {
  const std::string good = of("abc", 3);
  EXPECT_TRUE(is_digest(good));
  for (const std::string& bad :
       {std::string(), std::string("sha256:"), good.substr(7), good + "0", good.substr(0, good.size() - 1) + "G",
        "SHA256:" + good.substr(7), "sha256:../../" + good.substr(13)})
    EXPECT_FALSE(is_digest(bad)) << bad;
  EXPECT_EQ(hex_of(good), good.substr(7));
  EXPECT_EQ(brief(good), "sha256:ba7816bf8f01");
}

TEST(Digest, FilesAreReadWholeAndSayWhatIsWrong) {
  char name[] = "/tmp/ds-digest-XXXXXX";
  ::close(mkstemp(name));
  std::ofstream(name) << std::string(3000000, 'x');
  const auto found = digest_file(name);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->size, 3000000);
  EXPECT_EQ(found->digest, of(std::string(3000000, 'x'), 4096));
  EXPECT_TRUE(absl::IsCancelled(digest_file(name, [](int64_t) { return false; }).status()));
  unlink(name);
  EXPECT_TRUE(absl::IsNotFound(digest_file(name).status()));
  EXPECT_NE(digest_file(name).status().message().find(name), absl::string_view::npos);
  EXPECT_FALSE(digest_file("/tmp").ok()) << "a folder";
}

}  // namespace
}  // namespace ds::digest
