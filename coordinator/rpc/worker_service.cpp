#include "coordinator/rpc/worker_service.h"

#include <spdlog/spdlog.h>

#include <deque>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/log.h"
#include "coordinator/rpc/errors.h"

namespace ds::coordinator {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

// One worker's stream. What the worker says becomes events, in order; what the state answers is queued here.
class Session final : public grpc::ServerBidiReactor<v1::WorkerMessage, v1::CoordinatorMessage>,
                      public Line,
                      public std::enable_shared_from_this<Session> {
 public:
  Session(Daemon& daemon, CallbackServerContext* context) : daemon_(daemon), context_(context) {}

  void begin() {
    self_ = shared_from_this();
    StartRead(&incoming_);
  }

  // Line. Until the worker is registered nothing but acknowledgements is kept: registering restores all else.
  void deliver(v1::CoordinatorMessage message) override {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    if (message.has_registered()) {
      registered_ = true;
      messages_.push_front(std::move(message));
    } else if (registered_ || message.has_ack()) {
      messages_.push_back(std::move(message));
    }
    advance();
  }
  void fence(const std::string& reason) override {
    spdlog::warn("event=fenced worker={} reason={}", worker_, in_quotes(reason));
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    v1::CoordinatorMessage message;
    message.mutable_fenced()->set_reason(reason);
    messages_.clear();
    messages_.push_back(std::move(message));
    registered_ = true;
    closing_ = grpc::Status(grpc::ABORTED, reason);
    advance();
  }
  void cut() override { context_->TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return close(grpc::Status::OK);
    if (absl::Status status = take(incoming_); !status.ok()) return close(to_grpc(status));
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) {
      messages_.clear();
      if (!closing_) closing_ = grpc::Status::CANCELLED;
    }
    advance();
  }
  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    messages_.clear();
    if (!closing_) closing_ = grpc::Status::CANCELLED;
    advance();
  }
  void OnDone() override {
    if (!worker_.empty()) daemon_.presence().detach(worker_, this, absl::Now());
    self_.reset();
  }

  void close(grpc::Status status) {
    absl::MutexLock lock(&mutex_);
    if (!closing_) closing_ = std::move(status);
    advance();
  }
  void advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (!messages_.empty() && registered_) {
      writing_ = true;
      outgoing_ = std::move(messages_.front());
      messages_.pop_front();
      StartWrite(&outgoing_);
    } else if (closing_) {
      finished_ = true;
      Finish(*closing_);
    }
  }

  absl::Status take(v1::WorkerMessage& message) {
    if (message.has_register_() != worker_.empty()) {
      return absl::InvalidArgumentError("[Session] the first message, and no other, must be Register");
    }
    if (!message.has_register_()) daemon_.presence().heard(worker_, this, absl::Now());
    switch (message.message_case()) {
      case v1::WorkerMessage::kRegister:
        take_register(message.register_());
        break;
      case v1::WorkerMessage::kHeartbeat:
        take_heartbeat(message.heartbeat());
        break;
      case v1::WorkerMessage::kExecutor:
        take_report(message.executor());
        break;
      case v1::WorkerMessage::kMetrics:
        take_metrics(std::move(*message.mutable_metrics()));
        break;
      case v1::WorkerMessage::kLog:
        take_log(message.log());
        break;
      case v1::WorkerMessage::kDrained:
        take_drained();
        break;
      case v1::WorkerMessage::kProfiled:
        take_profile(message.profiled());
        break;
      case v1::WorkerMessage::MESSAGE_NOT_SET:
        break;
    }
    return absl::OkStatus();
  }

  // The event counts only while this is the worker's line.
  void post(v1::Event event, Mind::Reply reply = {}) {
    auto self = shared_from_this();
    daemon_.mind().post(std::move(event), std::move(reply),
                        [self](const State&) { return self->daemon_.presence().current(self->worker_, self.get()); });
  }

  void take_register(const v1::Register& hello) {
    worker_ = hello.worker();
    if (worker_.empty()) return close(grpc::Status(grpc::INVALID_ARGUMENT, "[Session] Register.worker is empty"));
    spdlog::info("event=register worker={} incarnation={} slots={} executors={} peer={}", worker_, hello.incarnation(),
                 hello.slots(), hello.executors_size(), context_->peer());
    v1::Event event;
    *event.mutable_registered()->mutable_register_() = hello;
    auto self = shared_from_this();
    daemon_.mind().post(
        std::move(event),
        [self](const absl::Status& status, const State&) {
          if (!status.ok()) self->close(to_grpc(status));
        },
        [self](const State&) {
          self->daemon_.presence().attach(self->worker_, self, absl::Now());
          return true;
        });
  }

  void take_heartbeat(const v1::Heartbeat& beat) {
    if (!beat.draining() || std::exchange(draining_, true)) return;
    v1::Event event;
    event.mutable_draining()->set_worker(worker_);
    event.mutable_draining()->set_leaving(true);
    post(std::move(event));
  }

  void take_report(const v1::ExecutorReport& report) {
    spdlog::info("event=rank job={} generation={} rank={} worker={} pid={} state={} exit_code={} detail={}",
                 report.job(), report.generation(), report.rank(), worker_, report.pid(),
                 v1::RankState_Name(report.state()), report.exit_code(), in_quotes(report.detail()));
    v1::Event event;
    event.mutable_executor()->set_worker(worker_);
    *event.mutable_executor()->mutable_report() = report;
    if (report.state() != v1::RANK_EXITED) return post(std::move(event));
    v1::CoordinatorMessage message;
    v1::Ack* ack = message.mutable_ack();
    ack->set_job(report.job());
    ack->set_generation(report.generation());
    ack->set_rank(report.rank());
    ack->set_ended(true);
    auto self = shared_from_this();
    post(std::move(event), [self, message](const absl::Status&, const State&) {
      if (self->daemon_.presence().current(self->worker_, self.get())) self->deliver(message);  // else it did not count
    });
  }

  void take_profile(const v1::ProfileResult& result) {
    spdlog::info("event=profile job={} worker={} error={}", result.job(), worker_, in_quotes(result.error()));
    v1::Event event;
    event.mutable_profiled()->set_worker(worker_);
    *event.mutable_profiled()->mutable_result() = result;
    post(std::move(event));
  }

  void take_metrics(v1::MetricsBatch batch) {
    daemon_.meters().trained(batch);
    v1::CoordinatorMessage message;
    v1::Ack* ack = message.mutable_ack();
    ack->set_job(batch.job());
    ack->set_generation(batch.generation());
    ack->set_metrics_sequence(batch.sequence());
    auto self = shared_from_this();
    daemon_.mind().post_metrics(std::move(batch), [self, message] { self->deliver(message); });
  }

  void take_log(const v1::LogBatch& log) {
    auto stored = daemon_.logs().append(log.job(), {log.generation(), log.rank()}, log.offset(), log.text());
    if (!stored.ok()) {
      spdlog::error("event=log job={} generation={} rank={} worker={} error={}", log.job(), log.generation(),
                    log.rank(), worker_, in_quotes(stored.status().message()));
      return;
    }
    v1::CoordinatorMessage message;
    v1::Ack* ack = message.mutable_ack();
    ack->set_job(log.job());
    ack->set_generation(log.generation());
    ack->set_rank(log.rank());
    ack->set_log_offset(*stored);
    deliver(std::move(message));
    daemon_.hub().publish(log.job(), nullptr);
  }

  void take_drained() {
    spdlog::info("event=drained worker={}", worker_);
    v1::Event event;
    event.mutable_drained()->set_worker(worker_);
    post(std::move(event));
  }

  Daemon& daemon_;
  CallbackServerContext* const context_;
  v1::WorkerMessage incoming_;  // gRPC's between StartRead and OnReadDone
  std::string worker_;          // set by the first message; OnReadDone is the only writer
  bool draining_ = false;
  absl::Mutex mutex_;
  std::deque<v1::CoordinatorMessage> messages_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> closing_ ABSL_GUARDED_BY(mutex_);
  bool registered_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  v1::CoordinatorMessage outgoing_ ABSL_GUARDED_BY(mutex_);  // gRPC's until OnWriteDone
  std::shared_ptr<Session> self_;
};

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  explicit WorkerService(Daemon& daemon) : daemon_(daemon) {}

  grpc::ServerBidiReactor<v1::WorkerMessage, v1::CoordinatorMessage>* Session(CallbackServerContext* context) override {
    auto session = std::make_shared<coordinator::Session>(daemon_, context);
    session->begin();
    return session.get();
  }

  ServerUnaryReactor* List(CallbackServerContext* context, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    daemon_.mind().ask([=, this](const State& state) {
      for (const auto& [name, worker] : state.workers) *response->add_workers() = daemon_.seen(state, worker);
      reactor->Finish(grpc::Status::OK);
    });
    return reactor;
  }

  ServerUnaryReactor* Drain(CallbackServerContext* context, const v1::DrainWorkerRequest* request,
                            v1::Worker* response) override {
    v1::Event event;
    event.mutable_draining()->set_worker(request->name());
    return change(context, std::move(event), request->name(), response);
  }

  ServerUnaryReactor* Undrain(CallbackServerContext* context, const v1::UndrainWorkerRequest* request,
                              v1::Worker* response) override {
    v1::Event event;
    event.mutable_undrained()->set_worker(request->name());
    return change(context, std::move(event), request->name(), response);
  }

  ServerUnaryReactor* Remove(CallbackServerContext* context, const v1::RemoveWorkerRequest* request,
                             v1::Worker* response) override {
    v1::Event event;
    event.mutable_removed()->set_worker(request->name());
    // As it was: the reply comes when it is known no more.
    daemon_.mind().ask([=, this](const State& state) {
      auto found = state.workers.find(request->name());
      if (found != state.workers.end()) *response = daemon_.seen(state, found->second);
    });
    return change(context, std::move(event), request->name(), response);
  }

 private:
  // Answers with the worker after the event, if it is still there.
  ServerUnaryReactor* change(CallbackServerContext* context, v1::Event event, const std::string& name,
                             v1::Worker* response) {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    daemon_.mind().post(std::move(event), [=, this](const absl::Status& status, const State& state) {
      auto found = state.workers.find(name);
      if (status.ok() && found != state.workers.end()) *response = daemon_.seen(state, found->second);
      reactor->Finish(to_grpc(status, {detail("name", name, "a worker that is there: see List")}));
    });
    return reactor;
  }

  Daemon& daemon_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_worker_service(Daemon& daemon) { return std::make_unique<WorkerService>(daemon); }

}  // namespace ds::coordinator
