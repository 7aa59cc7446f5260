#include "sim/sim_node.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "node/controller_link.h"
#include "node/node_shell.h"
#include "sim/epoch_audit.h"
#include "sim/virtual_lanes.h"

namespace waferstream {
namespace {

constexpr uint16_t kFirstPort = 1000;

}  // namespace

// The shell of production on virtual time. Goes in the opposite order: its cores use what the role
// keeps.
struct SimNode::Life {
  std::unique_ptr<NodeRole> role;
  std::unique_ptr<Fabric> fabric;
  VirtualLanes lanes;
  SimControllerCalls controller;
  std::unique_ptr<ControllerLink> link;
  std::unique_ptr<NodeShell> shell;
};

SimNode::SimNode(SimWorld& world, SimFabric& fabric, SimControllerService& controller,
                 Options options)
    : world_(world),
      fabric_(fabric),
      controller_(controller),
      options_(std::move(options)),
      process_(world, options_.id) {}

SimNode::~SimNode() = default;

uint16_t SimNode::port() const {
  return static_cast<uint16_t>(kFirstPort + (options_.same_ports ? 0 : process_.life()));
}

std::string SimNode::address() const { return absl::StrCat(options_.id, ":", port()); }

RegisterRequest SimNode::Registration() const {
  RegisterRequest me;
  me.set_node_id(id());
  me.set_role(options_.role);
  me.set_host(id());
  me.set_control_port(port());
  me.set_fabric_port(port());
  me.set_protocol_version(NewestProtocol());
  me.set_numerics(Numerics());
  me.set_kernel_isa(life_->role->kernel_isa());
  me.set_incarnation(process_.life());
  return me;
}

void SimNode::Boot() {
  process_.Begin();
  world_.Note(id(), "begins life ", process_.life());
  life_.reset(new Life{.role = options_.make_role(),
                       .fabric = fabric_.PortOf(process_, port()),
                       .lanes = {world_, process_},
                       .controller = {world_, process_, controller_},
                       .link = nullptr,
                       .shell = nullptr});
  const auto log = [this](LogLevel, const std::string& line) { world_.Note(id(), line); };
  const auto observe = [this](const PrepareRequest& request, const PrepareReply& reply,
                              const Plan& plan) {
    return std::make_unique<EpochAudit>(world_, id(), request, reply, plan);
  };
  life_->shell = std::make_unique<NodeShell>(
      NodeWorld{.loop = process_,
                .fabric = *life_->fabric,
                .lanes = life_->lanes,
                .log = log,
                .observe = observe},
      NodeShellOptions{.node_id = id(),
                       .connect_timeout = absl::Nanoseconds(world_.pace.connect_timeout_ns)},
      *life_->role, [this](NodeReport report) { life_->link->Report(std::move(report)); });
  life_->link = std::make_unique<ControllerLink>(
      process_, life_->controller,
      ControllerLinkOptions{.node_id = id(),
                            .address = "controller",
                            .patience = absl::Nanoseconds(world_.pace.patience_ns),
                            .heartbeat_every = absl::Nanoseconds(world_.pace.heartbeat_ns),
                            .retry_pause = absl::Nanoseconds(world_.pace.retry_ns),
                            .leave_patience = absl::Nanoseconds(world_.pace.patience_ns) / 6,
                            .holds = [this] { return life_->shell->holds(); }},
      log, [this](const absl::Status& why) { OnLost(why); });
  const absl::Status listening = life_->shell->Listen();
  if (!listening.ok()) world_.Violate(std::string(listening.message()));
  life_->link->Start(Registration());
}

// A supervisor starts a node again that gave up.
void SimNode::OnLost(const absl::Status& why) {
  world_.Note(id(), "gives up: ", std::string(why.message()));
  world_.queue.After(1, [this, life = process_.life()] {
    if (!process_.alive() || process_.life() != life) return;
    Kill(false);
    Boot();
  });
}

void SimNode::Kill(bool silently) {
  process_.End(silently);
  options_.crash_disk();
  life_ = nullptr;
}

void SimNode::Stop(int64_t grace_ns, std::function<void()> ended) {
  life_->link->Leave(absl::Nanoseconds(grace_ns),
                     [this, ended = std::move(ended)](const absl::Status& how) {
                       OnLeft(how);
                       process_.After(1, [this, ended] {
                         Kill(false);
                         ended();
                       });
                     });
}

void SimNode::OnLeft(const absl::Status& how) {
  ++world_.faults[how.ok() ? "(left in order)" : "(cut short)"];
  world_.Note(id(), how.ok() ? "has left" : std::string(how.message()));
  const bool holds = life_->shell->holds().has_value();
  if (how.ok() && holds) world_.Violate(absl::StrCat(id(), " left too early"));
}

void SimNode::Serve(const NodeRequest& request, NodeAnswer answer) {
  life_->shell->Serve(request, std::move(answer));
}

bool SimNode::idle() const {
  return life_ == nullptr || (life_->shell->idle() && life_->link->quiet());
}

}  // namespace waferstream
