#include "controller/local_controller.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/status.h"
#include "base/unique_id.h"
#include "checkpoint/posix_disk.h"
#include "controller/controller_metrics.h"

namespace waferstream {
namespace {

// A node that misses two beats is still within its lease.
constexpr int kBeatsALease = 5;

double UnixSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Two controllers on one store would commit one job twice. The lock ends with the process, however
// that ends.
absl::StatusOr<int> LockDirectory(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("state directory ", dir, ": ", error.message()));
  }
  const std::string path = absl::StrCat(dir, "/lock");
  const int lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) {
    return absl::UnavailableError(
        absl::StrCat("state directory ", dir, " is not writable: ", std::strerror(errno)));
  }
  if (flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  close(lock);
  return absl::FailedPreconditionError(
      absl::StrCat("state directory ", dir, " is in use by another controller"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalController>> LocalController::Open(Options options) {
  ASSIGN_OR_RETURN(const int lock, LockDirectory(options.state_dir));
  absl::StatusOr<std::unique_ptr<JobStore>> store =
      JobStore::Open(absl::StrCat(options.state_dir, "/controller.sqlite"));
  if (!store.ok()) {
    close(lock);
    return store.status();
  }
  std::unique_ptr<LocalController> controller(
      new LocalController(std::move(options), lock, *std::move(store)));
  RETURN_IF_ERROR(controller->loop_.Call([&] { return controller->host_->Restore(); }));
  return controller;
}

LocalController::LocalController(Options options, int lock, std::unique_ptr<JobStore> store)
    : options_(std::move(options)),
      lock_(lock),
      store_(std::move(store)),
      lanes_(loop_),
      nodes_(loop_, options_.credentials),
      host_(std::make_unique<ControllerHost>(
          ControllerWorld{
              .loop = loop_,
              .lanes = lanes_,
              .nodes = nodes_,
              .store = *store_,
              .write = [this](const auto& records) { return store_->Write(records); },
              .write_ahead = [this](const auto& records) { return store_->WriteAhead(records); },
              .sync = [this] { return store_->Sync(); },
              .files = PosixDisk(),
              .unix_s = UnixSeconds,
              .random_bits = RandomBits,
              .log = options_.log},
          ControllerHost::Options{.state_dir = options_.state_dir,
                                  .lease_ms = options_.lease_ms,
                                  .quotas = options_.quotas,
                                  .roots = options_.roots,
                                  .heartbeat_ms = options_.lease_ms / kBeatsALease})) {}

LocalController::~LocalController() {
  Stop();
  close(lock_);
}

MetricFamilies LocalController::Metrics() {
  return loop_.Call(
      [this] { return ControllerMetrics(host_->board(), host_->Nodes(), host_->commits()); });
}

void LocalController::BeginStop() {
  host_->Stop([] {});
}

void LocalController::Stop() {
  if (host_ == nullptr) return;
  absl::Notification written;
  host_->Stop([&] { written.Notify(); });
  written.WaitForNotification();
  loop_.Drain();
  host_ = nullptr;
}

}  // namespace waferstream
