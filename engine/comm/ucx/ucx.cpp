// Ranks are processes. On one host they load and store each other's segments; between hosts they send messages over
// whatever UCX finds: TCP, RDMA.
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <thread>
#include <vector>

#include "engine/comm/collectives.h"
#include "engine/comm/cores.h"
#include "engine/comm/endpoints.h"
#include "engine/comm/futex.h"
#include "engine/comm/ucx/address.h"
#include "engine/comm/ucx/context.h"

namespace ds::comm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kHello = 5ull << 40, kGoodbye = 6ull << 40;
constexpr std::chrono::seconds kPatienceWithPeers{2};  // that a goodbye, or dropping a connection, may take

uint64_t full_tag(int source, uint64_t tag) { return static_cast<uint64_t>(source) << 48 | tag; }

class Worker {
 public:
  explicit Worker(ucp_context_h context) {
    ucp_worker_params_t params{};
    params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
    if (const ucs_status_t s = ucp_worker_create(context, &params, &worker_); s != UCS_OK) throw_ucx("[ucx] worker", s);
    ucp_worker_get_efd(worker_, &event_);
  }
  ~Worker() { ucp_worker_destroy(worker_); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ucp_worker_h get() const { return worker_; }
  int event() const { return event_; }
  std::string address() const {
    ucp_address_t* address = nullptr;
    size_t bytes = 0;
    if (const ucs_status_t s = ucp_worker_get_address(worker_, &address, &bytes); s != UCS_OK)
      throw_ucx("[ucx] address", s);
    std::string copy(reinterpret_cast<const char*>(address), bytes);
    ucp_worker_release_address(worker_, address);
    return copy;
  }

 private:
  ucp_worker_h worker_ = nullptr;
  int event_ = -1;
};

// Everything of one endpoint that its communicator takes over.
struct Local {
  explicit Local(const EndpointOptions& o)
      : options(o),
        context(std::make_shared<UcxContext>(o)),
        worker(context->get()),
        segment(context, sizeof(ControlBlock)),
        control(new (segment.data()) ControlBlock{}) {
    std::random_device random;
    control->token = static_cast<uint64_t>(random()) << 32 | random();
  }
  EndpointOptions options;
  std::shared_ptr<UcxContext> context;
  Worker worker;
  UcxSegment segment;
  ControlBlock* control;
};

class UcxRequest final : public Request::Handle {
 public:
  UcxRequest(ucp_worker_h worker, void* request, int peer, bool receive, size_t bytes, int& under_way)
      : worker_(worker), request_(request), peer_(peer), receive_(receive), bytes_(bytes), under_way_(under_way) {
    ++under_way_;
  }
  ~UcxRequest() override {
    --under_way_;
    if (!request_) return;
    if (ucp_request_check_status(request_) == UCS_INPROGRESS) ucp_request_cancel(worker_, request_);
    ucp_request_free(request_);
  }
  bool done() override {
    ucp_tag_recv_info_t info{};
    info.length = bytes_;
    const ucs_status_t status =
        receive_ ? ucp_tag_recv_request_test(request_, &info) : ucp_request_check_status(request_);
    if (status == UCS_INPROGRESS) return false;
    ucp_request_free(std::exchange(request_, nullptr));
    check(status, info.length, bytes_, peer_, receive_);
    return true;
  }
  static void check(ucs_status_t status, size_t got, size_t expected, int peer, bool receive) {
    if (status == UCS_OK && got == expected) return;
    if (status == UCS_OK || status == UCS_ERR_MESSAGE_TRUNCATED) {
      throw CommError("[receive] rank " + std::to_string(peer) + " sent " +
                      (status == UCS_OK ? std::to_string(got) : "more than " + std::to_string(expected)) + " bytes, " +
                      std::to_string(expected) + " were expected");
    }
    throw_ucx(std::string(receive ? "[receive] from" : "[send] to") + " rank " + std::to_string(peer), status);
  }

 private:
  ucp_worker_h worker_;
  void* request_;
  int peer_;
  bool receive_;
  size_t bytes_;
  int& under_way_;
};

struct Peer {
  ucp_ep_h endpoint = nullptr;
  UcxAddress address;
  std::unique_ptr<UcxMapping> control;  // null where memory is not shared
  int process = -1;                     // a file descriptor that becomes readable when the process ends
  bool failed = false, left = false;
  ucs_status_t status = UCS_OK;
  std::byte goodbye{};
  Request goodbye_received;
};

class UcxTransport final : public Transport {
 public:
  UcxTransport(std::unique_ptr<Local> local, int rank, std::span<const std::string> addresses, double timeout_seconds);
  ~UcxTransport() override;

  const char* name() const override { return "ucx"; }
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(peers_.size()); }
  bool crowded() const override { return crowded_; }
  bool shares_memory() const override { return shares_memory_; }
  ControlBlock* control(int rank) override {
    if (rank == rank_) return local_->control;
    return reinterpret_cast<ControlBlock*>(peers_[rank]->control->data());
  }
  std::shared_ptr<Segment> allocate(size_t bytes) override {
    return std::make_shared<UcxSegment>(local_->context, bytes);
  }
  std::shared_ptr<Mapping> map(int rank, std::string_view handle) override {
    return std::make_shared<UcxMapping>(peers_[rank]->endpoint, rank, handle);
  }
  Request send(int peer, uint64_t tag, const void* data, size_t bytes) override;
  Request receive(int peer, uint64_t tag, void* data, size_t bytes) override;
  void progress() override {
    for (int i = 0; i < 16 && ucp_worker_progress(local_->worker.get()) != 0; ++i) {
    }
  }
  bool busy() const override { return under_way_ > goodbyes_; }
  void sleep(std::chrono::microseconds limit) override;
  PeerState state(int peer, std::string& why) override;
  void shut() override { close(UCP_EP_CLOSE_FLAG_FORCE); }

 private:
  void connect(int rank, const std::string& address);
  void agree(Clock::time_point deadline);
  void count_cores();
  void watch_processes();
  void say_goodbye();
  void close(unsigned flags);
  template <class Condition>
  bool progress_until(Clock::time_point deadline, Condition);

  std::unique_ptr<Local> local_;
  int rank_;
  bool shares_memory_ = false, crowded_ = false, shut_ = false;
  int under_way_ = 0, goodbyes_ = 0;
  std::vector<std::unique_ptr<Peer>> peers_;
};

UcxTransport::UcxTransport(std::unique_ptr<Local> local, int rank, std::span<const std::string> addresses,
                           double timeout_seconds)
    : local_(std::move(local)), rank_(rank) {
  const auto deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_seconds));
  for (size_t r = 0; r < addresses.size(); ++r) connect(static_cast<int>(r), addresses[r]);
  count_cores();
  try {
    agree(deadline);
  } catch (...) {
    close(UCP_EP_CLOSE_FLAG_FORCE);
    throw;
  }
  watch_processes();
}

void UcxTransport::connect(int rank, const std::string& bytes) {
  peers_.push_back(std::make_unique<Peer>());
  Peer& peer = *peers_.back();
  peer.address = UcxAddress::decode(bytes);
  ucp_ep_params_t params{};
  params.field_mask =
      UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(peer.address.worker.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.arg = &peer;
  params.err_handler.cb = [](void* arg, ucp_ep_h, ucs_status_t status) {
    static_cast<Peer*>(arg)->failed = true;
    static_cast<Peer*>(arg)->status = status;
  };
  if (const ucs_status_t s = ucp_ep_create(local_->worker.get(), &params, &peer.endpoint); s != UCS_OK) {
    throw_ucx("[connect] to rank " + std::to_string(rank), s);
  }
}

// Everybody tells everybody whether it reaches all memory; that also proves the connections.
void UcxTransport::agree(Clock::time_point deadline) {
  std::byte reaches{1};
  for (int r = 0; r < size(); ++r) {
    Peer& peer = *peers_[r];
    const UcxAddress& mine = peers_[rank_]->address;
    if (!mine.shares || !peer.address.shares || peer.address.host != mine.host) reaches = std::byte{0};
    if (reaches == std::byte{0} || r == rank_) continue;
    try {
      peer.control = std::make_unique<UcxMapping>(peer.endpoint, r, peer.address.control);
      if (control(r)->token != peer.address.token) reaches = std::byte{0};
    } catch (const CommError&) {
      reaches = std::byte{0};
    }
  }
  std::vector<std::byte> all(size(), reaches);
  std::vector<Request> sent, received(size());
  for (int r = 0; r < size(); ++r) {
    if (r == rank_) continue;
    received[r] = receive(r, kHello, &all[r], 1);
    peers_[r]->goodbye_received = receive(r, kGoodbye, &peers_[r]->goodbye, 1);
    ++goodbyes_;
    sent.push_back(send(r, kHello, &reaches, 1));
  }
  if (!progress_until(deadline, [&] { return pending(received) == kReady && pending(sent) == kReady; })) {
    throw CommError("[connect] rank " + std::to_string(std::max(0, pending(received))) + " has not answered in time");
  }
  shares_memory_ = std::all_of(all.begin(), all.end(), [](std::byte b) { return b == std::byte{1}; });
  if (shares_memory_) return;
  for (auto& p : peers_) p->control.reset();
}

// A rank may be bound to cores of its own: what counts is what the ranks of a host have together.
void UcxTransport::count_cores() {
  std::map<std::string, std::pair<int, Cores>> hosts;
  for (const auto& p : peers_) {
    auto& [ranks, cores] = hosts[p->address.host];
    ++ranks;
    cores.add(Cores(p->address.cores));
  }
  for (const auto& [name, host] : hosts) crowded_ = crowded_ || host.first > host.second.count();
}

void UcxTransport::watch_processes() {
  if (!shares_memory_) return;  // the connection tells
  for (int r = 0; r < size(); ++r) {
    if (r == rank_) continue;
    const pid_t pid = static_cast<pid_t>(peers_[r]->address.pid);
    if (pid != getpid()) peers_[r]->process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  }
}

template <class Condition>
bool UcxTransport::progress_until(Clock::time_point deadline, Condition condition) {
  for (int polls = 0; !condition(); ++polls) {
    if (Clock::now() >= deadline) return false;
    progress();
    if (polls > 1000) sleep(std::chrono::microseconds(200));
  }
  return true;
}

Request UcxTransport::send(int peer, uint64_t tag, const void* data, size_t bytes) {
  ucp_request_param_t param{};
  const ucs_status_ptr_t request = ucp_tag_send_nbx(peers_[peer]->endpoint, data, bytes, full_tag(rank_, tag), &param);
  if (!UCS_PTR_IS_PTR(request)) {
    UcxRequest::check(UCS_PTR_STATUS(request), bytes, bytes, peer, false);
    return {};
  }
  return {peer, std::make_unique<UcxRequest>(local_->worker.get(), request, peer, false, bytes, under_way_)};
}

Request UcxTransport::receive(int peer, uint64_t tag, void* data, size_t bytes) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;  // so that the length can be asked for
  const ucs_status_ptr_t request =
      ucp_tag_recv_nbx(local_->worker.get(), data, bytes, full_tag(peer, tag), ~0ull, &param);
  if (!UCS_PTR_IS_PTR(request)) UcxRequest::check(UCS_PTR_STATUS(request), bytes, bytes, peer, true);
  return {peer, std::make_unique<UcxRequest>(local_->worker.get(), request, peer, true, bytes, under_way_)};
}

void UcxTransport::sleep(std::chrono::microseconds limit) {
  // Refused while something waits to be progressed.
  if (ucp_worker_arm(local_->worker.get()) != UCS_OK) return;
  pollfd event{local_->worker.event(), POLLIN, 0};
  const timespec t{static_cast<time_t>(limit.count() / 1000000), static_cast<long>(limit.count() % 1000000 * 1000)};
  ppoll(&event, 1, &t, nullptr);
}

PeerState UcxTransport::state(int r, std::string& why) {
  Peer& peer = *peers_[r];
  if (r == rank_) return PeerState::here;
  if (!peer.left && !shut_) {
    // A goodbye may be fresher than the error that follows it.
    try {
      progress();
      peer.left = peer.goodbye_received.pending() == kReady;
    } catch (const CommError&) {
      peer.failed = true;
    }
  }
  if (peer.left || (peer.control && control(r)->left.load(std::memory_order_acquire))) return PeerState::left;
  if (peer.process >= 0) {
    pollfd ended{peer.process, POLLIN, 0};
    if (poll(&ended, 1, 0) == 1) {
      why = "its process " + std::to_string(peer.address.pid) + " has ended";
      return PeerState::lost;
    }
  }
  if (!peer.failed) return PeerState::here;
  why = ucs_status_string(peer.status);
  return PeerState::lost;
}

void UcxTransport::say_goodbye() {
  const std::byte goodbye{1};
  std::vector<Request> sent;
  for (int r = 0; r < size(); ++r) {
    std::string why;
    if (r == rank_ || state(r, why) != PeerState::here) continue;
    try {
      sent.push_back(send(r, kGoodbye, &goodbye, 1));
    } catch (const CommError&) {
      // it went first
    }
  }
  progress_until(Clock::now() + kPatienceWithPeers, [&] {
    try {
      return pending(sent) == kReady;
    } catch (const CommError&) {
      return true;
    }
  });
}

void UcxTransport::close(unsigned flags) {
  if (std::exchange(shut_, true)) return;
  std::vector<void*> closing;
  for (auto& peer : peers_) {
    if (!peer->endpoint) continue;
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = peer->failed ? static_cast<unsigned>(UCP_EP_CLOSE_FLAG_FORCE) : flags;
    const ucs_status_ptr_t request = ucp_ep_close_nbx(std::exchange(peer->endpoint, nullptr), &param);
    if (UCS_PTR_IS_PTR(request)) closing.push_back(request);
  }
  progress_until(Clock::now() + kPatienceWithPeers, [&] {
    return std::all_of(closing.begin(), closing.end(),
                       [](void* request) { return ucp_request_check_status(request) != UCS_INPROGRESS; });
  });
  for (void* request : closing) ucp_request_free(request);
}

UcxTransport::~UcxTransport() {
  if (shares_memory_) {
    local_->control->left.store(1, std::memory_order_seq_cst);
    for (int r = 0; r < size(); ++r) {
      control(r)->doorbell.fetch_add(1);
      futex_wake(control(r)->doorbell);
    }
  }
  if (!shut_) say_goodbye();
  for (auto& peer : peers_) {
    peer->control.reset();
    if (peer->process >= 0) ::close(peer->process);
  }
  close(0);
  // After closing, during which a peer's goodbye may still come: UCX warns of a message that nobody has asked for.
  for (auto& peer : peers_) peer->goodbye_received = {};
}

class UcxEndpoint final : public Endpoint {
 public:
  explicit UcxEndpoint(const EndpointOptions& options) : local_(std::make_unique<Local>(options)) {
    UcxAddress a;
    a.host = this_host();
    a.worker = local_->worker.address();
    a.control = local_->segment.handle();
    a.token = local_->control->token;
    a.pid = getpid();
    a.cores = usable_cores().bytes();
    a.shares = options.share_memory;
    address_ = a.encode();
  }
  std::string address() const override { return address_; }
  std::unique_ptr<Communicator> connect(int rank, std::span<const std::string> addresses,
                                        double timeout_seconds) override {
    if (rank < 0 || rank >= static_cast<int>(addresses.size()) || addresses[rank] != address_) {
      throw CommError("[connect] rank " + std::to_string(rank) + " of " + std::to_string(addresses.size()) +
                      " is not at this endpoint's address");
    }
    if (!local_) throw CommError("[connect] this endpoint is already part of a group");
    return std::make_unique<Collectives>(
        std::make_unique<UcxTransport>(std::move(local_), rank, addresses, timeout_seconds));
  }

 private:
  std::unique_ptr<Local> local_;
  std::string address_;
};

}  // namespace

std::unique_ptr<Endpoint> make_ucx(const EndpointOptions& options) { return std::make_unique<UcxEndpoint>(options); }

bool has_ucx() { return true; }

}  // namespace ds::comm
