#include "controller/controller_service.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "controller/watch_stream.h"
#include "fabric/frame.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

// A node that misses two beats is still within its lease.
constexpr int kBeatsALease = 5;

// Finishes the call with a value or its error.
template <typename Reply>
auto Answer(grpc::ServerUnaryReactor* reactor, Reply* reply) {
  return [reactor, reply](absl::StatusOr<Reply> value) {
    if (value.ok()) *reply = *std::move(value);
    reactor->Finish(ToGrpc(value.status()));
  };
}

absl::Status CheckProtocol(const RegisterRequest& request) {
  if (request.protocol_version() == kProtocolVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("node ", request.node_id(), " speaks protocol version ",
                   request.protocol_version(), ", this controller ", kProtocolVersion));
}

// Ends at once. gRPC deletes nothing by itself.
class RefusedStream final : public grpc::ServerWriteReactor<JobStatus> {
 public:
  explicit RefusedStream(const grpc::Status& why) { Finish(why); }
  void OnDone() override { delete this; }
};

}  // namespace

ControllerService::ControllerService(ControllerHost& host, Credentials credentials)
    : host_(host),
      door_(std::move(credentials), Controller::service_full_name(), host.options().log) {}

template <typename Work>
grpc::ServerUnaryReactor* ControllerService::Admitted(grpc::CallbackServerContext* context,
                                                      Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const grpc::Status admitted = door_.Admit(*context);
  if (admitted.ok()) {
    work(reactor);
  } else {
    reactor->Finish(admitted);
  }
  return reactor;
}

grpc::ServerUnaryReactor* ControllerService::Register(grpc::CallbackServerContext* context,
                                                      const RegisterRequest* request,
                                                      RegisterReply* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    if (const absl::Status status = CheckProtocol(*request); !status.ok()) {
      reactor->Finish(ToGrpc(status));
      return;
    }
    reply->set_lease_ms(host_.options().lease_ms);
    reply->set_heartbeat_ms(host_.options().lease_ms / kBeatsALease);
    host_.Event([=](ControllerCore& core, ControllerTurn& turn) {
      reactor->Finish(ToGrpc(core.OnRegister(*request, turn)));
    });
  });
}

grpc::ServerUnaryReactor* ControllerService::Heartbeat(grpc::CallbackServerContext* context,
                                                       const HeartbeatRequest* request, Empty*) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Event([=](ControllerCore& core, ControllerTurn& turn) {
      reactor->Finish(ToGrpc(core.OnHeartbeat(*request, turn)));
    });
  });
}

grpc::ServerUnaryReactor* ControllerService::Report(grpc::CallbackServerContext* context,
                                                    const NodeReport* request, Empty*) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Event([=](ControllerCore& core, ControllerTurn& turn) {
      reactor->Finish(ToGrpc(core.OnReport(*request, turn)));
    });
  });
}

grpc::ServerUnaryReactor* ControllerService::Submit(grpc::CallbackServerContext* context,
                                                    const SubmitRequest* request,
                                                    JobStatus* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Submit(*request, Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::Get(grpc::CallbackServerContext* context,
                                                 const JobRef* request, JobStatus* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Get(request->job_id(), Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::List(grpc::CallbackServerContext* context,
                                                  const Empty*, JobList* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Post([this, reactor, reply] {
      *reply = host_.board().List();
      reactor->Finish(grpc::Status::OK);
    });
  });
}

grpc::ServerWriteReactor<JobStatus>* ControllerService::Watch(grpc::CallbackServerContext* context,
                                                              const JobRef* request) {
  const grpc::Status admitted = door_.Admit(*context);
  if (!admitted.ok()) return new RefusedStream(admitted);
  return new WatchStream(host_, request->job_id());
}

grpc::ServerUnaryReactor* ControllerService::Cancel(grpc::CallbackServerContext* context,
                                                    const JobRef* request, JobStatus* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Cancel(request->job_id(), Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::Resume(grpc::CallbackServerContext* context,
                                                    const ResumeRequest* request,
                                                    JobStatus* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Resume(*request, Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::CordonNode(grpc::CallbackServerContext* context,
                                                        const CordonRequest* request,
                                                        NodeStatus* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Cordon(*request, Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::Events(grpc::CallbackServerContext* context,
                                                    const JobRef* request, EventList* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Events(request->job_id(), Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::ListNodes(grpc::CallbackServerContext* context,
                                                       const Empty*, NodeList* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.Event([=](ControllerCore& core, ControllerTurn& turn) {
      *reply = core.ListNodes(turn.now.steady_s);
      reactor->Finish(grpc::Status::OK);
    });
  });
}

grpc::ServerUnaryReactor* ControllerService::ReadNodeLog(grpc::CallbackServerContext* context,
                                                         const NodeLogRequest* request,
                                                         ReadLogReply* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    host_.ReadNodeLog(*request, Answer(reactor, reply));
  });
}

grpc::ServerUnaryReactor* ControllerService::Version(grpc::CallbackServerContext* context,
                                                     const Empty*, VersionReply* reply) {
  return Admitted(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    reply->set_version(kVersion);
    reply->set_protocol_version(kProtocolVersion);
    reactor->Finish(grpc::Status::OK);
  });
}

}  // namespace waferstream
