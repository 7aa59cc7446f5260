#include "controller/controller_service.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cluster_secret.h"
#include "base/version.h"
#include "controller/watch_stream.h"
#include "proto/role_word.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

// Finishes the call with a value or its error.
template <typename Reply>
auto Answer(grpc::ServerUnaryReactor* reactor, Reply* reply) {
  return [reactor, reply](absl::StatusOr<Reply> value) {
    const absl::Status status = value.status();
    if (status.ok()) *reply = *std::move(value);
    reactor->Finish(ToGrpc(status));
  };
}

auto Finish(grpc::ServerUnaryReactor* reactor) {
  return [reactor](const absl::Status& status) { reactor->Finish(ToGrpc(status)); };
}

std::string NameOf(const JobStatus& job) { return job.job_id(); }
std::string NameOf(const NodeStatus& node) { return node.node_id(); }

// What a Resume changes.
std::string DetailOf(const ResumeRequest& request) {
  std::string detail = absl::StrCat("request ", request.request_id());
  if (request.lr() != 0) absl::StrAppend(&detail, ", lr ", request.lr());
  if (request.skip_batch()) absl::StrAppend(&detail, ", skips the batch");
  return detail;
}

// Ends at once. gRPC deletes nothing by itself.
class RefusedStream final : public grpc::ServerWriteReactor<JobStatus> {
 public:
  explicit RefusedStream(const grpc::Status& why) { Finish(why); }
  void OnDone() override { delete this; }
};

}  // namespace

ControllerService::ControllerService(LocalController& controller, Credentials credentials)
    : host_(controller.host()),
      nodes_(controller.nodes()),
      log_(controller.options().log),
      door_(std::move(credentials), Controller::service_full_name(), log_),
      audit_(absl::StrCat(controller.options().state_dir, "/audit.jsonl")),
      audit_lane_(controller.lanes(), {.name = "audit", .slow = true}) {}

template <typename Work>
grpc::ServerUnaryReactor* ControllerService::Admitted(grpc::CallbackServerContext* context,
                                                      Caller who, Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const grpc::Status admitted = door_.Admit(*context, who);
  if (admitted.ok()) {
    work(reactor);
  } else {
    reactor->Finish(admitted);
  }
  return reactor;
}

// A stranger's calls are in the log, not one by one (LineLimit): they could fill a disk.
template <typename Reply, typename Work>
grpc::ServerUnaryReactor* ControllerService::Audited(grpc::CallbackServerContext* context,
                                                     Caller who, AuditEntry entry, Reply* reply,
                                                     Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  User user;
  absl::Status status = ToAbsl(door_.Admit(*context, who, &user));
  entry.call = Nonce();
  entry.user = user.name;
  entry.peer = context->peer();
  if (status.ok()) {
    status = audit_.Asked(entry);
  } else if (!user.name.empty()) {
    const absl::Status written = audit_.Refused(entry, status);
    if (!written.ok()) log_(std::string(written.message()));
  }
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  const Asker asker = {.user = user.name, .is_admin = user.role == UserRole::kAdmin};
  work(asker, [=, this](const absl::StatusOr<Reply>& value) {
    const std::string target = value.ok() ? NameOf(*value) : "";
    Record(entry, value.status(), target, [=] { Answer(reactor, reply)(value); });
  });
  return reactor;
}

void ControllerService::Record(const AuditEntry& entry, const absl::Status& outcome,
                               const std::string& target, std::function<void()> then) {
  audit_lane_.Run([=, this] { return audit_.Answered(entry, outcome, target); },
                  [this, then = std::move(then)](const absl::Status& written) {
                    if (!written.ok()) log_(std::string(written.message()));
                    then();
                  });
}

absl::Status ControllerService::KnowRole(const grpc::CallbackServerContext& context,
                                         const RegisterRequest& request) {
  if (!door_.knows_roles()) return absl::OkStatus();
  const std::string role = RoleWord(request.role());
  absl::Status status = door_.CheckRole(context, role);
  if (!status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  const auto known = roles_.emplace(request.node_id(), role).first;
  if (known->second == role) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("denied: node ", request.node_id(), " is of role ", known->second));
}

// Who is not known here is not known to the host: it says so.
absl::Status ControllerService::CheckNode(const grpc::CallbackServerContext& context,
                                          const std::string& node_id) {
  std::string role;
  {
    absl::MutexLock lock(&mutex_);
    const auto known = roles_.find(node_id);
    if (known == roles_.end()) return absl::OkStatus();
    role = known->second;
  }
  return door_.CheckRole(context, role);
}

grpc::ServerUnaryReactor* ControllerService::Register(grpc::CallbackServerContext* context,
                                                      const RegisterRequest* request,
                                                      RegisterReply* reply) {
  return Admitted(context, Caller::kNode, [=, this](grpc::ServerUnaryReactor* reactor) {
    if (const absl::Status status = KnowRole(*context, *request); !status.ok()) {
      return reactor->Finish(ToGrpc(status));
    }
    host_.Register(*request, Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::Heartbeat(grpc::CallbackServerContext* context,
                                                       const HeartbeatRequest* request,
                                                       HeartbeatReply* reply) {
  return Admitted(context, Caller::kNode, [=, this](grpc::ServerUnaryReactor* reactor) {
    const absl::Status status = CheckNode(*context, request->node_id());
    if (!status.ok()) return reactor->Finish(ToGrpc(status));
    host_.Heartbeat(*request, Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::Report(grpc::CallbackServerContext* context,
                                                    const NodeReport* request, Empty*) {
  return Admitted(context, Caller::kNode, [=, this](grpc::ServerUnaryReactor* reactor) {
    const absl::Status status = CheckNode(*context, request->node_id());
    if (!status.ok()) return reactor->Finish(ToGrpc(status));
    host_.Report(*request, Finish(reactor));
  });
}

grpc::ServerUnaryReactor* ControllerService::Submit(grpc::CallbackServerContext* context,
                                                    const SubmitRequest* request,
                                                    JobStatus* reply) {
  return Audited(context, Caller::kSubmitter,
                 {.method = "Submit",
                  .target = request->job().name(),
                  .detail = absl::StrCat("request ", request->request_id())},
                 reply,
                 [=, this](const Asker& asker, const ControllerHost::StatusCallback& answer) {
                   host_.Submit(asker, *request, answer);
                 });
}

grpc::ServerUnaryReactor* ControllerService::Get(grpc::CallbackServerContext* context,
                                                 const JobRef* request, JobStatus* reply) {
  return Admitted(context, Caller::kUser, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Get(request->job_id(), Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::List(grpc::CallbackServerContext* context,
                                                  const Empty*, JobList* reply) {
  return Admitted(context, Caller::kUser, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Post([this, reactor, reply] {
      *reply = host_.board().List();
      reactor->Finish(grpc::Status::OK);
    });
  });
}

grpc::ServerWriteReactor<JobStatus>* ControllerService::Watch(grpc::CallbackServerContext* context,
                                                              const JobRef* request) {
  const grpc::Status admitted = door_.Admit(*context, Caller::kUser);
  if (!admitted.ok()) return new RefusedStream(admitted);
  return new WatchStream(host_, request->job_id());
}

grpc::ServerUnaryReactor* ControllerService::Cancel(grpc::CallbackServerContext* context,
                                                    const JobRef* request, JobStatus* reply) {
  return Audited(context, Caller::kSubmitter, {.method = "Cancel", .target = request->job_id()},
                 reply,
                 [=, this](const Asker& asker, const ControllerHost::StatusCallback& answer) {
                   host_.Cancel(asker, request->job_id(), answer);
                 });
}

grpc::ServerUnaryReactor* ControllerService::Resume(grpc::CallbackServerContext* context,
                                                    const ResumeRequest* request,
                                                    JobStatus* reply) {
  return Audited(context, Caller::kSubmitter,
                 {.method = "Resume", .target = request->job_id(), .detail = DetailOf(*request)},
                 reply,
                 [=, this](const Asker& asker, const ControllerHost::StatusCallback& answer) {
                   host_.Resume(asker, *request, answer);
                 });
}

grpc::ServerUnaryReactor* ControllerService::CordonNode(grpc::CallbackServerContext* context,
                                                        const CordonRequest* request,
                                                        NodeStatus* reply) {
  return Audited(context, Caller::kAdmin,
                 {.method = "CordonNode",
                  .target = request->node_id(),
                  .detail = CordonRequest::Action_Name(request->action())},
                 reply,
                 [=, this](const Asker&, const auto& answer) { host_.Cordon(*request, answer); });
}

grpc::ServerUnaryReactor* ControllerService::Events(grpc::CallbackServerContext* context,
                                                    const JobRef* request, EventList* reply) {
  return Admitted(context, Caller::kUser, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Events(request->job_id(), Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::ListNodes(grpc::CallbackServerContext* context,
                                                       const Empty*, NodeList* reply) {
  return Admitted(context, Caller::kUser, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Post([=, this] {
      *reply = host_.Nodes();
      reactor->Finish(grpc::Status::OK);
    });
  });
}

grpc::ServerUnaryReactor* ControllerService::ReadNodeLog(grpc::CallbackServerContext* context,
                                                         const NodeLogRequest* request,
                                                         ReadLogReply* reply) {
  return Admitted(context, Caller::kUser, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.AddressOf(request->node_id(), [=, this](const absl::StatusOr<std::string>& address) {
      const auto answer = Answer(reactor, reply);
      if (!address.ok()) return answer(address.status());
      nodes_.ReadLog(*address, request->bytes_max(),
                     [answer, node = absl::StrCat("node ", request->node_id(), " at ", *address)](
                         const absl::StatusOr<ReadLogReply>& log) {
                       if (log.ok()) return answer(log);
                       answer(absl::Status(log.status().code(),
                                           absl::StrCat(node, ": ", log.status().message())));
                     });
    });
  });
}

grpc::ServerUnaryReactor* ControllerService::Version(grpc::CallbackServerContext* context,
                                                     const Empty*, VersionReply* reply) {
  return Admitted(context, Caller::kUser, [=, this](grpc::ServerUnaryReactor* reactor) {
    reply->set_version(waferstream::Version());
    reply->set_protocol_version(NewestProtocol());
    reply->set_protocol_oldest(OldestProtocol());
    reply->set_numerics(Numerics());
    reactor->Finish(grpc::Status::OK);
  });
}

}  // namespace waferstream
