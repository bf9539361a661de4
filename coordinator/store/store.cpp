#include "coordinator/store/store.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/core/apply.h"

namespace ds::coordinator {
namespace {

constexpr int kFormat = 1;
constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS events(seq INTEGER PRIMARY KEY, payload BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot(id INTEGER PRIMARY KEY CHECK(id = 1), payload BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS metrics(job TEXT NOT NULL, kind TEXT NOT NULL, step INTEGER NOT NULL,
  generation INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY(job, kind, step)) WITHOUT ROWID;
)";

absl::Status failed(sqlite3* db, const std::string& path, const std::string& what) {
  const int code = sqlite3_errcode(db);
  const std::string message = absl::StrCat("[store] ", path, ": ", what, ": ", sqlite3_errmsg(db));
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? absl::DataLossError(message) : absl::InternalError(message);
}

// A prepared statement; values are bound and read by position.
class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int at, int64_t value) {
    sqlite3_bind_int64(statement_, at, value);
    return *this;
  }
  Statement& text(int at, const std::string& value) {
    sqlite3_bind_text(statement_, at, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& blob(int at, const std::string& value) {
    sqlite3_bind_blob(statement_, at, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
    return *this;
  }
  int step() { return statement_ ? sqlite3_step(statement_) : SQLITE_ERROR; }
  bool run() {  // to the end, ready for the next values
    const bool done = step() == SQLITE_DONE;
    sqlite3_reset(statement_);
    return done;
  }
  int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  std::string bytes(int column) {
    const void* data = sqlite3_column_blob(statement_, column);
    return {static_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

// FNV-1a, with the sequence number mixed in so that a payload in the wrong place is seen.
int64_t checksum(int64_t seq, const std::string& payload) {
  uint64_t h = 1469598103934665603ull ^ static_cast<uint64_t>(seq);
  for (unsigned char c : payload) h = (h ^ c) * 1099511628211ull;
  return static_cast<int64_t>(h);
}

bool execute(sqlite3* db, const char* sql) { return sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

int64_t pragma(sqlite3* db, const char* sql) {
  Statement statement(db, sql);
  return statement.step() == SQLITE_ROW ? statement.integer(0) : -1;
}

// A supervisor starts the next one at once, while the kernel still takes a large one that was killed apart.
constexpr absl::Duration kDying = absl::Seconds(5);

}  // namespace

std::string serialise(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

absl::StatusOr<std::unique_ptr<Store>> Store::open(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::unique_ptr<Store> store(new Store);
  const std::string lock = folder + "/lock";
  store->lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (store->lock_ < 0) return absl::InternalError(absl::StrCat("[store] ", lock, ": ", std::strerror(errno)));
  const absl::Time patience = absl::Now() + kDying;
  while (flock(store->lock_, LOCK_EX | LOCK_NB) != 0) {
    if (absl::Now() > patience)
      return absl::FailedPreconditionError(absl::StrCat("[store] ", folder, " is in use by another ds-coordinator"));
    absl::SleepFor(absl::Milliseconds(20));
  }
  if (absl::Status status = store->prepare(folder + "/coordinator.db"); !status.ok()) return status;
  return store;
}

absl::Status Store::prepare(const std::string& path) {
  path_ = path;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &log_, flags | SQLITE_OPEN_CREATE, nullptr) != SQLITE_OK) {
    return failed(log_, path, "cannot open");
  }
  if (!execute(log_, "PRAGMA journal_mode=WAL") || !execute(log_, "PRAGMA synchronous=FULL")) {
    return failed(log_, path, "cannot be used");
  }
  const int64_t version = pragma(log_, "PRAGMA user_version");
  if (version != 0 && version != kFormat) {
    return absl::DataLossError(absl::StrCat("[store] ", path, ": format ", version, ", this program knows ", kFormat));
  }
  Statement check(log_, "PRAGMA quick_check(1)");
  if (check.step() != SQLITE_ROW || check.bytes(0) != "ok") {
    return absl::DataLossError(absl::StrCat("[store] ", path, ": damaged: ", check.bytes(0)));
  }
  if (!execute(log_, kSchema) || !execute(log_, "PRAGMA user_version=1")) return failed(log_, path, "cannot lay out");
  absl::MutexLock lock(&mutex_);
  if (sqlite3_open_v2(path.c_str(), &reader_, flags, nullptr) != SQLITE_OK) return failed(reader_, path, "cannot open");
  sqlite3_busy_timeout(reader_, 5000);
  sqlite3_busy_timeout(log_, 5000);
  return absl::OkStatus();
}

Store::~Store() {
  {
    absl::MutexLock lock(&mutex_);
    sqlite3_close(reader_);
  }
  sqlite3_close(log_);
  if (lock_ >= 0) close(lock_);
}

absl::StatusOr<State> Store::load() {
  State state;
  auto damaged = [this](auto... what) { return absl::DataLossError(absl::StrCat("[store] ", path_, ": ", what...)); };
  Statement snapshot(log_, "SELECT payload, sum FROM snapshot");
  if (snapshot.step() == SQLITE_ROW) {
    const std::string payload = snapshot.bytes(0);
    v1::StateSnapshot message;
    if (checksum(0, payload) != snapshot.integer(1) || !message.ParseFromString(payload)) {
      return damaged("the snapshot's checksum is wrong");
    }
    state = from_snapshot(std::move(message));
  }
  Statement events(log_, "SELECT seq, payload, sum FROM events ORDER BY seq");
  int code;
  while ((code = events.step()) == SQLITE_ROW) {
    const int64_t seq = events.integer(0);
    if (seq <= state.revision) continue;
    if (seq != state.revision + 1) return damaged("event ", state.revision + 1, " is missing, the next is ", seq);
    const std::string payload = events.bytes(1);
    v1::Event event;
    if (checksum(seq, payload) != events.integer(2) || !event.ParseFromString(payload)) {
      return damaged("event ", seq, "'s checksum is wrong");
    }
    apply(state, event);
  }
  if (code != SQLITE_DONE) return failed(log_, path_, "cannot read the events");
  return state;
}

absl::Status Store::commit(const Batch& batch) {
  if (!execute(log_, "BEGIN IMMEDIATE")) return failed(log_, path_, "cannot begin");
  bool good = true;
  Statement event(log_, "INSERT INTO events VALUES(?, ?, ?)");
  int64_t seq = batch.first_seq;
  for (const std::string& payload : batch.events) {
    good = good && event.bind(1, seq).blob(2, payload).bind(3, checksum(seq, payload)).run();
    ++seq;
  }
  Statement metric(log_,
                   "INSERT INTO metrics VALUES(?, ?, ?, ?, ?) ON CONFLICT(job, kind, step) DO UPDATE SET "
                   "generation=excluded.generation, record=excluded.record WHERE excluded.generation >= generation");
  for (const Batch::Row& row : batch.metrics) {
    const v1::MetricRecord& r = row.record;
    metric.text(1, row.job).text(2, r.kind()).bind(3, r.step()).bind(4, r.generation()).blob(5, serialise(r));
    good = good && metric.run();
  }
  if (good && execute(log_, "COMMIT")) return absl::OkStatus();
  absl::Status status = failed(log_, path_, "cannot commit");
  execute(log_, "ROLLBACK");
  return status;
}

absl::Status Store::snapshot(const State& state) {
  const std::string payload = serialise(to_snapshot(state));
  if (!execute(log_, "BEGIN IMMEDIATE")) return failed(log_, path_, "cannot begin");
  Statement keep(log_, "INSERT OR REPLACE INTO snapshot VALUES(1, ?, ?)");
  Statement drop(log_, "DELETE FROM events WHERE seq <= ?");
  if (keep.blob(1, payload).bind(2, checksum(0, payload)).run() && drop.bind(1, state.revision).run() &&
      execute(log_, "COMMIT")) {
    return absl::OkStatus();
  }
  absl::Status status = failed(log_, path_, "cannot store a snapshot");
  execute(log_, "ROLLBACK");
  return status;
}

absl::StatusOr<std::vector<v1::MetricRecord>> Store::metrics(const std::string& job) {
  absl::MutexLock lock(&mutex_);
  Statement rows(reader_, "SELECT record FROM metrics WHERE job = ? ORDER BY step, kind DESC");
  rows.text(1, job);
  std::vector<v1::MetricRecord> records;
  int code;
  while ((code = rows.step()) == SQLITE_ROW) {
    if (!records.emplace_back().ParseFromString(rows.bytes(0))) {
      return absl::DataLossError(absl::StrCat("[store] ", path_, ": a metric record of ", job, " is damaged"));
    }
  }
  if (code != SQLITE_DONE) return failed(reader_, path_, "cannot read metrics");
  return records;
}

int64_t Store::metrics_step(const std::string& job) {
  absl::MutexLock lock(&mutex_);
  Statement row(reader_, "SELECT coalesce(max(step), 0) FROM metrics WHERE job = ? AND kind = 'train'");
  row.text(1, job);
  return row.step() == SQLITE_ROW ? row.integer(0) : 0;
}

}  // namespace ds::coordinator
