#include "client/controller_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/unique_id.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/doorkeeper.h"

namespace waferstream {
namespace {

// A Watch call is opened anew this often: a controller that hangs, rather than dies, is noticed by
// not answering the next one.
constexpr absl::Duration kWatchLimit = absl::Seconds(30);

// A controller that was just started refuses proofs from before it listened (rpc/proof.h), those of
// calls that waited for it; a new one is believed. The pauses double, from 20 ms to 320 ms.
constexpr int kRefusedMax = 6;
constexpr absl::Duration kAfterRefusal = absl::Milliseconds(20);

void SetUp(grpc::ClientContext& context, absl::Duration limit, const std::string& token) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + limit));
  if (!token.empty()) context.AddMetadata(kTokenKey, absl::StrCat("Bearer ", token));
}

// UNAVAILABLE and DEADLINE_EXCEEDED are also what gRPC says itself when nobody answers; only a peer
// gives details.
bool IsOwnWord(const grpc::Status& status) { return !status.error_details().empty(); }

// The doorkeeper of the controller knows the caller, but not this call: nothing was done.
bool MayProveAnew(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         status.error_details() == Controller::service_full_name();
}

absl::Status Explain(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string who = absl::StrCat("controller ", address, ": ");
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return absl::UnavailableError(
          absl::StrCat(who, IsOwnWord(status) ? status.error_message() : "cannot be reached"));
    case absl::StatusCode::kUnauthenticated:
      return absl::UnauthenticatedError(absl::StrCat(who, status.error_message()));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(
          absl::StrCat(who, IsOwnWord(status) ? status.error_message() : "does not answer"));
    case absl::StatusCode::kUnimplemented:
      return absl::UnavailableError(absl::StrCat(who, "something else listens there"));
    case absl::StatusCode::kAlreadyExists:  // a request id that stands for something else
      return absl::InvalidArgumentError(status.error_message());
    default:
      return absl::Status(code, status.error_message());
  }
}

JobRef RefTo(const std::string& job_id) {
  JobRef ref;
  ref.set_job_id(job_id);
  return ref;
}

class GrpcWatchCall : public ControllerClient::WatchCall {
 public:
  GrpcWatchCall(Controller::Stub& stub, const std::string& job_id, std::string address,
                const std::string& token)
      : address_(std::move(address)) {
    SetUp(context_, kWatchLimit, token);
    reader_ = stub.Watch(&context_, RefTo(job_id));
  }

  bool Read(JobStatus* status) override { return reader_->Read(status); }
  void Cancel() override { context_.TryCancel(); }
  absl::Status Finish() override { return Explain(reader_->Finish(), address_); }

 private:
  const std::string address_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<JobStatus>> reader_;
};

}  // namespace

bool MayComeBack(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

std::string NewRequestId() { return absl::StrCat(Base32(RandomBits()), Base32(RandomBits())); }

struct ControllerClient::Impl {
  Impl(std::shared_ptr<grpc::Channel> to, std::string shown)
      : channel(std::move(to)), token(std::move(shown)), stub(Controller::NewStub(channel)) {}

  const std::shared_ptr<grpc::Channel> channel;
  const std::string token;
  const std::unique_ptr<Controller::Stub> stub;

  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (Controller::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Reply*),
                             const Request& request, const std::string& address,
                             absl::Duration limit = kCallLimit) {
    const absl::Time deadline = absl::Now() + limit;
    absl::Duration pause = kAfterRefusal;
    for (int refused = 0;; pause *= 2) {
      grpc::ClientContext context;
      SetUp(context, deadline - absl::Now(), token);
      Reply reply;
      const grpc::Status status = (stub.get()->*method)(&context, request, &reply);
      if (status.ok()) return reply;
      const bool again = MayProveAnew(status) && ++refused < kRefusedMax;
      if (!again || absl::Now() + pause >= deadline) return Explain(status, address);
      absl::SleepFor(pause);
    }
  }
};

ControllerClient::ControllerClient(std::string address, const Credentials& credentials)
    : address_(std::move(address)),
      impl_(std::make_unique<Impl>(OpenChannel(address_, kUserToController, credentials),
                                   credentials.token)) {}

ControllerClient::~ControllerClient() = default;

void ControllerClient::AwaitConnection(absl::Duration at_most) {
  impl_->channel->WaitForConnected(absl::ToChronoTime(absl::Now() + at_most));
}

absl::StatusOr<JobStatus> ControllerClient::Submit(const SubmitRequest& request) {
  return impl_->Call(&Controller::Stub::Submit, request, address_);
}

absl::StatusOr<JobStatus> ControllerClient::Get(const std::string& job_id) {
  return impl_->Call(&Controller::Stub::Get, RefTo(job_id), address_);
}

absl::StatusOr<JobList> ControllerClient::List() {
  return impl_->Call(&Controller::Stub::List, Empty(), address_);
}

absl::StatusOr<JobStatus> ControllerClient::Cancel(const std::string& job_id) {
  return impl_->Call(&Controller::Stub::Cancel, RefTo(job_id), address_);
}

absl::StatusOr<JobStatus> ControllerClient::Resume(const ResumeRequest& request) {
  return impl_->Call(&Controller::Stub::Resume, request, address_);
}

absl::StatusOr<EventList> ControllerClient::Events(const std::string& job_id) {
  return impl_->Call(&Controller::Stub::Events, RefTo(job_id), address_);
}

absl::StatusOr<NodeList> ControllerClient::ListNodes(absl::Duration answer_within) {
  return impl_->Call(&Controller::Stub::ListNodes, Empty(), address_, answer_within);
}

absl::StatusOr<NodeStatus> ControllerClient::CordonNode(const CordonRequest& request) {
  return impl_->Call(&Controller::Stub::CordonNode, request, address_);
}

absl::StatusOr<std::string> ControllerClient::ReadNodeLog(const std::string& node_id,
                                                          uint64_t bytes_max) {
  NodeLogRequest request;
  request.set_node_id(node_id);
  request.set_bytes_max(bytes_max);
  absl::StatusOr<ReadLogReply> reply =
      impl_->Call(&Controller::Stub::ReadNodeLog, request, address_);
  if (!reply.ok()) return reply.status();
  return reply->text();
}

absl::StatusOr<VersionReply> ControllerClient::Version() {
  return impl_->Call(&Controller::Stub::Version, Empty(), address_);
}

std::unique_ptr<ControllerClient::WatchCall> ControllerClient::Watch(const std::string& job_id) {
  return std::make_unique<GrpcWatchCall>(*impl_->stub, job_id, address_, impl_->token);
}

}  // namespace waferstream
