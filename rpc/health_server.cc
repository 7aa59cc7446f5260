#include "rpc/health_server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/host_port.h"
#include "rpc/quiet.h"

namespace waferstream {
namespace {

// What the loop said last. Outlives the server, for answers that come late.
class LastWord {
 public:
  void Say(bool ready) {
    absl::MutexLock lock(&mutex_);
    heard_ = absl::Now();
    ready_ = ready;
    asked_ = false;
  }
  // Whether it is time to ask: not while a question waits.
  bool Ask() {
    absl::MutexLock lock(&mutex_);
    return !std::exchange(asked_, true);
  }
  bool IsSilentFor(absl::Duration most) const {
    absl::MutexLock lock(&mutex_);
    return absl::Now() - heard_ > most;
  }
  bool ready() const {
    absl::MutexLock lock(&mutex_);
    return ready_;
  }

 private:
  mutable absl::Mutex mutex_;
  absl::Time heard_ ABSL_GUARDED_BY(mutex_) = absl::Now();  // it begins alive
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool asked_ ABSL_GUARDED_BY(mutex_) = false;
};

class Serving final : public HealthServer {
 public:
  explicit Serving(HealthOptions options) : options_(std::move(options)) {}
  ~Serving() override {
    ended_.Notify();
    if (asking_.joinable()) asking_.join();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  absl::Status Listen() {
    QuietGrpc();
    const std::string address = JoinHostPort(options_.listen, options_.port);
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    int bound = 0;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &bound);
    grpc::EnableDefaultHealthCheckService(true);
    server_ = builder.BuildAndStart();
    grpc::EnableDefaultHealthCheckService(false);
    if (server_ == nullptr || bound == 0) {
      return absl::UnavailableError(absl::StrCat("--health-port: cannot listen on ", address,
                                                 ": in use, or not an address of this host"));
    }
    port_ = static_cast<uint16_t>(bound);
    Tell();
    asking_ = std::thread([this] { AskOnAndOn(); });
    return absl::OkStatus();
  }

  uint16_t port() const override { return port_; }

 private:
  void AskOnAndOn() {
    do {
      if (word_->Ask()) options_.ask([word = word_](bool ready) { word->Say(ready); });
      Tell();
    } while (!ended_.WaitForNotificationWithTimeout(options_.ask_every));
  }
  void Tell() {
    const bool live = !word_->IsSilentFor(options_.silence_max);
    grpc::HealthCheckServiceInterface& health = *server_->GetHealthCheckService();
    health.SetServingStatus(live);  // of all, "" among them
    health.SetServingStatus("live", live);
    health.SetServingStatus("ready", live && word_->ready());
  }

  const HealthOptions options_;
  const std::shared_ptr<LastWord> word_ = std::make_shared<LastWord>();
  std::unique_ptr<grpc::Server> server_;
  uint16_t port_ = 0;
  absl::Notification ended_;
  std::thread asking_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HealthServer>> HealthServer::Start(HealthOptions options) {
  auto serving = std::make_unique<Serving>(std::move(options));
  absl::Status listening = serving->Listen();
  if (!listening.ok()) return listening;
  return serving;
}

}  // namespace waferstream
