// Artifacts on disk: whole or not there, durable under their name, damage found and set aside, old ones collected.
#include "coordinator/store/artifacts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/time/clock.h"

namespace ds::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string name_of(const std::string& text) {
  digest::Sha256 sha;
  sha.update(text);
  return sha.finish();
}

class ArtifactsTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ds-artifacts-XXXXXX";
    folder_ = mkdtemp(name);
    open();
  }
  void TearDown() override { fs::remove_all(folder_); }

  void open(int64_t most = 64 << 20) {
    auto opened = Artifacts::open(folder_, most);
    ASSERT_TRUE(opened.ok()) << opened.status();
    artifacts_ = *std::move(opened);
  }
  // Under another name than its own, if one is given.
  absl::Status put(const std::string& text, std::string name = "", size_t piece = 1000) {
    if (name.empty()) name = name_of(text);
    auto writer = artifacts_->put(name, static_cast<int64_t>(text.size()));
    if (!writer.ok()) return writer.status();
    for (size_t at = 0; at < text.size(); at += piece) {
      if (absl::Status s = (*writer)->write(absl::string_view(text).substr(at, piece)); !s.ok()) return s;
    }
    return (*writer)->commit().status();
  }
  absl::StatusOr<std::string> get(const std::string& digest, int64_t offset = 0) {
    auto reader = artifacts_->read(digest, offset);
    if (!reader.ok()) return reader.status();
    std::string text;
    while (true) {
      auto bytes = (*reader)->next();
      if (!bytes.ok()) return bytes.status();
      if (bytes->empty()) return text;
      text.append(bytes->data(), bytes->size());
    }
  }
  std::string file(const std::string& digest) { return folder_ + "/" + digest::hex_of(digest); }
  int files() { return static_cast<int>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator())); }
  void used(const std::string& digest, absl::Time when) {
    const timespec both[2] = {absl::ToTimespec(when), absl::ToTimespec(when)};
    ASSERT_EQ(utimensat(AT_FDCWD, file(digest).c_str(), both, 0), 0);
  }

  std::string folder_;
  std::unique_ptr<Artifacts> artifacts_;
  const std::string big_ = std::string(3 << 20, 'x') + "end";
};

TEST_F(ArtifactsTest, WhatWasPutIsThereAfterARestart) {
  ASSERT_TRUE(put(big_).ok());
  ASSERT_TRUE(put("").ok()) << "an empty file is a file";
  open();
  EXPECT_EQ(*get(name_of(big_)), big_);
  EXPECT_EQ(*get(name_of("")), "");
  EXPECT_EQ(artifacts_->stat(name_of(big_))->size, static_cast<int64_t>(big_.size()));
  EXPECT_EQ(artifacts_->list().size(), 2u);
  EXPECT_EQ(*get(name_of(big_), big_.size() - 3), "end");
  EXPECT_TRUE(absl::IsOutOfRange(get(name_of(big_), big_.size() + 1).status()));
}

TEST_F(ArtifactsTest, OtherBytesThanPromisedLeaveNothing) {
  const absl::Status other = put("hello", name_of("hullo"));
  EXPECT_TRUE(absl::IsInvalidArgument(other));
  EXPECT_THAT(std::string(other.message()), HasSubstr(name_of("hello")));
  auto few = artifacts_->put(name_of("hello"), 5);
  ASSERT_TRUE((*few)->write("hell").ok());
  EXPECT_THAT(std::string((*few)->commit().status().message()), HasSubstr("4 bytes came of the 5"));
  few->reset();
  auto many = artifacts_->put(name_of("hello"), 5);
  EXPECT_THAT(std::string((*many)->write("hello!").message()), HasSubstr("more bytes came than the 5"));
  many->reset();
  EXPECT_EQ(files(), 0);
}

TEST_F(ArtifactsTest, NamesThatAreNoDigestsTouchNoFile) {
  for (const std::string& name : {std::string("sha256:../../etc/passwd"), std::string(), std::string("x")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(artifacts_->stat(name).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(artifacts_->use(name).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(artifacts_->put(name, 1).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(artifacts_->read(name).status())) << name;
  }
  EXPECT_TRUE(absl::IsNotFound(artifacts_->stat(name_of("a")).status()));
  EXPECT_TRUE(absl::IsNotFound(artifacts_->read(name_of("a")).status()));
}

TEST_F(ArtifactsTest, WhatDoesNotFitIsRefusedBeforeAByte) {
  open(1000);
  const absl::Status above = put(std::string(1001, 'a'));
  EXPECT_TRUE(absl::IsResourceExhausted(above));
  EXPECT_THAT(std::string(above.message()), HasSubstr("1001 bytes is above this coordinator's limit of 1000"));
  open(INT64_MAX);
  const absl::Status full = artifacts_->put(name_of("a"), int64_t{1} << 60).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_THAT(std::string(full.message()), HasSubstr("are free in " + folder_));
  EXPECT_EQ(files(), 0);
}

TEST_F(ArtifactsTest, AnUnfinishedPutOfAnEarlierProcessGoes) {
  auto writer = artifacts_->put(name_of(big_), static_cast<int64_t>(big_.size()));
  ASSERT_TRUE((*writer)->write("xxx").ok());
  EXPECT_EQ(files(), 1);
  EXPECT_TRUE(artifacts_->list().empty());
  open();  // as after a kill
  EXPECT_EQ(files(), 0);
}

TEST_F(ArtifactsTest, DamageIsNamedAndSetAside) {
  const std::string digest = name_of(big_);
  for (const bool truncated : {false, true}) {
    ASSERT_TRUE(put(big_).ok());
    chmod(file(digest).c_str(), 0644);
    if (truncated) fs::resize_file(file(digest), big_.size() / 2);
    if (!truncated) {
      std::fstream stream(file(digest), std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(12345);
      stream.put('y');
    }
    const absl::Status status = get(digest).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(digest + " is damaged on the coordinator's disk"));
    for (const absl::Status& again : {get(digest).status(), artifacts_->stat(digest).status()}) {
      EXPECT_TRUE(absl::IsDataLoss(again)) << "the second who asks hears it, too: " << again;
    }
    EXPECT_TRUE(artifacts_->list().empty());
  }
  ASSERT_TRUE(put(big_).ok());
  EXPECT_EQ(*get(digest), big_);
  EXPECT_EQ(files(), 1) << "put right: nothing is left of the damaged one";
}

TEST_F(ArtifactsTest, PutsOfOneFileAtATimeAgree) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&, i] { good += put(big_, "", 1000 + 777 * i).ok(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 8);
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(*get(name_of(big_)), big_);
}

TEST_F(ArtifactsTest, OnlyWhatNobodyNeedsIsCollected) {
  const absl::Time now = absl::Now(), since = now - absl::Hours(1), old = now - absl::Hours(2);
  for (const char* text : {"live", "ended lately", "ended long ago", "orphan", "new"}) ASSERT_TRUE(put(text).ok());
  for (const char* text : {"live", "ended lately", "ended long ago", "orphan"}) used(name_of(text), old);
  const std::map<std::string, absl::Time> needed = {{name_of("live"), absl::InfiniteFuture()},
                                                    {name_of("ended lately"), now - absl::Minutes(1)},
                                                    {name_of("ended long ago"), old}};
  EXPECT_EQ(artifacts_->collect(needed, since), 2);
  for (const char* text : {"live", "ended lately", "new"}) EXPECT_TRUE(get(name_of(text)).ok()) << text;
  for (const char* text : {"orphan", "ended long ago"}) EXPECT_FALSE(get(name_of(text)).ok()) << text;
}

TEST_F(ArtifactsTest, AUseKeepsIt) {
  ASSERT_TRUE(put("a").ok());
  used(name_of("a"), absl::Now() - absl::Hours(2));
  EXPECT_LT(artifacts_->use(name_of("a"))->used - absl::Now(), absl::Minutes(1));
  EXPECT_EQ(artifacts_->collect({}, absl::Now() - absl::Hours(1)), 0);
  auto reader = artifacts_->read(name_of("a"));
  EXPECT_EQ(artifacts_->collect({}, absl::Now() + absl::Hours(1)), 1);
  EXPECT_EQ(*(*reader)->next(), "a") << "who reads it already is not disturbed";
}

}  // namespace
}  // namespace ds::coordinator
