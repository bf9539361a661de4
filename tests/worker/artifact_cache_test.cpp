// The worker's cache of artifacts: fetched once, verified, kept while used, least recently used removed first.
#include "worker/artifact_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/time/clock.h"

namespace ds::worker {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string name_of(const std::string& text) {
  digest::Sha256 sha;
  sha.update(text);
  return sha.finish();
}

// A coordinator in memory. What it is to do wrong stands in a queue, one entry an attempt.
class FakeSource final : public ArtifactSource {
 public:
  struct Mishap {
    int64_t after = 0;  // bytes
    absl::Status status;
    bool flip = false;  // a bit, instead of breaking
  };

  std::string add(const std::string& text) {
    absl::MutexLock lock(&mutex_);
    content_[name_of(text)] = text;
    return name_of(text);
  }
  void plan(Mishap mishap) {
    absl::MutexLock lock(&mutex_);
    mishaps_.push_back(std::move(mishap));
  }
  void hold(bool yes) {
    absl::MutexLock lock(&mutex_);
    held_ = yes;
  }
  std::vector<int64_t> offsets() {
    absl::MutexLock lock(&mutex_);
    return offsets_;
  }
  int waiting() {
    absl::MutexLock lock(&mutex_);
    return waiting_;
  }

  absl::Status fetch(const std::string& digest, int64_t offset, const Sink& sink) override {
    std::string text;
    Mishap mishap{INT64_MAX, {}, false};
    {
      absl::MutexLock lock(&mutex_);
      offsets_.push_back(offset);
      if (!mishaps_.empty()) {
        mishap = mishaps_.front();
        mishaps_.pop_front();
      }
      auto found = content_.find(digest);
      if (found == content_.end()) return absl::NotFoundError("[artifact] " + digest + " is not here");
      text = found->second;
    }
    if (absl::Status s = sink.size(static_cast<int64_t>(text.size())); !s.ok()) return s;
    for (int64_t at = offset; at < static_cast<int64_t>(text.size()); at += kPiece) {
      if (at - offset >= mishap.after && !mishap.flip) return mishap.status;
      std::string piece = text.substr(at, kPiece);
      if (mishap.flip && at == offset) piece[0] ^= 1;
      if (absl::Status s = wait(sink, piece); !s.ok()) return s;
    }
    return at_end(mishap);
  }

 private:
  static constexpr int64_t kPiece = 100;

  static absl::Status at_end(const Mishap& mishap) {
    return mishap.flip || mishap.after == INT64_MAX ? absl::OkStatus() : mishap.status;
  }
  // While it is held, the same piece is offered as nothing: so it hears that nobody wants it.
  absl::Status wait(const Sink& sink, const std::string& piece) {
    absl::MutexLock lock(&mutex_);
    ++waiting_;
    absl::Status status;
    while (held_ && status.ok()) {
      mutex_.AwaitWithTimeout(absl::Condition(
                                  +[](bool* held) { return !*held; }, &held_),
                              absl::Milliseconds(5));
      mutex_.Unlock();
      status = sink.bytes("");
      mutex_.Lock();
    }
    --waiting_;
    if (!status.ok()) return status;
    mutex_.Unlock();
    status = sink.bytes(piece);
    mutex_.Lock();
    return status;
  }

  absl::Mutex mutex_;
  std::map<std::string, std::string> content_ ABSL_GUARDED_BY(mutex_);
  std::deque<Mishap> mishaps_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> offsets_ ABSL_GUARDED_BY(mutex_);  // of every attempt
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

class ArtifactCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ds-cache-XXXXXX";
    folder_ = mkdtemp(name);
    open();
  }
  void TearDown() override {
    source_.hold(false);
    cache_.reset();
    fs::remove_all(folder_);
  }
  void open(int64_t most = 1 << 20, absl::Duration patience = absl::Seconds(30)) {
    cache_.reset();
    cache_ = std::make_unique<ArtifactCache>(ArtifactCacheOptions{folder_, most, patience, 3}, source_,
                                             [this] { changes_.fetch_add(1); });
  }
  // Polls: the cache's own signal is for the supervisor.
  static bool eventually(const std::function<bool()>& what) {
    for (const absl::Time until = absl::Now() + absl::Seconds(30); !what(); absl::SleepFor(absl::Milliseconds(2))) {
      if (absl::Now() > until) return false;
    }
    return true;
  }
  ArtifactCache::View settle(const ArtifactCache::Lease& lease) {
    ArtifactCache::View view;
    EXPECT_TRUE(eventually([&] {
      view = cache_->look(lease);
      return view.ready || !view.status.ok();
    }));
    return view;
  }
  std::string file(const std::string& digest) { return folder_ + "/" + digest::hex_of(digest); }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  int files() { return static_cast<int>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator())); }
  static void spoil(const std::string& path) {
    chmod(path.c_str(), 0644);
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(3);
    stream.put('!');
  }

  std::string folder_;
  FakeSource source_;
  std::atomic<int> changes_{0};
  std::unique_ptr<ArtifactCache> cache_;
  const std::string text_ = std::string(950, 'm') + "end";
};

TEST_F(ArtifactCacheTest, IsFetchedOnceForAllWhoWantIt) {
  const std::string digest = source_.add(text_);
  source_.hold(true);
  std::vector<ArtifactCache::Lease> leases;
  for (int i = 0; i < 5; ++i) leases.push_back(cache_->acquire(digest));
  ASSERT_TRUE(eventually([&] { return source_.waiting() == 1; }));
  EXPECT_FALSE(cache_->look(leases[0]).ready);
  EXPECT_EQ(cache_->look(leases[0]).size, static_cast<int64_t>(text_.size())) << "known before the first byte";
  source_.hold(false);
  for (const auto& lease : leases) {
    const auto view = settle(lease);
    ASSERT_TRUE(view.ready) << view.status;
    EXPECT_EQ(read(view.path), text_);
  }
  EXPECT_EQ(source_.offsets().size(), 1u);
  EXPECT_EQ(cache_->stats().fetches, 1);
  EXPECT_EQ(cache_->stats().fetched_bytes, static_cast<int64_t>(text_.size()));
  EXPECT_TRUE(eventually([&] { return changes_ >= 1; }));
  leases.clear();
  EXPECT_TRUE(cache_->look(cache_->acquire(digest)).ready) << "still there, and known to be whole";
  EXPECT_EQ(source_.offsets().size(), 1u);
}

TEST_F(ArtifactCacheTest, ABrokenStreamGoesOnWhereItBroke) {
  const std::string digest = source_.add(text_);
  for (int i = 0; i < 3; ++i) source_.plan({200, absl::UnavailableError("Socket closed"), false});
  const auto lease = cache_->acquire(digest);
  ASSERT_TRUE(settle(lease).ready);
  EXPECT_EQ(read(file(digest)), text_);
  EXPECT_THAT(source_.offsets(), testing::ElementsAre(0, 200, 400, 600));
}

TEST_F(ArtifactCacheTest, WhatIsSpoiltOnTheWayComesAgain) {
  const std::string digest = source_.add(text_);
  source_.plan({0, {}, true});
  ASSERT_TRUE(settle(cache_->acquire(digest)).ready);
  const auto lease = cache_->acquire(digest);
  EXPECT_EQ(read(settle(lease).path), text_);
  EXPECT_THAT(source_.offsets(), testing::ElementsAre(0, 0));
}

TEST_F(ArtifactCacheTest, WhatIsAlwaysSpoiltIsDataLoss) {
  const std::string digest = source_.add(text_);
  for (int i = 0; i < 2; ++i) source_.plan({0, {}, true});
  const auto lease = cache_->acquire(digest);
  const auto view = settle(lease);
  EXPECT_TRUE(absl::IsDataLoss(view.status)) << view.status;
  EXPECT_THAT(std::string(view.status.message()), HasSubstr("what came for " + digest));
  EXPECT_EQ(files(), 0);
}

TEST_F(ArtifactCacheTest, ACoordinatorThatSaysDataLossIsBelieved) {
  const std::string digest = source_.add(text_);
  source_.plan({900, absl::DataLossError("is damaged on the coordinator's disk"), false});
  source_.plan({0, absl::NotFoundError("set aside meanwhile"), false});
  const auto lease = cache_->acquire(digest);
  EXPECT_THAT(std::string(settle(lease).status.message()), HasSubstr("is damaged on the coordinator's disk"));
}

TEST_F(ArtifactCacheTest, WhatTheCoordinatorLacksFailsAtOnceAndMayBeAskedForAgain) {
  const auto lease = cache_->acquire(name_of(text_));
  EXPECT_TRUE(absl::IsNotFound(settle(lease).status));
  EXPECT_EQ(source_.offsets().size(), 1u);
  source_.add(text_);
  const auto other = cache_->acquire(name_of(text_));
  EXPECT_TRUE(eventually([&] { return cache_->look(other).ready; }));
}

TEST_F(ArtifactCacheTest, PatienceEndsWithWords) {
  open(1 << 20, absl::Milliseconds(300));
  const std::string digest = source_.add(text_);
  for (int i = 0; i < 100; ++i) source_.plan({0, absl::UnavailableError("connection refused"), false});
  const auto lease = cache_->acquire(digest);
  const auto view = settle(lease);
  EXPECT_TRUE(absl::IsUnavailable(view.status)) << view.status;
  EXPECT_THAT(std::string(view.status.message()), HasSubstr("no more of the coordinator for 300ms"));
  EXPECT_THAT(std::string(view.status.message()), HasSubstr("connection refused"));
}

TEST_F(ArtifactCacheTest, ADamagedFileOfAnEarlierProcessIsFetchedAnew) {
  const std::string digest = source_.add(text_);
  { ASSERT_TRUE(settle(cache_->acquire(digest)).ready); }
  open();
  {
    const auto lease = cache_->acquire(digest);
    ASSERT_TRUE(settle(lease).ready);
    EXPECT_EQ(source_.offsets().size(), 1u) << "verified, not fetched";
  }
  spoil(file(digest));
  const auto lease = cache_->acquire(digest);  // in the same process: seen by its time and size
  ASSERT_TRUE(settle(lease).ready);
  EXPECT_EQ(read(file(digest)), text_);
  EXPECT_EQ(source_.offsets().size(), 2u);
}

TEST_F(ArtifactCacheTest, LeftoversOfAnEarlierProcessGo) {
  std::ofstream(folder_ + "/" + std::string(64, 'a') + ".part") << "half";
  std::ofstream(folder_ + "/.removed-7") << "gone";
  open();
  EXPECT_EQ(files(), 0);
}

TEST_F(ArtifactCacheTest, TheLeastRecentlyUsedMakesRoom) {
  open(1000);
  const std::string a = source_.add(std::string(400, 'a')), b = source_.add(std::string(400, 'b')),
                    c = source_.add(std::string(400, 'c'));
  ASSERT_TRUE(settle(cache_->acquire(a)).ready);
  ASSERT_TRUE(settle(cache_->acquire(b)).ready);
  ASSERT_TRUE(settle(cache_->acquire(a)).ready);
  ASSERT_TRUE(settle(cache_->acquire(c)).ready);
  EXPECT_TRUE(fs::exists(file(a)));
  EXPECT_FALSE(fs::exists(file(b)));
  EXPECT_TRUE(fs::exists(file(c)));
  EXPECT_EQ(cache_->stats().evictions, 1);
  EXPECT_EQ(cache_->stats().cached_bytes, 800);
}

TEST_F(ArtifactCacheTest, WhatIsUsedIsNeverRemoved) {
  open(1000);
  const std::string a = source_.add(std::string(400, 'a')), b = source_.add(std::string(400, 'b')),
                    c = source_.add(std::string(400, 'c'));
  auto used_a = cache_->acquire(a), used_b = cache_->acquire(b);
  ASSERT_TRUE(settle(used_a).ready);
  ASSERT_TRUE(settle(used_b).ready);
  {
    const auto lease = cache_->acquire(c);
    const auto view = settle(lease);
    EXPECT_TRUE(absl::IsResourceExhausted(view.status)) << view.status;
    EXPECT_THAT(std::string(view.status.message()), HasSubstr("of 400 bytes does not fit"));
    EXPECT_THAT(std::string(view.status.message()), HasSubstr("800 are in use"));
  }
  EXPECT_TRUE(fs::exists(file(a)) && fs::exists(file(b)));
  used_a.reset();
  const auto lease = cache_->acquire(c);
  EXPECT_TRUE(settle(lease).ready);
  EXPECT_FALSE(fs::exists(file(a)));
}

TEST_F(ArtifactCacheTest, NobodyWaitingEndsTheFetch) {
  const std::string digest = source_.add(text_);
  source_.hold(true);
  auto lease = cache_->acquire(digest);
  ASSERT_TRUE(eventually([&] { return source_.waiting() == 1; }));
  lease.reset();
  EXPECT_TRUE(eventually([&] { return source_.waiting() == 0 && files() == 0; }));
  source_.hold(false);
  const auto again = cache_->acquire(digest);
  EXPECT_TRUE(settle(again).ready);
}

TEST_F(ArtifactCacheTest, ItEndsWhileItFetches) {
  const std::string digest = source_.add(text_);
  source_.hold(true);
  auto lease = cache_->acquire(digest);
  ASSERT_TRUE(eventually([&] { return source_.waiting() == 1; }));
  lease.reset();
  cache_.reset();  // joins its threads
  EXPECT_EQ(source_.waiting(), 0);
}

}  // namespace
}  // namespace ds::worker
