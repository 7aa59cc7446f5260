// A controller for tests: a real gRPC server whose answers the test sets.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/server.h"

namespace waferstream {

class FakeController : public Controller::Service {
 public:
  // On a free port of this host, or on `port`.
  explicit FakeController(int port = 0) {
    absl::StatusOr<RunningServer> running =
        StartServer(*this, {.port = static_cast<uint16_t>(port)});
    WS_CHECK(running.ok());
    server_ = std::move(running->server);
    port_ = running->port;
  }
  ~FakeController() override { server_->Shutdown(std::chrono::system_clock::now()); }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  using WatchWriter = grpc::ServerWriter<JobStatus>;
  // What each call does; set before the call comes.
  std::function<grpc::Status(const SubmitRequest&, JobStatus*)> on_submit;
  std::function<grpc::Status(const std::string& job_id, JobStatus*)> on_get;
  std::function<grpc::Status(const std::string& job_id, JobStatus*)> on_cancel;
  std::function<grpc::Status(grpc::ServerContext*, WatchWriter*)> on_watch;

  grpc::Status Submit(grpc::ServerContext*, const SubmitRequest* request,
                      JobStatus* reply) override {
    return on_submit(*request, reply);
  }
  grpc::Status Get(grpc::ServerContext*, const JobRef* ref, JobStatus* reply) override {
    return on_get(ref->job_id(), reply);
  }
  grpc::Status Cancel(grpc::ServerContext*, const JobRef* ref, JobStatus* reply) override {
    return on_cancel(ref->job_id(), reply);
  }
  grpc::Status Watch(grpc::ServerContext* context, const JobRef*, WatchWriter* writer) override {
    return on_watch(context, writer);
  }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

inline JobStatus StatusAt(uint64_t step, JobState state = RUNNING) {
  JobStatus status;
  status.set_job_id("job-1");
  status.set_step(step);
  status.set_state(state);
  return status;
}

}  // namespace waferstream
