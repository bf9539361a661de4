#include "engine/comm/inproc/inproc.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "engine/comm/collectives.h"
#include "engine/comm/cores.h"
#include "engine/comm/endpoints.h"

namespace ds::comm {
namespace {

using Clock = std::chrono::steady_clock;

// What one rank shows the others: a mailbox, its control block, and how it is doing.
struct Member {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<int, uint64_t>, std::deque<std::vector<std::byte>>> mail;  // by sender and tag
  uint64_t arrivals = 0;
  bool connected = false, left = false, aborted = false;
  ControlBlock control{};
};

// Everything the process has by number. Weak, so that the last user frees it.
template <class T>
class Directory {
 public:
  uint64_t add(std::weak_ptr<T> item) {
    std::lock_guard lock(mutex_);
    items_[++last_] = std::move(item);
    return last_;
  }
  void remove(uint64_t id) {
    std::lock_guard lock(mutex_);
    items_.erase(id);
  }
  std::shared_ptr<T> find(uint64_t id) {
    std::lock_guard lock(mutex_);
    const auto it = items_.find(id);
    return it == items_.end() ? nullptr : it->second.lock();
  }

 private:
  std::mutex mutex_;
  std::map<uint64_t, std::weak_ptr<T>> items_;
  uint64_t last_ = 0;
};

struct Memory {
  explicit Memory(size_t bytes) : data(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(4096)))) {}
  ~Memory() { ::operator delete(data, std::align_val_t(4096)); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::byte* data;
};

Directory<Member>& members() {
  static Directory<Member> directory;
  return directory;
}
Directory<Memory>& memories() {
  static Directory<Memory> directory;
  return directory;
}

class InprocSegment final : public Segment {
 public:
  explicit InprocSegment(size_t bytes)
      : memory_(std::make_shared<Memory>(bytes)),
        bytes_(bytes),
        id_(memories().add(memory_)),
        handle_(std::to_string(id_)) {}
  ~InprocSegment() override { memories().remove(id_); }
  void* data() override { return memory_->data; }
  size_t bytes() const override { return bytes_; }
  std::string_view handle() const override { return handle_; }

 private:
  std::shared_ptr<Memory> memory_;
  size_t bytes_;
  uint64_t id_;
  std::string handle_;
};

class InprocMapping final : public Mapping {
 public:
  explicit InprocMapping(std::shared_ptr<Memory> memory) : memory_(std::move(memory)) {}
  std::byte* data() override { return memory_->data; }

 private:
  std::shared_ptr<Memory> memory_;
};

class Arrival final : public Request::Handle {
 public:
  Arrival(Member& own, int peer, uint64_t tag, void* data, size_t bytes)
      : own_(own), key_(peer, tag), data_(data), bytes_(bytes) {}
  bool done() override {
    std::vector<std::byte> message;
    {
      std::lock_guard lock(own_.mutex);
      const auto it = own_.mail.find(key_);
      if (it == own_.mail.end()) return false;
      message = std::move(it->second.front());
      it->second.pop_front();
      if (it->second.empty()) own_.mail.erase(it);
    }
    if (message.size() != bytes_) {
      throw CommError("[receive] rank " + std::to_string(key_.first) + " sent " + std::to_string(message.size()) +
                      " bytes, " + std::to_string(bytes_) + " were expected");
    }
    if (bytes_ > 0) std::memcpy(data_, message.data(), bytes_);
    return true;
  }

 private:
  Member& own_;
  std::pair<int, uint64_t> key_;
  void* data_;
  size_t bytes_;
};

class InprocTransport final : public Transport {
 public:
  InprocTransport(const char* name, int rank, std::vector<std::shared_ptr<Member>> members, bool share_memory)
      : name_(name), rank_(rank), members_(std::move(members)), share_memory_(share_memory) {}
  ~InprocTransport() override {
    tell_all([](Member& self) { self.left = true; });
  }

  const char* name() const override { return name_; }
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(members_.size()); }
  bool crowded() const override { return size() > usable_cores().count(); }
  bool shares_memory() const override { return share_memory_; }
  ControlBlock* control(int rank) override { return share_memory_ ? &members_[rank]->control : nullptr; }
  std::shared_ptr<Segment> allocate(size_t bytes) override { return std::make_shared<InprocSegment>(bytes); }
  std::shared_ptr<Mapping> map(int rank, std::string_view handle) override {
    auto memory = memories().find(std::stoull(std::string(handle)));
    if (!memory) throw CommError("[map] rank " + std::to_string(rank) + " has freed a buffer that a collective uses");
    return std::make_shared<InprocMapping>(std::move(memory));
  }

  Request send(int peer, uint64_t tag, const void* data, size_t bytes) override {
    const std::byte* begin = static_cast<const std::byte*>(data);
    Member& to = *members_[peer];
    std::lock_guard lock(to.mutex);
    to.mail[{rank_, tag}].emplace_back(begin, begin + bytes);
    ++to.arrivals;
    to.changed.notify_all();
    return {};
  }
  Request receive(int peer, uint64_t tag, void* data, size_t bytes) override {
    return {peer, std::make_unique<Arrival>(*members_[rank_], peer, tag, data, bytes)};
  }
  void progress() override {}
  bool busy() const override { return false; }
  void sleep(std::chrono::microseconds limit) override {
    Member& own = *members_[rank_];
    std::unique_lock lock(own.mutex);
    own.changed.wait_for(lock, limit, [&] { return own.arrivals != seen_; });
    seen_ = own.arrivals;
  }
  PeerState state(int peer, std::string& why) override {
    Member& member = *members_[peer];
    std::lock_guard lock(member.mutex);
    if (member.aborted) why = "it aborted the group";
    return member.aborted ? PeerState::lost : member.left ? PeerState::left : PeerState::here;
  }
  void shut() override {
    tell_all([](Member& self) { self.aborted = true; });
  }

 private:
  template <class Change>
  void tell_all(Change change) {
    {
      std::lock_guard lock(members_[rank_]->mutex);
      change(*members_[rank_]);
    }
    for (auto& member : members_) {
      std::lock_guard lock(member->mutex);
      ++member->arrivals;
      member->changed.notify_all();
    }
  }

  const char* name_;
  int rank_;
  std::vector<std::shared_ptr<Member>> members_;
  bool share_memory_;
  uint64_t seen_ = 0;
};

class InprocEndpoint final : public Endpoint {
 public:
  InprocEndpoint(const char* name, bool share_memory)
      : name_(name), share_memory_(share_memory), own_(std::make_shared<Member>()), id_(members().add(own_)) {}
  ~InprocEndpoint() override { members().remove(id_); }
  std::string address() const override { return "inproc:" + std::to_string(id_); }

  std::unique_ptr<Communicator> connect(int rank, std::span<const std::string> addresses,
                                        double timeout_seconds) override {
    if (rank < 0 || rank >= static_cast<int>(addresses.size()) || addresses[rank] != address()) {
      throw CommError("[connect] rank " + std::to_string(rank) + " of " + std::to_string(addresses.size()) +
                      " is not at this endpoint's address");
    }
    std::vector<std::shared_ptr<Member>> group;
    for (const std::string& a : addresses) {
      auto member = a.rfind("inproc:", 0) == 0 ? members().find(std::stoull(a.substr(7))) : nullptr;
      if (!member) throw CommError("[connect] no endpoint of this process has the address '" + a + "'");
      group.push_back(std::move(member));
    }
    arrive();
    const auto deadline = Clock::now() + std::chrono::duration<double>(timeout_seconds);
    for (size_t r = 0; r < group.size(); ++r) {
      std::unique_lock lock(group[r]->mutex);
      if (!group[r]->changed.wait_until(lock, deadline, [&] { return group[r]->connected; })) {
        throw CommError("[connect] rank " + std::to_string(r) + " has not come within " +
                        std::to_string(timeout_seconds) + " s");
      }
    }
    return std::make_unique<Collectives>(
        std::make_unique<InprocTransport>(name_, rank, std::move(group), share_memory_));
  }

 private:
  void arrive() {
    std::lock_guard lock(own_->mutex);
    if (own_->connected) throw CommError("[connect] this endpoint is already part of a group");
    own_->connected = true;
    own_->changed.notify_all();
  }

  const char* name_;
  bool share_memory_;
  std::shared_ptr<Member> own_;
  uint64_t id_;
};

}  // namespace

std::unique_ptr<Endpoint> make_inproc_named(const char* name, const EndpointOptions& options) {
  return std::make_unique<InprocEndpoint>(name, options.share_memory);
}

std::unique_ptr<Endpoint> make_inproc(const EndpointOptions& options) { return make_inproc_named("inproc", options); }

}  // namespace ds::comm
