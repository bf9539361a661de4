#include "coordinator/presence.h"

#include "absl/strings/str_cat.h"

namespace ds::coordinator {
namespace {

constexpr absl::Duration kLate = absl::Seconds(1);  // sweeps come ten times a second

}  // namespace

void Presence::expect(const std::string& worker, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  seats_[worker] = {nullptr, now, kReturn};
}

void Presence::attach(const std::string& worker, std::shared_ptr<Line> line, absl::Time now) {
  std::shared_ptr<Line> older;
  {
    absl::MutexLock lock(&mutex_);
    Seat& seat = seats_[worker];
    older = std::move(seat.line);
    seat = {std::move(line), now, kSilence};
  }
  if (older) older->fence(absl::StrCat("a newer stream of worker ", worker, " has registered"));
}

void Presence::detach(const std::string& worker, const Line* line, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  auto seat = seats_.find(worker);
  if (seat == seats_.end() || seat->second.line.get() != line) return;
  seat->second = {nullptr, now, kAway};
}

bool Presence::heard(const std::string& worker, const Line* line, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  auto seat = seats_.find(worker);
  if (seat == seats_.end() || seat->second.line.get() != line) return false;
  seat->second.heard = now;
  return true;
}

bool Presence::current(const std::string& worker, const Line* line) {
  absl::MutexLock lock(&mutex_);
  auto seat = seats_.find(worker);
  return seat != seats_.end() && seat->second.line.get() == line;
}

bool Presence::attached(const std::string& worker) {
  absl::MutexLock lock(&mutex_);
  auto seat = seats_.find(worker);
  return seat != seats_.end() && seat->second.line;
}

void Presence::forget(const std::string& worker) {
  absl::MutexLock lock(&mutex_);
  auto seat = seats_.find(worker);
  if (seat != seats_.end() && !seat->second.line) seats_.erase(seat);
}

void Presence::send(const std::string& worker, v1::CoordinatorMessage message) {
  std::shared_ptr<Line> line;
  {
    absl::MutexLock lock(&mutex_);
    auto seat = seats_.find(worker);
    if (seat != seats_.end()) line = seat->second.line;
  }
  if (line) line->deliver(std::move(message));
}

absl::Time Presence::last_heard(const std::string& worker) {
  absl::MutexLock lock(&mutex_);
  auto seat = seats_.find(worker);
  return seat == seats_.end() ? absl::InfinitePast() : seat->second.heard;
}

std::vector<Presence::Gone> Presence::sweep(absl::Time now) {
  std::vector<Gone> gone;
  std::vector<std::shared_ptr<Line>> cut;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Duration gap = now - swept_;
    swept_ = now;
    for (auto seat = seats_.begin(); seat != seats_.end();) {
      if (gap > kLate) seat->second.heard += gap;
      const absl::Duration silent = now - seat->second.heard;
      if (silent < seat->second.patience) {
        ++seat;
        continue;
      }
      const bool away = !seat->second.line;
      gone.push_back({seat->first, absl::StrCat(away ? "its stream broke and it did not come back within "
                                                     : "its stream has been silent for ",
                                                absl::FormatDuration(seat->second.patience))});
      if (!away) cut.push_back(std::move(seat->second.line));
      seat = seats_.erase(seat);
    }
  }
  for (auto& line : cut) line->cut();
  return gone;
}

}  // namespace ds::coordinator
