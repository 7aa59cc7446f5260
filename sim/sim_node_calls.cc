#include "sim/sim_node_calls.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "base/status.h"
#include "sim/control_call.h"

namespace waferstream {
namespace {

constexpr int kAttempts = 3;  // as in production

const char* NameOf(const NodeRequest& request) {
  constexpr const char* kNames[] = {"Prepare", "Connect", "Start", "Commit", "Seal", "Release"};
  static_assert(std::variant_size_v<NodeRequest> == std::size(kNames));
  return kNames[request.index()];
}

bool IsSlow(const NodeRequest& request) {
  return std::holds_alternative<PrepareRequest>(request) ||
         std::holds_alternative<SealRequest>(request);
}

void NoteEpoch(SimWorld& world, const NodeRequest& request) {
  const auto* prepare = std::get_if<PrepareRequest>(&request);
  if (prepare == nullptr) return;
  uint32_t& newest = world.newest_epoch[prepare->job_id()];
  newest = std::max(newest, prepare->epoch());
}

}  // namespace

// One call from its first attempt to its answer.
struct SimNodeCalls::Attempts {
  NodeCall call;
  std::function<void(NodeCallResult)> done;
  int64_t deadline_ns;
  int made = 0;
};

void SimNodeCalls::Make(NodeCall call, std::function<void(NodeCallResult)> done) {
  world_.Note("controller", "calls ", NameOf(call.request), " of ", call.node_id);
  const int64_t patience_ns =
      IsSlow(call.request) ? world_.pace.slow_call_timeout_ns : world_.pace.call_timeout_ns;
  Attempt(std::make_shared<Attempts>(
      Attempts{std::move(call), std::move(done), world_.now_ns() + patience_ns}));
}

// Who does not listen is waited for; a call that broke is made again.
void SimNodeCalls::Attempt(const std::shared_ptr<Attempts>& attempts) {
  const auto finish = [this, attempts](const absl::StatusOr<NodeReply>& reply) {
    const NodeCall& call = attempts->call;
    world_.Note("controller", NameOf(call.request), " of ", call.node_id, ": ",
                reply.ok() ? "ok" : reply.status().ToString());
    attempts->done({call, reply.status(), reply.ok() ? *reply : Empty()});
  };
  const auto refused = [this, attempts, finish] {
    process_.After(world_.pace.retry_ns, [this, attempts, finish] {
      if (world_.now_ns() < attempts->deadline_ns) return Attempt(attempts);
      finish(absl::DeadlineExceededError("nobody listens"));
    });
  };
  const auto done = [this, attempts, finish](const absl::StatusOr<NodeReply>& reply) {
    const bool again = absl::IsUnavailable(reply.status()) && ++attempts->made < kAttempts &&
                       world_.now_ns() < attempts->deadline_ns;
    again ? Attempt(attempts) : finish(reply);
  };
  SimNode& node = NodeAt(attempts->call.address);
  ControlFlight<NodeReply>::Begin(
      world_, {.from = &process_,
               .to = &node.process(),
               .serve =
                   [&world = world_, &node, attempts](NodeAnswer answer) {
                     if (node.address() != attempts->call.address) {
                       return answer(absl::UnavailableError("connection refused"));
                     }
                     NoteEpoch(world, attempts->call.request);
                     node.Serve(attempts->call.request, std::move(answer));
                   },
               .done = done,
               .refused = refused,
               .timeout_ns = std::max<int64_t>(attempts->deadline_ns - world_.now_ns(), 1)});
}

SimNode& SimNodeCalls::NodeAt(const std::string& address) const {
  const std::string host = address.substr(0, address.find(':'));
  const auto node = std::find_if(nodes_.begin(), nodes_.end(),
                                 [&](const SimNode* known) { return known->id() == host; });
  WS_CHECK(node != nodes_.end());
  return **node;
}

}  // namespace waferstream
