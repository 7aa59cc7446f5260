// The controller's gRPC service: checks what belongs to the wire and hands on.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "controller/audit_log.h"
#include "controller/local_controller.h"
#include "node/lanes.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/doorkeeper.h"

namespace waferstream {

// Callback service: no call holds a thread. The controller outlives the server.
class ControllerService final : public Controller::CallbackService {
 public:
  // `credentials`: who is served, and who may do what (rpc/doorkeeper.h).
  ControllerService(LocalController& controller, Credentials credentials);

  Doorkeeper& door() { return door_; }

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context,
                                     const RegisterRequest* request, RegisterReply* reply) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const HeartbeatRequest* request,
                                      HeartbeatReply* reply) override;
  grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* context, const NodeReport* request,
                                   Empty* reply) override;
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const SubmitRequest* request, JobStatus* reply) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const JobRef* request,
                                JobStatus* reply) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const Empty* request,
                                 JobList* reply) override;
  grpc::ServerWriteReactor<JobStatus>* Watch(grpc::CallbackServerContext* context,
                                             const JobRef* request) override;
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context, const JobRef* request,
                                   JobStatus* reply) override;
  grpc::ServerUnaryReactor* Resume(grpc::CallbackServerContext* context,
                                   const ResumeRequest* request, JobStatus* reply) override;
  grpc::ServerUnaryReactor* CordonNode(grpc::CallbackServerContext* context,
                                       const CordonRequest* request, NodeStatus* reply) override;
  grpc::ServerUnaryReactor* Events(grpc::CallbackServerContext* context, const JobRef* request,
                                   EventList* reply) override;
  grpc::ServerUnaryReactor* ListNodes(grpc::CallbackServerContext* context, const Empty* request,
                                      NodeList* reply) override;
  grpc::ServerUnaryReactor* ReadNodeLog(grpc::CallbackServerContext* context,
                                        const NodeLogRequest* request,
                                        ReadLogReply* reply) override;
  grpc::ServerUnaryReactor* Version(grpc::CallbackServerContext* context, const Empty* request,
                                    VersionReply* reply) override;

 private:
  // Does what every unary method does: nothing, for who is not let in.
  template <typename Work>
  grpc::ServerUnaryReactor* Admitted(grpc::CallbackServerContext* context, Caller who, Work work);
  // The same of what changes something: `work` gets who asks, and what to give the reply to; both
  // are in the audit log.
  template <typename Reply, typename Work>
  grpc::ServerUnaryReactor* Audited(grpc::CallbackServerContext* context, Caller who,
                                    AuditEntry entry, Reply* reply, Work work);
  // `then`, on the loop, once the log has the outcome.
  void Record(const AuditEntry& entry, const absl::Status& outcome, const std::string& target,
              std::function<void()> then);

  // Where there are certificates: a node is of the role that its certificate says, and speaks for
  // nodes of that role alone. PERMISSION_DENIED.
  absl::Status KnowRole(const grpc::CallbackServerContext& context, const RegisterRequest& request);
  absl::Status CheckNode(const grpc::CallbackServerContext& context, const std::string& node_id);

  ControllerHost& host_;
  NodeClient& nodes_;
  const std::function<void(const std::string& line)> log_;
  Doorkeeper door_;
  AuditLog audit_;
  TaskLane audit_lane_;
  absl::Mutex mutex_;
  std::map<std::string, std::string> roles_ ABSL_GUARDED_BY(mutex_);  // by id, of who registered
};

}  // namespace waferstream
