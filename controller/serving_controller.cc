#include "controller/serving_controller.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/confine.h"
#include "base/host_port.h"
#include "base/own_process.h"
#include "base/status.h"
#include "base/user_input.h"
#include "controller/controller_service.h"
#include "controller/local_controller.h"
#include "rpc/health_server.h"
#include "rpc/metrics_server.h"
#include "rpc/server.h"

namespace waferstream {
namespace {

using Log = std::shared_ptr<spdlog::logger>;

Quotas QuotasOf(const std::vector<User>& users) {
  Quotas quotas;
  for (const User& user : users) {
    quotas[user.name] = {.wafers = user.wafers, .queued = user.queued};
  }
  return quotas;
}

absl::Status Confine(const ControllerTerms& terms, const Log& log) {
  ConfineTerms beside = {.writable = terms.writes, .readable = FoldersOf(terms.listen.credentials)};
  // It must be there by now; what is wrong with it is said when it is locked.
  std::error_code ignored;
  std::filesystem::create_directories(terms.state_dir, ignored);
  beside.writable.push_back(terms.state_dir);
  if (!terms.users_file.empty()) beside.readable.push_back(FolderOf(terms.users_file));
  return ConfineToRoots(terms.roots, beside,
                        [&](const std::string& line) { log->info("{}", line); });
}

absl::StatusOr<std::shared_ptr<Users>> LoadUsers(const ControllerTerms& terms, const Log& log) {
  if (terms.users_file.empty()) return nullptr;
  if (terms.listen.credentials.tls == nullptr && !IsLoopback(terms.listen.address)) {
    return absl::InvalidArgumentError(absl::StrCat("--users: tokens would be sent in the clear to ",
                                                   terms.listen.address,
                                                   "; give --tls-cert, --tls-key and --tls-ca"));
  }
  auto users =
      Users::Load(terms.users_file, [log](const std::string& line) { log->warn("{}", line); });
  if (users.ok()) return users;
  return absl::Status(users.status().code(), absl::StrCat("--users: ", users.status().message()));
}

absl::StatusOr<std::unique_ptr<LocalController>> OpenController(const ControllerTerms& terms,
                                                                const Log& log) {
  LocalController::Options options;
  ASSIGN_OR_RETURN(options.state_dir, AbsolutePath("--state", terms.state_dir));
  RETURN_IF_ERROR(CheckText("--state", options.state_dir));
  options.lease_ms = terms.lease_ms;
  options.roots = terms.roots;
  options.credentials = terms.listen.credentials;
  if (options.credentials.users != nullptr) {
    options.quotas = QuotasOf(options.credentials.users->All());
  }
  options.log = [log](const std::string& line) { log->info(line); };
  return LocalController::Open(std::move(options));
}

class Serving final : public ServingController {
 public:
  Serving(const ControllerTerms& terms, Log log, std::unique_ptr<LocalController> controller)
      : log_(std::move(log)),
        controller_(std::move(controller)),
        users_(terms.listen.credentials.users),
        service_(*controller_, terms.listen.credentials) {
    if (users_ == nullptr) return;
    users_->OnChange([this](const std::vector<User>& users) {
      log_->info("the users' file has changed: {} users", users.size());
      controller_->host().SetQuotas(QuotasOf(users));
    });
  }
  ~Serving() override { Stop(); }

  absl::Status Listen(const ControllerTerms& terms) {
    ASSIGN_OR_RETURN(running_, StartServer(service_, {.listen = terms.listen.address,
                                                      .port = terms.port,
                                                      .advertised_port = terms.advertise_port,
                                                      .door = &service_.door(),
                                                      .tls = terms.listen.credentials.tls}));
    address_ =
        JoinHostPort(terms.host, terms.advertise_port != 0 ? terms.advertise_port : running_.port);
    log_->info("listening on {}, reached at {}, state in {}",
               JoinHostPort(terms.listen.address, running_.port), address_,
               controller_->options().state_dir);
    return absl::OkStatus();
  }

  // Ready is what has taken up its store: there is no controller before that.
  absl::Status ServeHealth(const ListenTerms& listen) {
    if (!listen.health_port) return absl::OkStatus();
    ASSIGN_OR_RETURN(health_,
                     HealthServer::Start({.listen = listen.address,
                                          .port = *listen.health_port,
                                          .ask = [this](std::function<void(bool)> answer) {
                                            controller_->host().Post(
                                                [answer = std::move(answer)] { answer(true); });
                                          }}));
    log_->info("health port {} on {}", health_->port(), listen.address);
    return absl::OkStatus();
  }

  absl::Status ServeMetrics(const ListenTerms& listen) {
    if (!listen.metrics_port) return absl::OkStatus();
    ASSIGN_OR_RETURN(metrics_,
                     MetricsServer::Start({.listen = listen.address,
                                           .port = *listen.metrics_port,
                                           .process = "controller",
                                           .tls = listen.credentials.tls,
                                           .collect = [this] { return controller_->Metrics(); }}));
    log_->info("metrics port {} on {}", metrics_->port(), listen.address);
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  void Stop() override {
    if (running_.server == nullptr) return;
    log_->info("stopping");
    metrics_ = nullptr;  // while the loop answers
    health_ = nullptr;
    controller_->BeginStop();
    running_.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    if (users_ != nullptr) users_->OnChange(nullptr);  // nobody calls any more
    controller_->Stop();
    running_.server = nullptr;
  }

 private:
  const Log log_;
  const std::unique_ptr<LocalController> controller_;
  const std::shared_ptr<Users> users_;  // null: there are none
  ControllerService service_;
  RunningServer running_;
  std::unique_ptr<MetricsServer> metrics_;  // null: nobody wants them
  std::unique_ptr<HealthServer> health_;    // the same
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ServingController>> ServingController::Start(ControllerTerms terms) {
  RETURN_IF_ERROR(CheckDescriptors("this controller", kOwnDescriptors));
  ASSIGN_OR_RETURN(const Log log, OpenLog("controller", terms.log));
  RETURN_IF_ERROR(Confine(terms, log));
  ASSIGN_OR_RETURN(terms.listen.credentials.users, LoadUsers(terms, log));
  ASSIGN_OR_RETURN(std::unique_ptr<LocalController> controller, OpenController(terms, log));
  auto serving = std::make_unique<Serving>(terms, log, std::move(controller));
  RETURN_IF_ERROR(serving->ServeHealth(terms.listen));
  RETURN_IF_ERROR(serving->Listen(terms));
  RETURN_IF_ERROR(serving->ServeMetrics(terms.listen));
  return serving;
}

// Whoever waits for the file never sees half of it.
absl::Status WritePortFile(const std::string& path, const std::string& address) {
  const std::string unfinished = path + ".tmp";
  std::ofstream(unfinished) << address << "\n" << std::flush;
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("port file ", path, ": ", error.message()));
}

}  // namespace waferstream
