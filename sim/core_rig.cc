#include "sim/core_rig.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "node/node_shell.h"
#include "sim/epoch_audit.h"
#include "sim/sim_process.h"
#include "sim/virtual_lanes.h"

namespace waferstream {
namespace {

constexpr uint16_t kPort = 1000;

EpochRef Ref() {
  EpochRef ref;
  ref.set_job_id("rig");
  return ref;
}

// Gives away the core that it was given.
class GivenCore final : public NodeRole {
 public:
  GivenCore(Role kind, std::unique_ptr<RoleCore> core) : kind_(kind), core_(std::move(core)) {}

  Role kind() const override { return kind_; }
  absl::StatusOr<std::unique_ptr<RoleCore>> Prepare(const PrepareRequest&, const Plan&,
                                                    PrepareReply*) override {
    return std::move(core_);
  }

 private:
  const Role kind_;
  std::unique_ptr<RoleCore> core_;
};

}  // namespace

struct CoreRig::Process {
  Process(CoreRig& rig, Role role, int the_index, std::unique_ptr<RoleCore> core)
      : index(the_index),
        loop(rig.world_, absl::StrCat(Role_Name(role), " ", index)),
        given(role, std::move(core)),
        fabric(rig.fabric_.PortOf(loop, kPort)),
        lanes(rig.world_, loop) {}

  const int index;  // of its role's processes
  SimProcess loop;
  GivenCore given;
  std::unique_ptr<Fabric> fabric;
  VirtualLanes lanes;
  std::unique_ptr<NodeShell> shell;
};

CoreRig::CoreRig(const Plan& plan, uint64_t seed)
    : plan_(plan), world_(seed, QuickPace(), Weather{}, serial_, nullptr), fabric_(world_) {}

// Connections and events refer to the processes at both their ends: they go before any of these.
CoreRig::~CoreRig() {
  for (const auto& process : processes_) process->shell = nullptr;
  world_.queue.Clear();
}

void CoreRig::Add(Role role, std::unique_ptr<RoleCore> core) {
  auto* members = role == MEMORYX  ? roster_.mutable_memoryx()
                  : role == SWARMX ? roster_.mutable_swarmx()
                                   : roster_.mutable_wafers();
  processes_.push_back(std::make_unique<Process>(*this, role, members->size(), std::move(core)));
  Process& process = *processes_.back();
  const std::string& name = process.loop.name();
  Member* const member = members->Add();
  member->set_node_id(name);
  member->set_host(name);
  member->set_fabric_port(kPort);
  process.loop.Begin();
  process.shell = std::make_unique<NodeShell>(
      NodeWorld{.loop = process.loop,
                .fabric = *process.fabric,
                .lanes = process.lanes,
                .log = [this, name](LogLevel, const std::string& line) { world_.Note(name, line); },
                .observe =
                    [this, name](const PrepareRequest& request, const PrepareReply& reply,
                                 const Plan& plan) {
                      return std::make_unique<EpochAudit>(world_, name, request, reply, plan);
                    }},
      NodeShellOptions{.node_id = name}, process.given, [this, &process](const NodeReport& report) {
        if (report.has_fault()) Fail(process, report.fault().message());
      });
  WS_CHECK(process.shell->Listen().ok());
}

PrepareRequest CoreRig::RequestFor(const Process& process) const {
  PrepareRequest request;
  request.set_job_id(Ref().job_id());
  *request.mutable_job() = plan_.job;
  *request.mutable_roster() = roster_;
  request.set_role(process.given.kind());
  request.set_index(static_cast<uint32_t>(process.index));
  request.set_plan_hash(plan_.Hash());
  return request;
}

void CoreRig::Fail(const Process& process, absl::string_view why) {
  failure_.Update(absl::InternalError(absl::StrCat(process.loop.name(), ": ", why)));
}

absl::Status CoreRig::CallAll(const std::function<NodeRequest(const Process&)>& request) {
  size_t answers = 0;
  for (const auto& process : processes_) {
    process->shell->Serve(request(*process), [&](const absl::StatusOr<NodeReply>& answer) {
      ++answers;
      if (!answer.ok()) Fail(*process, answer.status().message());
    });
  }
  while (failure_.ok() && answers < processes_.size()) WS_CHECK(world_.queue.RunNext());
  return failure_;
}

absl::Status CoreRig::Run(const ReportHandler& on_report) {
  world_.on_report = [&](const PrepareRequest& who, const PrepareReply&, const NodeReport& report) {
    if (!report.has_fault()) on_report(who.role(), static_cast<int>(who.index()), report);
  };
  RETURN_IF_ERROR(CallAll([this](const Process& process) { return RequestFor(process); }));
  RETURN_IF_ERROR(CallAll([](const Process&) { return ConnectCall{Ref()}; }));
  RETURN_IF_ERROR(CallAll([](const Process&) { return StartCall{Ref()}; }));
  while (failure_.ok() && world_.queue.RunNext()) {
  }
  if (!world_.violation.empty()) return absl::InternalError(world_.violation);
  return failure_;
}

}  // namespace waferstream
