#include "controller/node_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "proto/node.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

constexpr std::chrono::minutes kCheckpointDeadline{10};
constexpr std::chrono::seconds kDeadline{30};
constexpr int kAttempts = 3;
constexpr size_t kStubsMax = 4096;

}  // namespace

// One connection an address, kept open between calls.
class NodeClient::Stubs {
 public:
  explicit Stubs(Credentials credentials) : credentials_(std::move(credentials)) {}

  std::shared_ptr<Node::Stub> Find(const std::string& address) {
    absl::MutexLock lock(&mutex_);
    // Nodes come and go under new ports; starting over is cheap.
    if (by_address_.size() >= kStubsMax) by_address_.clear();
    std::shared_ptr<Node::Stub>& stub = by_address_[address];
    if (stub == nullptr)
      stub = Node::NewStub(OpenChannel(address, kControllerToNode, credentials_));
    return stub;
  }

 private:
  const Credentials credentials_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Node::Stub>> by_address_ ABSL_GUARDED_BY(mutex_);
};

// One call from its first attempt to its answer.
template <typename Request, typename Reply>
struct NodeClient::Flight {
  using Method = void (Node::StubInterface::async_interface::*)(grpc::ClientContext*,
                                                                const Request*, Reply*,
                                                                std::function<void(grpc::Status)>);

  std::shared_ptr<Node::Stub> stub;
  Method method;
  Request request;
  std::chrono::system_clock::time_point deadline;
  std::function<void(absl::Status, Reply&)> done;

  int attempts = 0;
  std::unique_ptr<grpc::ClientContext> context = nullptr;
  Reply reply = {};
};

NodeClient::NodeClient(Credentials credentials)
    : stubs_(std::make_unique<Stubs>(std::move(credentials))) {}

NodeClient::~NodeClient() {
  CancelAll();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](std::set<grpc::ClientContext*>* calls) { return calls->empty(); }, &in_flight_));
}

void NodeClient::CancelAll() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : in_flight_) context->TryCancel();
}

bool NodeClient::Enter(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  if (!cancelled_) in_flight_.insert(context);
  return !cancelled_;
}

void NodeClient::Leave(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  in_flight_.erase(context);
}

bool NodeClient::cancelled() {
  absl::MutexLock lock(&mutex_);
  return cancelled_;
}

template <typename Request, typename Reply>
void NodeClient::Launch(std::shared_ptr<Flight<Request, Reply>> flight) {
  ++flight->attempts;
  flight->context = std::make_unique<grpc::ClientContext>();
  flight->context->set_deadline(flight->deadline);
  flight->context->set_wait_for_ready(true);
  if (!Enter(flight->context.get())) {
    return flight->done(absl::CancelledError("the controller is stopping"), flight->reply);
  }
  auto* calls = flight->stub->async();
  (calls->*flight->method)(
      flight->context.get(), &flight->request, &flight->reply, [this, flight](grpc::Status status) {
        // The context is replaced by a further attempt, but is registered until this one is over,
        // so that the destructor waits for the answer, too.
        const std::unique_ptr<grpc::ClientContext> context = std::move(flight->context);
        const bool broken = status.error_code() == grpc::StatusCode::UNAVAILABLE;
        if (broken && flight->attempts < kAttempts && !cancelled()) {
          Launch(flight);
        } else {
          flight->done(ToAbsl(status), flight->reply);
        }
        Leave(context.get());
      });
}

void NodeClient::Make(NodeCall call, Done done) {
  using Calls = Node::StubInterface::async_interface;
  const std::shared_ptr<Node::Stub> stub = stubs_->Find(call.address);
  const auto start = std::chrono::system_clock::now();

  const auto launch = [&]<typename Request, typename Reply>(
                          void (Calls::*method)(grpc::ClientContext*, const Request*, Reply*,
                                                std::function<void(grpc::Status)>),
                          const Request& request, std::chrono::seconds patience) {
    auto answer = [call, done = std::move(done)](absl::Status status, Reply& reply) {
      done({call, std::move(status), std::move(reply)});
    };
    Launch(std::make_shared<Flight<Request, Reply>>(Flight<Request, Reply>{
        .stub = stub,
        .method = method,
        .request = request,
        .deadline = start + patience,
        .done = std::move(answer),
    }));
  };

  const auto make = [&](const auto& request) {
    using Request = std::decay_t<decltype(request)>;
    if constexpr (std::is_same_v<Request, PrepareRequest>) {
      launch.template operator()<PrepareRequest, PrepareReply>(&Calls::Prepare, request,
                                                               kCheckpointDeadline);
    } else if constexpr (std::is_same_v<Request, SealRequest>) {
      launch.template operator()<SealRequest, SealReply>(&Calls::SealCheckpoint, request,
                                                         kCheckpointDeadline);
    } else if constexpr (std::is_same_v<Request, CommitRequest>) {
      launch.template operator()<CommitRequest, Empty>(&Calls::Commit, request, kDeadline);
    } else if constexpr (std::is_same_v<Request, ConnectCall>) {
      launch.template operator()<EpochRef, Empty>(&Calls::Connect, request.epoch, kDeadline);
    } else if constexpr (std::is_same_v<Request, StartCall>) {
      launch.template operator()<EpochRef, Empty>(&Calls::Start, request.epoch, kDeadline);
    } else {
      launch.template operator()<EpochRef, Empty>(&Calls::Release, request.epoch, kDeadline);
    }
  };
  std::visit(make, call.request);
}

void NodeClient::ReadLog(const std::string& address, uint64_t bytes_max, LogDone done) {
  ReadLogRequest request;
  request.set_bytes_max(bytes_max);
  using Log = Flight<ReadLogRequest, ReadLogReply>;
  Launch(std::make_shared<Log>(Log{
      .stub = stubs_->Find(address),
      .method = &Node::StubInterface::async_interface::ReadLog,
      .request = std::move(request),
      .deadline = std::chrono::system_clock::now() + kDeadline,
      .done =
          [done = std::move(done)](absl::Status status, ReadLogReply& reply) {
            if (status.ok()) return done(std::move(reply));
            done(std::move(status));
          },
  }));
}

}  // namespace waferstream
