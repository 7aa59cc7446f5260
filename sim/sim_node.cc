#include "sim/sim_node.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "fabric/frame.h"

namespace waferstream {
namespace {

constexpr uint32_t kFirstPort = 1000;

}  // namespace

struct SimNode::Life {
  std::unique_ptr<NodeRole> role;
  std::unique_ptr<SimUplink> uplink;
  std::unique_ptr<SimNodeShell> shell;  // goes first: its cores use what the role keeps
};

SimNode::SimNode(ChaosWorld& world, SimFabric& fabric, SimControllerService& controller,
                 Options options)
    : world_(world),
      fabric_(fabric),
      controller_(controller),
      options_(std::move(options)),
      process_(world, options_.id) {}

SimNode::~SimNode() = default;

uint32_t SimNode::port() const {
  return kFirstPort + (options_.same_ports ? 0 : static_cast<uint32_t>(process_.life()));
}

std::string SimNode::address() const { return absl::StrCat(options_.id, ":", port()); }

void SimNode::Boot() {
  process_.Begin();
  world_.Note(id(), "begins life ", process_.life());
  life_ = std::make_unique<Life>();
  life_->role = options_.make_role();
  RegisterRequest me;
  me.set_node_id(id());
  me.set_role(options_.role);
  me.set_host(id());
  me.set_control_port(port());
  me.set_fabric_port(port());
  me.set_protocol_version(kProtocolVersion);
  me.set_kernel_isa(life_->role->kernel_isa());
  me.set_incarnation(process_.life());
  // A supervisor starts a node again that gave up.
  const auto lost = [this](const absl::Status& why) {
    world_.Note(id(), "gives up: ", std::string(why.message()));
    world_.queue.After(1, [this, life = process_.life()] {
      if (!process_.alive() || process_.life() != life) return;
      Kill(false);
      Boot();
    });
  };
  const auto holds = [life = life_.get()] { return life->shell->holds(); };
  life_->uplink = std::make_unique<SimUplink>(world_, process_, controller_, me, holds, lost);
  life_->shell = std::make_unique<SimNodeShell>(
      world_, fabric_, process_, *life_->role,
      [this](NodeReport report) { life_->uplink->Report(std::move(report)); });
  fabric_.Listen(id(), port(), process_, *life_->shell);
}

void SimNode::Kill(bool silently) {
  process_.End(silently);
  options_.crash_disk();
  life_ = nullptr;
}

void SimNode::Serve(const NodeRequest& request, ControlAnswer answer) {
  life_->shell->Serve(request, std::move(answer));
}

bool SimNode::idle() const {
  return life_ == nullptr || (life_->shell->idle() && life_->uplink->quiet());
}

}  // namespace waferstream
