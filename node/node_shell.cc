#include "node/node_shell.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "base/status.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

EpochRef RefOf(const std::string& job_id, uint32_t epoch) {
  EpochRef ref;
  ref.set_job_id(job_id);
  ref.set_epoch(epoch);
  return ref;
}

std::string Name(const EpochRef& ref) {
  return absl::StrCat("job ", ref.job_id(), " epoch ", ref.epoch());
}

const google::protobuf::RepeatedPtrField<Member>& MembersOf(const Roster& roster, Role role) {
  switch (role) {
    case MEMORYX:
      return roster.memoryx();
    case SWARMX:
      return roster.swarmx();
    default:
      return roster.wafers();
  }
}

}  // namespace

NodeShell::NodeShell(NodeShellOptions options, NodeRole& role, Epoch::Report report)
    : options_(std::move(options)), role_(role), report_(std::move(report)) {}

NodeShell::~NodeShell() {
  Shutdown();
  executor_.Call([this] {
    listener_ = nullptr;
    return true;
  });
}

absl::Status NodeShell::Listen() {
  return executor_.Call([this]() -> absl::Status {
    ASSIGN_OR_RETURN(listener_,
                     TcpListener::Create(executor_.io(),
                                         {.listen = options_.listen,
                                          .port = options_.fabric_port,
                                          .advertised_port = options_.advertise_fabric_port,
                                          .node_id = options_.node_id,
                                          .credentials = options_.credentials},
                                         *this));
    return absl::OkStatus();
  });
}

// -- Prepare -----------------------------------------------------------------------------------

absl::StatusOr<PrepareReply> NodeShell::Prepare(const PrepareRequest& request) {
  absl::MutexLock lock(&control_);
  const std::string content = request.SerializeAsString();
  if (content == prepared_) return prepared_reply_;
  if (shut_down_) return absl::UnavailableError("the node is stopping");
  RETURN_IF_ERROR(CheckRequest(request));
  RETURN_IF_ERROR(CheckNewer(request));
  StopCurrent();
  PrepareReply reply;
  ASSIGN_OR_RETURN(std::shared_ptr<Epoch> epoch, Build(request, &reply));
  executor_.Call([&] {
    current_ = std::move(epoch);
    return true;
  });
  prepared_ = content;
  prepared_reply_ = reply;
  newest_ = RefOf(request.job_id(), request.epoch());
  spdlog::info("{}: prepared, {} bytes resident", Name(newest_), reply.resident_bytes());
  return reply;
}

absl::Status NodeShell::CheckRequest(const PrepareRequest& request) const {
  if (request.role() != role_.kind()) {
    return absl::InvalidArgumentError(absl::StrCat("node ", options_.node_id, " is a ",
                                                   Role_Name(role_.kind()), " node, not a ",
                                                   Role_Name(request.role())));
  }
  const auto& members = MembersOf(request.roster(), request.role());
  const int index = static_cast<int>(request.index());
  if (index >= members.size() || members[index].node_id() != options_.node_id) {
    return absl::InvalidArgumentError(
        absl::StrCat("entry ", request.index(), " of the roster is not node ", options_.node_id));
  }
  return absl::OkStatus();
}

// Epochs count within one job; another job's Prepare is the controller's decision to move on.
absl::Status NodeShell::CheckNewer(const PrepareRequest& request) const {
  if (request.job_id() != newest_.job_id()) return absl::OkStatus();
  if (request.epoch() < newest_.epoch()) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", request.epoch(), " is older than ", Name(newest_)));
  }
  if (request.epoch() == newest_.epoch() && !prepared_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(Name(newest_), " is already prepared with another content"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Epoch>> NodeShell::Build(const PrepareRequest& request,
                                                        PrepareReply* reply) {
  ASSIGN_OR_RETURN(Plan compiled,
                   Compile(request.job(), ShapeOf(request.roster(), request.shards())));
  auto plan = std::make_unique<const Plan>(std::move(compiled));
  if (plan->Hash() != request.plan_hash()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("plan differs: %016x here, %016x at the controller: same build?",
                        plan->Hash(), request.plan_hash()));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<RoleCore> core, role_.Prepare(request, *plan, reply));
  return std::make_shared<Epoch>(executor_,
                                 Epoch::Setup{.request = request,
                                              .plan = std::move(plan),
                                              .core = std::move(core),
                                              .credentials = options_.credentials},
                                 report_);
}

// -- the other calls ---------------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<Epoch>> NodeShell::Find(const EpochRef& ref) const {
  if (current_ != nullptr && current_->Is(ref)) return current_;
  return absl::FailedPreconditionError(absl::StrCat(Name(ref), " is not prepared here"));
}

absl::Status NodeShell::Connect(const EpochRef& ref) {
  struct Answer {  // outlives this call if the channels come too late
    absl::Notification done;
    absl::Status status;
  };
  auto answer = std::make_shared<Answer>();
  RETURN_IF_ERROR(executor_.Call([&]() -> absl::Status {
    ASSIGN_OR_RETURN(std::shared_ptr<Epoch> epoch, Find(ref));
    epoch->Connect(options_.connect_timeout, [answer](const absl::Status& status) {
      answer->status = status;
      answer->done.Notify();
    });
    return absl::OkStatus();
  }));
  // A dial that times out answers by itself, with its reason: leave it the time to do so.
  const absl::Duration patience = options_.connect_timeout + absl::Seconds(1);
  if (answer->done.WaitForNotificationWithTimeout(patience)) return answer->status;
  return executor_.Call([&]() -> absl::Status {
    ASSIGN_OR_RETURN(std::shared_ptr<Epoch> epoch, Find(ref));
    return absl::DeadlineExceededError(absl::StrCat("not open after ",
                                                    absl::FormatDuration(options_.connect_timeout),
                                                    ": ", epoch->channels().Missing()));
  });
}

absl::Status NodeShell::Start(const EpochRef& ref) {
  return executor_.Call([&]() -> absl::Status {
    ASSIGN_OR_RETURN(std::shared_ptr<Epoch> epoch, Find(ref));
    return epoch->Start();
  });
}

absl::Status NodeShell::Commit(const CommitRequest& commit) {
  return executor_.Call([&]() -> absl::Status {
    ASSIGN_OR_RETURN(std::shared_ptr<Epoch> epoch, Find(RefOf(commit.job_id(), commit.epoch())));
    return epoch->Commit(commit);
  });
}

absl::StatusOr<SealReply> NodeShell::Seal(const SealRequest& request) {
  absl::MutexLock lock(&control_);
  RETURN_IF_ERROR(
      executor_.Call([&] { return Find(RefOf(request.job_id(), request.epoch())).status(); }));
  return role_.Seal(request);
}

absl::Status NodeShell::Release(const EpochRef& ref) {
  absl::MutexLock lock(&control_);
  // A late Release of an older epoch must not take what a newer one keeps.
  if (ref.job_id() != newest_.job_id() || ref.epoch() < newest_.epoch()) return absl::OkStatus();
  StopCurrent();
  role_.Release();
  return absl::OkStatus();
}

void NodeShell::Shutdown() {
  absl::MutexLock lock(&control_);
  shut_down_ = true;
  StopCurrent();
}

void NodeShell::StopCurrent() {
  std::shared_ptr<Epoch> epoch = executor_.Call([this] { return current_; });
  if (epoch == nullptr) return;
  absl::Notification stopped;
  executor_.Post([&] { epoch->Stop([&] { stopped.Notify(); }); });
  stopped.WaitForNotification();
  executor_.Call([&] {
    spdlog::info("{}: released; {}", Name(newest_), epoch->channels().Traffic());
    current_ = nullptr;
    epoch = nullptr;  // here, where its channels and dials live
    return true;
  });
  prepared_.clear();
}

// -- incoming connections ----------------------------------------------------------------------

absl::StatusOr<ChannelTerms> NodeShell::Admit(const Hello& theirs) {
  ASSIGN_OR_RETURN(std::shared_ptr<Epoch> epoch, Find(RefOf(theirs.job_id(), theirs.epoch())));
  return epoch->channels().Admit(theirs);
}

void NodeShell::OnChannel(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) {
  const auto epoch = Find(RefOf(theirs.job_id(), theirs.epoch()));
  if (epoch.ok()) (*epoch)->channels().Adopt(theirs, std::move(channel));
}

void NodeShell::OnRefused(const std::string& line) {
  if (const auto passed = refusals_.Pass(line)) spdlog::warn("fabric: {}", *passed);
}

}  // namespace waferstream
