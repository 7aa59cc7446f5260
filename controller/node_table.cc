#include "controller/node_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "base/mark.h"
#include "base/protocol_range.h"
#include "base/status.h"
#include "base/user_input.h"
#include "base/version.h"

namespace waferstream {
namespace {

// A lost node stays listed this long, so that people can see it; the table stays bounded.
constexpr double kForgetLostAfter_s = 3600;

absl::Status CheckRegistration(const RegisterRequest& request) {
  RETURN_IF_ERROR(CheckName("node_id", request.node_id()));
  if (!Role_IsValid(request.role())) {
    return absl::InvalidArgumentError(
        absl::StrCat("node ", request.node_id(), ": role ", request.role(), " is unknown"));
  }
  if (request.host().empty() || request.control_port() == 0 || request.fabric_port() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("node ", request.node_id(), ": host, control_port or fabric_port is missing"));
  }
  const std::string node = absl::StrCat("node ", request.node_id(), ": ");
  RETURN_IF_ERROR(CheckHost(node + "host", request.host()));
  RETURN_IF_ERROR(CheckBounds(node + "control_port", request.control_port(), {.high = 65535}));
  return CheckBounds(node + "fabric_port", request.fabric_port(), {.high = 65535});
}

absl::Status RegisterAgain(const std::string& node_id) {
  return absl::NotFoundError(absl::StrCat("node ", node_id, " is not registered; register again"));
}

}  // namespace

absl::StatusOr<uint32_t> ProtocolWith(const RegisterRequest& node) {
  return AgreeOnProtocol(
      {absl::StrCat("node ", node.node_id(), " (version ", node.build(), ")"),
       ProtocolsOf(node.protocol_version(), node.protocol_oldest())},
      {absl::StrCat("this controller (version ", Version(), ")"), OwnProtocols()});
}

const char* RoleName(Role role) {
  return role == WAFER ? "wafer" : role == MEMORYX ? "MemoryX" : "SwarmX";
}

std::string KnownNode::address() const {
  return JoinHostPort(info.host(), static_cast<int>(info.control_port()));
}

void KnownNode::CallEnds(uint64_t incarnation) {
  const auto calls = calls_in_flight.find(incarnation);
  // One of before this controller forgot the node does not count.
  if (calls != calls_in_flight.end() && --calls->second == 0) calls_in_flight.erase(calls);
}

absl::StatusOr<bool> NodeTable::Register(const RegisterRequest& request, double now_s) {
  if (absl::Status status = CheckRegistration(request); !status.ok()) return status;
  auto [it, is_new] = nodes_.try_emplace(request.node_id());
  KnownNode& node = it->second;
  const bool replaced = !is_new && node.info.incarnation() != request.incarnation();
  if (replaced && !node.lost && request.incarnation() < node.info.incarnation()) {
    return absl::AlreadyExistsError(absl::StrCat("node ", request.node_id(),
                                                 ": another process, at ", node.address(),
                                                 ", has this id by now"));
  }
  if (is_new) Remember(request, node);
  if (replaced) {
    node.release.clear();  // the new process holds what it says
  }
  const bool was_leaving = !is_new && !replaced && node.info.leaving();
  node.info = request;
  if (was_leaving) node.info.set_leaving(true);  // this registration is late
  node.heard_s = now_s;
  node.lost = false;
  if (request.has_holds()) Holds(request.node_id(), request.holds());
  return replaced;
}

void NodeTable::Holds(const std::string& node_id, const EpochRef& held) {
  KnownNode& node = *Find(node_id);
  if (held.job_id().empty() || held.job_id() == node.job_id) return;
  const bool known =
      std::any_of(node.release.begin(), node.release.end(), [&](const EpochRef& due) {
        return due.job_id() == held.job_id() && due.epoch() >= held.epoch();
      });
  if (known) return;
  WS_MARK("controller: a node held what nobody wanted");
  node.release.push_back(held);
}

bool NodeTable::Leaves(const std::string& node_id) {
  RegisterRequest& info = Find(node_id)->info;
  if (info.leaving()) return false;
  info.set_leaving(true);
  return true;
}

void NodeTable::Remember(const RegisterRequest& request, KnownNode& node) const {
  const auto member = memory_.members.find(request.node_id());
  if (member != memory_.members.end() && member->second.incarnation == request.incarnation()) {
    node.job_id = member->second.job_id;
  }
  const auto cordon = memory_.cordons.find(request.node_id());
  if (cordon == memory_.cordons.end()) return;
  node.cordoned = true;
  node.draining = cordon->second.draining;
  node.note = cordon->second.note;
}

void NodeTable::EndJob(const std::string& job_id) {
  std::erase_if(memory_.members, [&](const auto& claim) { return claim.second.job_id == job_id; });
}

absl::Status NodeTable::SetCordon(const CordonRecord& record) {
  if (record.node_id.empty()) return absl::InvalidArgumentError("node_id is empty");
  if (record.cordoned) {
    memory_.cordons[record.node_id] = record;
  } else {
    memory_.cordons.erase(record.node_id);
  }
  if (KnownNode* node = Find(record.node_id)) {
    node->cordoned = record.cordoned;
    node->draining = record.draining;
    node->note = record.note;
  }
  return absl::OkStatus();
}

void NodeTable::Excuse(double away_s) {
  for (auto& [id, node] : nodes_) node.heard_s += away_s;
}

absl::Status NodeTable::Heard(const std::string& node_id, std::optional<uint64_t> incarnation,
                              double now_s) {
  KnownNode* node = Find(node_id);
  if (node == nullptr || node->lost) return RegisterAgain(node_id);
  if (incarnation.has_value() && *incarnation != node->info.incarnation()) {
    return RegisterAgain(node_id);
  }
  node->heard_s = now_s;
  return absl::OkStatus();
}

std::vector<std::string> NodeTable::Expire(double now_s) {
  std::vector<std::string> lost;
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    KnownNode& node = it->second;
    const double silent_s = now_s - node.heard_s;
    if (!node.lost && silent_s >= lease_s_) {
      node.lost = true;
      lost.push_back(it->first);
    }
    const bool forget = node.lost && node.job_id.empty() && silent_s >= kForgetLostAfter_s;
    it = forget ? nodes_.erase(it) : std::next(it);
  }
  return lost;
}

std::optional<double> NodeTable::NextExpiry() const {
  std::optional<double> next;
  for (const auto& [id, node] : nodes_) {
    // Until its job lets go of it, nothing is to be done about a lost node.
    if (node.lost && !node.job_id.empty()) continue;
    const double due_s = node.heard_s + (node.lost ? kForgetLostAfter_s : lease_s_);
    if (!next.has_value() || due_s < *next) next = due_s;
  }
  return next;
}

KnownNode* NodeTable::Find(const std::string& node_id) {
  const auto it = nodes_.find(node_id);
  return it == nodes_.end() ? nullptr : &it->second;
}

NodeList NodeTable::List(double now_s) const {
  NodeList list;
  for (const auto& [id, node] : nodes_) *list.add_nodes() = StatusOf(node, now_s);
  return list;
}

NodeStatus NodeTable::StatusOf(const KnownNode& node, double now_s) {
  const bool leaving = node.info.leaving();
  NodeStatus status;
  status.set_node_id(node.info.node_id());
  status.set_role(node.info.role());
  status.set_address(node.address());
  status.set_state(node.lost ? LOST : node.idle() ? IDLE : BUSY);
  status.set_job_id(node.job_id);
  status.set_seconds_since_heard(now_s - node.heard_s);
  status.set_kernel_isa(node.info.kernel_isa());
  status.set_cordoned(node.cordoned);
  status.set_draining(node.draining || (leaving && !node.lost));
  status.set_note(node.note);
  status.set_version(node.info.build());
  status.set_protocol(ProtocolWith(node.info).value_or(0));
  status.set_numerics(NumericsSaid(node.info.numerics()));
  if (leaving && node.note.empty()) status.set_note(node.lost ? "was stopped" : "is stopping");
  return status;
}

}  // namespace waferstream
