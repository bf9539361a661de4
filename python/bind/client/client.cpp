// deepseek._client: the C++ SDK for Python. Jobs and workers come as the JSON documents of docs/cli.md.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include "client/artifacts.h"
#include "client/client.h"
#include "client/documents.h"
#include "client/study_documents.h"
#include "client/study_plots.h"
#include "client/study_views.h"
#include "proto/spec/job_spec.h"
#include "proto/spec/study_spec.h"
#include "python/bind/client/stream.h"

namespace nb = nanobind;

namespace ds::py {
namespace {

PyObject* error_ = nullptr;

// Raised as deepseek.client.Error, with the status's name as `code`: "NOT_FOUND".
[[noreturn]] void raise(const absl::Status& status) {
  nb::object error = nb::borrow(error_)(std::string(status.message()));
  error.attr("code") = absl::StatusCodeToString(status.code());
  PyErr_SetObject(error_, error.ptr());
  throw nb::python_error();
}

// Calls the SDK without Python's lock.
template <class Call>
auto unlocked(const Call& call) {
  auto result = [&] {
    nb::gil_scoped_release release;
    return call();
  }();
  if (!result.ok()) raise(result.status());
  return *std::move(result);
}

std::string text(const client::Json& document) { return document.dump(); }

client::ClientOptions options_for(const std::string& address) {
  client::ClientOptions options;
  options.address = client::coordinator_address(address);
  return options;
}

// A coordinator, by its address.
class Session {
 public:
  explicit Session(const std::string& address) : options_(options_for(address)), client_(options_) {}
  const std::string& address() const { return options_.address; }

  // Files that the job names are sent first.
  std::string submit(const std::string& job, const std::string& key) {
    auto spec = spec::parse_job(job);
    if (!spec.ok()) raise(spec.status());
    return unlocked([&]() -> absl::StatusOr<std::string> {
      if (absl::Status sent = client::resolve_artifacts(client_, *spec, ""); !sent.ok()) return sent;
      return client_.submit(*spec, key.empty() ? client::Client::new_key() : key);
    });
  }
  std::string find(const std::string& name) {
    return unlocked([&] { return client_.find(name); });
  }
  std::string get(const std::string& id) {
    return text(client::job_document(unlocked([&] { return client_.get(id); })));
  }
  std::string list(int limit) {
    return text(client::jobs_view(unlocked([&] { return client_.list(limit); })).document);
  }
  std::string metrics(const std::string& id) {
    return text(client::metrics_view(unlocked([&] { return client_.metrics(id); })).document);
  }
  template <auto Change>
  std::string change(const std::string& id, const std::string& reason) {
    return text(client::job_document(unlocked([&] { return (client_.*Change)(id, reason); })));
  }
  std::string workers() {
    return text(client::workers_view(unlocked([&] { return client_.workers(); })).document);
  }
  std::unique_ptr<Stream> watch(const std::string& id) const {
    return std::make_unique<Stream>(options_, [id](client::Client& client, const Stream::Push& push) {
      return client.watch(id, [&](const v1::Job& job) { return push(text(client::job_document(job))); });
    });
  }

  // `folder`: where the local files that the study names are seen from.
  std::string submit_study(const std::string& study, const std::string& folder, const std::string& key) {
    auto spec = spec::parse_study(study);
    if (!spec.ok()) raise(spec.status());
    return unlocked([&]() -> absl::StatusOr<std::string> {
      absl::Status sent = client::resolve_artifacts(client_, *spec->mutable_job(), folder);
      if (!sent.ok()) return sent;
      return client_.submit_study(*spec, key.empty() ? client::Client::new_key() : key);
    });
  }
  std::string find_study(const std::string& name) {
    return unlocked([&] { return client_.find_study(name); });
  }
  std::string study(const std::string& id) { return text(client::study_document(fetch(id))); }
  std::string studies(int limit) {
    return text(client::studies_view(unlocked([&] { return client_.studies(limit); })).document);
  }
  std::string trials(const std::string& id) { return text(client::trials_view(fetch(id), fetch_trials(id)).document); }
  std::string best(const std::string& id, int64_t trial) {
    auto best = client::best_document(fetch(id), fetch_trials(id), trial);
    if (!best.ok()) raise(best.status());
    return text(*best);
  }
  std::string importance(const std::string& id) {
    return text(client::importance_view(unlocked([&] { return client_.importance(id); })).document);
  }
  std::string plot(const std::string& id, const std::string& kind) {
    auto picture = client::plot_study(fetch(id), fetch_trials(id), kind);
    if (!picture.ok()) raise(picture.status());
    return *std::move(picture);
  }
  template <auto Change>
  std::string change_study(const std::string& id, const std::string& reason) {
    return text(client::study_document(unlocked([&] { return (client_.*Change)(id, reason); })));
  }
  std::unique_ptr<Stream> watch_study(const std::string& id) const {
    return std::make_unique<Stream>(options_, [id](client::Client& client, const Stream::Push& push) {
      return client.watch_study(id, [&](const v1::Study& study, const std::vector<v1::Trial>&) {
        return push(text(client::study_document(study)));
      });
    });
  }

  std::unique_ptr<Stream> logs(const std::string& id, bool follow) const {
    return std::make_unique<Stream>(options_, [id, follow](client::Client& client, const Stream::Push& push) {
      return client.logs(id, follow, [&](const v1::LogChunk& c) {
        return push(text({{"rank", c.rank()}, {"generation", c.generation()}, {"text", c.text()}}));
      });
    });
  }

 private:
  v1::Study fetch(const std::string& id) {
    return unlocked([&] { return client_.study(id); });
  }
  std::vector<v1::Trial> fetch_trials(const std::string& id) {
    return unlocked([&] { return client_.trials(id); });
  }

  const client::ClientOptions options_;
  client::Client client_;
};

std::optional<std::string> next(Stream& stream) {
  bool raised = false;
  auto interrupted = [&raised] {
    nb::gil_scoped_acquire acquire;
    return raised = PyErr_CheckSignals() != 0;
  };
  absl::StatusOr<std::optional<std::string>> item = std::nullopt;
  {
    nb::gil_scoped_release release;
    item = stream.next(interrupted);
  }
  if (raised) throw nb::python_error();
  if (!item.ok()) raise(item.status());
  return *std::move(item);
}

}  // namespace
}  // namespace ds::py

NB_MODULE(_client, m) {
  using namespace ds::py;
  using ds::client::Client;
  error_ = PyErr_NewExceptionWithDoc("deepseek.client.Error",
                                     "What a coordinator, or the way to it, answers; `code` names the kind.",
                                     PyExc_RuntimeError, nullptr);
  if (!error_) throw nb::python_error();
  m.attr("Error") = nb::borrow(error_);
  nb::class_<Stream>(m, "Stream").def("next", next);
  nb::class_<Session>(m, "Session")
      .def(nb::init<const std::string&>(), nb::arg("address") = "")
      .def_prop_ro("address", &Session::address)
      .def("submit", &Session::submit, nb::arg("job"), nb::arg("key") = "")
      .def("find", &Session::find)
      .def("get", &Session::get)
      .def("list", &Session::list, nb::arg("limit") = 0)
      .def("metrics", &Session::metrics)
      .def("cancel", &Session::change<&Client::cancel>)
      .def("pause", &Session::change<&Client::pause>)
      .def("resume", &Session::change<&Client::resume>)
      .def("workers", &Session::workers)
      .def("watch", &Session::watch)
      .def("logs", &Session::logs)
      .def("submit_study", &Session::submit_study, nb::arg("study"), nb::arg("folder") = "", nb::arg("key") = "")
      .def("find_study", &Session::find_study)
      .def("study", &Session::study)
      .def("studies", &Session::studies, nb::arg("limit") = 0)
      .def("trials", &Session::trials)
      .def("best", &Session::best)
      .def("importance", &Session::importance)
      .def("plot", &Session::plot)
      .def("cancel_study", &Session::change_study<&Client::cancel_study>)
      .def("pause_study", &Session::change_study<&Client::pause_study>)
      .def("resume_study", &Session::change_study<&Client::resume_study>)
      .def("watch_study", &Session::watch_study);
}
