#include "controller/node_client.h"

#include <map>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "proto/node.grpc.pb.h"
#include "rpc/channel.h"

namespace waferstream {
namespace {

using Methods = Node::StubInterface::async_interface;

constexpr absl::Duration kCheckpointTimeout = absl::Minutes(10);
constexpr absl::Duration kTimeout = absl::Seconds(30);
constexpr int kAttempts = 3;
// Whoever asks for a log waits 10 s for the controller (client/controller_client.h): a node that
// does not answer is to be named before.
constexpr absl::Duration kLogTimeout = absl::Seconds(5);
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
    if (stub == nullptr) {
      stub = Node::NewStub(OpenChannel(address, kControllerToNode, credentials_));
    }
    return stub;
  }

 private:
  const Credentials credentials_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Node::Stub>> by_address_ ABSL_GUARDED_BY(mutex_);
};

NodeClient::NodeClient(Loop& loop, Credentials credentials)
    : loop_(loop), stubs_(std::make_unique<Stubs>(std::move(credentials))) {}

NodeClient::~NodeClient() = default;

void NodeClient::Make(NodeCall call, std::function<void(NodeCallResult)> done) {
  const std::shared_ptr<Node::Stub> stub = stubs_->Find(call.address);
  const auto make = [&]<typename Request, typename Reply>(
                        AsyncCalls::Method<Methods, Request, Reply> method, const Request& request,
                        absl::Duration timeout) {
    calls_.Make<Node::Stub, Methods, Request, Reply>(
        stub, method, request, {.timeout = timeout, .attempts = kAttempts, .wait_for_ready = true},
        [&loop = loop_, call, done = std::move(done)](const absl::Status& status, Reply& reply) {
          loop.Post(
              [done, result = NodeCallResult{call, status, std::move(reply)}] { done(result); });
        });
  };
  const auto dispatch = [&](const auto& request) {
    using Request = std::decay_t<decltype(request)>;
    if constexpr (std::is_same_v<Request, PrepareRequest>) {
      make.template operator()<PrepareRequest, PrepareReply>(&Methods::Prepare, request,
                                                             kCheckpointTimeout);
    } else if constexpr (std::is_same_v<Request, SealRequest>) {
      make.template operator()<SealRequest, SealReply>(&Methods::SealCheckpoint, request,
                                                       kCheckpointTimeout);
    } else if constexpr (std::is_same_v<Request, CommitRequest>) {
      make.template operator()<CommitRequest, Empty>(&Methods::Commit, request, kTimeout);
    } else if constexpr (std::is_same_v<Request, ConnectCall>) {
      make.template operator()<EpochRef, Empty>(&Methods::Connect, request.epoch, kTimeout);
    } else if constexpr (std::is_same_v<Request, StartCall>) {
      make.template operator()<EpochRef, Empty>(&Methods::Start, request.epoch, kTimeout);
    } else {
      make.template operator()<EpochRef, Empty>(&Methods::Release, request.epoch, kTimeout);
    }
  };
  std::visit(dispatch, call.request);
}

void NodeClient::ReadLog(const std::string& address, uint64_t bytes_max, LogDone done) {
  ReadLogRequest request;
  request.set_bytes_max(bytes_max);
  calls_.Make<Node::Stub, Methods, ReadLogRequest, ReadLogReply>(
      stubs_->Find(address), &Methods::ReadLog, request,
      {.timeout = kLogTimeout, .attempts = 1, .wait_for_ready = true},
      [&loop = loop_, done = std::move(done)](const absl::Status& status, ReadLogReply& reply) {
        loop.Post([done, answer = status.ok() ? absl::StatusOr<ReadLogReply>(std::move(reply))
                                              : status] { done(answer); });
      });
}

}  // namespace waferstream
