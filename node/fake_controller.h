// A Controller service for tests: remembers what nodes said, and answers as it is told.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/doorkeeper.h"
#include "rpc/server.h"

namespace waferstream {

class FakeController final : public Controller::Service {
 public:
  // Serves on `port`; 0: any free one.
  void Serve(int port = 0) {
    absl::StatusOr<RunningServer> running =
        StartServer(*this, {.port = static_cast<uint16_t>(port)});
    WS_CHECK(running.ok());
    server_ = std::move(running->server);
    port_ = running->port;
  }
  // From now on only who knows the secret is served, and believes.
  void Guard(const Credentials& credentials) {
    door_ = std::make_unique<Doorkeeper>(credentials, Controller::service_full_name(),
                                         [](const std::string&) {});
    door_->Open(static_cast<uint16_t>(port_));
  }
  void StopServing() { server_->Shutdown(); }
  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  grpc::Status Register(grpc::ServerContext* context, const RegisterRequest* request,
                        RegisterReply* reply) override {
    if (const grpc::Status no = Admit(context); !no.ok()) return no;
    absl::MutexLock lock(&mutex);
    registered.push_back(*request);
    reply->set_heartbeat_ms(5);
    reply->set_lease_ms(1000);
    return answer_register;
  }
  grpc::Status Heartbeat(grpc::ServerContext* context, const HeartbeatRequest* request,
                         HeartbeatReply* reply) override {
    if (const grpc::Status no = Admit(context); !no.ok()) return no;
    absl::MutexLock lock(&mutex);
    ++heartbeats;
    held_epoch = request->holds().epoch();
    leaving = request->leaving();
    reply->set_may_go(leaving && may_go);
    if (!forget) return grpc::Status::OK;
    forget = false;
    return {grpc::NOT_FOUND, "who?"};
  }
  grpc::Status Report(grpc::ServerContext* context, const NodeReport* report, Empty*) override {
    if (const grpc::Status no = Admit(context); !no.ok()) return no;
    absl::MutexLock lock(&mutex);
    attempts.push_back(*report);
    if (answer_reports.empty()) return grpc::Status::OK;
    const grpc::Status answer = answer_reports.front();
    answer_reports.pop_front();
    return answer;
  }

  // Waits, with a deadline, for something that the fields below say.
  template <typename Condition>
  bool WaitFor(Condition condition) {
    absl::MutexLock lock(&mutex);
    return mutex.AwaitWithTimeout(absl::Condition(&condition), absl::Seconds(20));
  }

  absl::Mutex mutex;  // guards everything below
  std::vector<RegisterRequest> registered;
  std::vector<NodeReport> attempts;         // reports, as they came
  std::deque<grpc::Status> answer_reports;  // to the next reports; then OK
  grpc::Status answer_register;
  int heartbeats = 0;
  uint32_t held_epoch = 0;  // as of the last heartbeat
  bool leaving = false;     // says the last heartbeat
  bool may_go = true;       // whoever is leaving
  bool forget = false;      // the next heartbeat is answered with NOT_FOUND

 private:
  grpc::Status Admit(grpc::ServerContext* context) {
    return door_ == nullptr ? grpc::Status::OK : door_->Admit(*context, Caller::kNode);
  }

  std::unique_ptr<Doorkeeper> door_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace waferstream
