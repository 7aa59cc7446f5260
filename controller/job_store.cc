#include "controller/job_store.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/sqlite_statement.h"
#include "proto/job_state.h"

namespace waferstream {
namespace {

constexpr uint64_t kSchemaVersion = 3;

// A JobStatus is kept as its wire bytes: fields may be added without touching the tables.
constexpr const char* kLayout1 = R"sql(
  BEGIN IMMEDIATE;
  CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE,
    request_id TEXT NOT NULL UNIQUE,
    status BLOB NOT NULL
  );
  CREATE TABLE commits (
    job_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    loss REAL NOT NULL,
    norm REAL NOT NULL,
    clip_factor REAL NOT NULL,
    learning_rate REAL NOT NULL,
    PRIMARY KEY (job_id, step)
  ) WITHOUT ROWID;
  CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    unix_s REAL NOT NULL,
    text TEXT NOT NULL
  );
  CREATE INDEX events_of_job ON events (job_id, number);
  PRAGMA user_version = 1;
  COMMIT;
)sql";

// Recovery: what a job remembers (nothing, if it is older), and nodes that are left out.
constexpr const char* kLayout2 = R"sql(
  BEGIN IMMEDIATE;
  ALTER TABLE jobs ADD COLUMN memory BLOB NOT NULL DEFAULT x'';
  CREATE TABLE cordons (
    node_id TEXT PRIMARY KEY,
    draining INTEGER NOT NULL,
    note TEXT NOT NULL
  ) WITHOUT ROWID;
  PRAGMA user_version = 2;
  COMMIT;
)sql";

// How long steps took (0: not known), so that a job's speed is known after a restart.
constexpr const char* kLayout3 = R"sql(
  BEGIN IMMEDIATE;
  ALTER TABLE commits ADD COLUMN step_seconds REAL NOT NULL DEFAULT 0;
  ALTER TABLE commits ADD COLUMN exposed_fraction REAL NOT NULL DEFAULT 0;
  ALTER TABLE commits ADD COLUMN profile_seconds REAL NOT NULL DEFAULT 0;
  PRAGMA user_version = 3;
  COMMIT;
)sql";

absl::Status Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return absl::OkStatus();
  return absl::UnavailableError(sqlite3_errmsg(database));
}

absl::Status At(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("job store ", path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<JobStore>> JobStore::Open(const std::string& path) {
  sqlite3* database = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<JobStore> store(new JobStore(database, path));
  if (code != SQLITE_OK) return At(path, absl::UnavailableError(sqlite3_errstr(code)));
  RETURN_IF_ERROR(At(path, store->CreateTables()));
  return store;
}

JobStore::~JobStore() { sqlite3_close(database_); }

absl::Status JobStore::CreateTables() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Execute(database_, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"));
  SqliteStatement version(database_, "PRAGMA user_version");
  RETURN_IF_ERROR(version.Run());
  const uint64_t found = version.Integer(0);
  if (found < 1) RETURN_IF_ERROR(Execute(database_, kLayout1));
  if (found < 2) RETURN_IF_ERROR(Execute(database_, kLayout2));
  if (found < 3) RETURN_IF_ERROR(Execute(database_, kLayout3));
  if (found <= kSchemaVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("has layout ", found, ", but this controller ", "knows ", kSchemaVersion));
}

absl::Status JobStore::Write(const std::vector<StoreRecord>& records) {
  absl::MutexLock lock(&mutex_);
  return At(path_, Transact(records));
}

absl::Status JobStore::WriteAhead(const std::vector<StoreRecord>& records) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(At(path_, Execute(database_, "PRAGMA synchronous = NORMAL")));
  const absl::Status status = Transact(records);
  RETURN_IF_ERROR(At(path_, Execute(database_, "PRAGMA synchronous = FULL")));
  return At(path_, status);
}

absl::Status JobStore::Transact(const std::vector<StoreRecord>& records) {
  RETURN_IF_ERROR(Execute(database_, "BEGIN IMMEDIATE"));
  absl::Status status;
  for (const StoreRecord& record : records) {
    status = std::visit([this](const auto& r) ABSL_NO_THREAD_SAFETY_ANALYSIS { return Insert(r); },
                        record);
    if (!status.ok()) break;
  }
  if (status.ok()) status = Execute(database_, "COMMIT");
  // A COMMIT that fails may leave the transaction open, too.
  if (!status.ok() && sqlite3_get_autocommit(database_) == 0) {
    Execute(database_, "ROLLBACK").IgnoreError();
  }
  return status;
}

// What SQLite does itself at the end of every transaction of Write.
absl::Status JobStore::Sync() {
  absl::MutexLock lock(&mutex_);
  sqlite3_file* log = nullptr;
  const int found = sqlite3_file_control(database_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (found != SQLITE_OK) return At(path_, absl::UnavailableError(sqlite3_errstr(found)));
  if (log == nullptr || log->pMethods == nullptr) return absl::OkStatus();  // in memory
  const int synced = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (synced == SQLITE_OK) return absl::OkStatus();
  return At(path_, absl::UnavailableError(sqlite3_errstr(synced)));
}

absl::Status JobStore::Insert(const JobRecord& record) {
  return SqliteStatement(database_,
                         "INSERT INTO jobs VALUES (?, ?, ?, ?, ?) ON CONFLICT (number) "
                         "DO UPDATE SET status = excluded.status, memory = excluded.memory")
      .Bind(record.number)
      .Bind(record.status.job_id())
      .Bind(record.request_id)
      .BindBytes(record.status.SerializeAsString())
      .BindBytes(record.memory.SerializeAsString())
      .Run();
}

absl::Status JobStore::Insert(const CommitRecord& record) {
  return SqliteStatement(database_,
                         "INSERT OR REPLACE INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .Bind(record.job_id)
      .Bind(record.step)
      .Bind(record.loss)
      .Bind(record.norm)
      .Bind(record.clip_factor)
      .Bind(record.learning_rate)
      .Bind(record.times.step_seconds)
      .Bind(record.times.exposed_fraction)
      .Bind(record.times.profile_seconds)
      .Run();
}

absl::Status JobStore::Insert(const RewindRecord& record) {
  return SqliteStatement(database_, "DELETE FROM commits WHERE job_id = ? AND step >= ?")
      .Bind(record.job_id)
      .Bind(record.step)
      .Run();
}

absl::Status JobStore::Insert(const CordonRecord& record) {
  if (!record.cordoned) {
    return SqliteStatement(database_, "DELETE FROM cordons WHERE node_id = ?")
        .Bind(record.node_id)
        .Run();
  }
  return SqliteStatement(database_, "INSERT OR REPLACE INTO cordons VALUES (?, ?, ?)")
      .Bind(record.node_id)
      .Bind(uint64_t{record.draining})
      .Bind(record.note)
      .Run();
}

absl::Status JobStore::Insert(const EventRecord& record) {
  return SqliteStatement(database_, "INSERT INTO events (job_id, unix_s, text) VALUES (?, ?, ?)")
      .Bind(record.job_id)
      .Bind(record.unix_s)
      .Bind(record.text)
      .Run();
}

absl::StatusOr<std::vector<JobRecord>> JobStore::LoadJobs() {
  absl::MutexLock lock(&mutex_);
  std::vector<JobRecord> jobs;
  SqliteStatement rows(database_,
                       "SELECT number, request_id, status, memory FROM jobs ORDER BY number");
  while (true) {
    const absl::StatusOr<bool> more = rows.Step();
    if (!more.ok()) return At(path_, more.status());
    if (!*more) return jobs;
    JobRecord& job = jobs.emplace_back();
    job.number = rows.Integer(0);
    job.request_id = rows.Bytes(1);
    if (!job.status.ParseFromString(rows.Bytes(2)) || !job.memory.ParseFromString(rows.Bytes(3))) {
      return At(path_, absl::DataLossError(absl::StrCat("job ", job.number, " is damaged")));
    }
    if (!IsFinal(job.status.state())) RETURN_IF_ERROR(At(path_, FillLastCommit(job.status)));
  }
}

absl::Status JobStore::FillLastCommit(JobStatus& status) {
  SqliteStatement last(
      database_, "SELECT step, loss FROM commits WHERE job_id = ? ORDER BY step DESC LIMIT 1");
  last.Bind(status.job_id());
  ASSIGN_OR_RETURN(const bool found, last.Step());
  if (!found) return absl::OkStatus();
  status.set_step(last.Integer(0) + 1);
  status.set_loss(last.Real(1));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CommitRecord>> JobStore::LoadCommits(const std::string& job_id,
                                                                uint64_t step_begin) {
  absl::MutexLock lock(&mutex_);
  std::vector<CommitRecord> commits;
  SqliteStatement rows(database_,
                       "SELECT step, loss, norm, clip_factor, learning_rate, step_seconds, "
                       "exposed_fraction, profile_seconds FROM commits WHERE job_id = ? AND step "
                       ">= ? ORDER BY step");
  rows.Bind(job_id).Bind(step_begin);
  while (true) {
    const absl::StatusOr<bool> more = rows.Step();
    if (!more.ok()) return At(path_, more.status());
    if (!*more) return commits;
    commits.push_back({job_id,
                       rows.Integer(0),
                       rows.Real(1),
                       rows.Real(2),
                       rows.Real(3),
                       rows.Real(4),
                       {rows.Real(5), rows.Real(6), rows.Real(7)}});
  }
}

absl::StatusOr<std::vector<CordonRecord>> JobStore::LoadCordons() {
  absl::MutexLock lock(&mutex_);
  std::vector<CordonRecord> cordons;
  SqliteStatement rows(database_, "SELECT node_id, draining, note FROM cordons");
  while (true) {
    const absl::StatusOr<bool> more = rows.Step();
    if (!more.ok()) return At(path_, more.status());
    if (!*more) return cordons;
    cordons.push_back({rows.Bytes(0), true, rows.Integer(1) != 0, rows.Bytes(2)});
  }
}

absl::StatusOr<std::vector<double>> JobStore::LoadLosses(const std::string& job_id,
                                                         uint64_t step_end) {
  absl::MutexLock lock(&mutex_);
  std::vector<double> losses;
  SqliteStatement rows(database_,
                       "SELECT loss FROM commits WHERE job_id = ? AND step < ? ORDER BY step");
  rows.Bind(job_id).Bind(step_end);
  while (true) {
    const absl::StatusOr<bool> more = rows.Step();
    if (!more.ok()) return At(path_, more.status());
    if (!*more) return losses;
    losses.push_back(rows.Real(0));
  }
}

absl::StatusOr<EventList> JobStore::LoadEvents(const std::string& job_id) {
  absl::MutexLock lock(&mutex_);
  EventList events;
  SqliteStatement rows(database_,
                       "SELECT unix_s, text FROM events WHERE job_id = ? ORDER BY number");
  rows.Bind(job_id);
  while (true) {
    const absl::StatusOr<bool> more = rows.Step();
    if (!more.ok()) return At(path_, more.status());
    if (!*more) return events;
    Event* event = events.add_events();
    event->set_unix_s(rows.Real(0));
    event->set_text(rows.Bytes(1));
  }
}

}  // namespace waferstream
