#include "node/node_shell.h"

#include <new>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/mark.h"
#include "base/status.h"
#include "base/version.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

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

absl::StatusOr<NodeReply> Done(const absl::Status& status) {
  if (!status.ok()) return status;
  return NodeReply(Empty());
}

}  // namespace

NodeShell::NodeShell(NodeWorld world, NodeShellOptions options, NodeRole& role,
                     Epoch::Report report)
    : world_(std::move(world)),
      options_(std::move(options)),
      role_(role),
      report_(std::move(report)),
      lane_(world_.lanes, {.name = "control", .slow = true}) {}

NodeShell::~NodeShell() = default;

absl::Status NodeShell::Listen() {
  ASSIGN_OR_RETURN(listener_, world_.fabric.Listen(*this));
  return absl::OkStatus();
}

void NodeShell::Serve(const NodeRequest& request, NodeAnswer answer) {
  std::visit([&](const auto& what) { Serve(what, std::move(answer)); }, request);
}

// -- one at a time -----------------------------------------------------------------------------

void NodeShell::Enqueue(Next control) {
  controls_.push_back(std::move(control));
  if (controls_.size() == 1) RunControl();
}

void NodeShell::RunControl() {
  const Next control = controls_.front();  // which its own end takes from the queue
  control();
}

void NodeShell::FinishControl() {
  controls_.pop_front();
  if (!controls_.empty()) RunControl();
}

void NodeShell::Finish(const NodeAnswer& answer, absl::StatusOr<NodeReply> reply) {
  answer(std::move(reply));
  FinishControl();
}

// -- Prepare -----------------------------------------------------------------------------------

void NodeShell::Serve(const PrepareRequest& request, NodeAnswer answer) {
  Enqueue([this, request, answer = std::move(answer)] {
    if (request.SerializeAsString() == prepared_) return Finish(answer, prepared_reply_);
    const absl::Status may = Check(request);
    if (!may.ok()) return Finish(answer, may);
    StopCurrent([this, request, answer] { Build(request, answer); });
  });
}

absl::Status NodeShell::Check(const PrepareRequest& request) const {
  if (shut_down_) return absl::UnavailableError("the node is stopping");
  if (request.role() != role_.kind()) {
    return absl::InvalidArgumentError(absl::StrCat("node ", options_.node_id, " is a ",
                                                   Role_Name(role_.kind()), " node, not a ",
                                                   Role_Name(request.role())));
  }
  if (request.numerics() != 0 && request.numerics() != Numerics()) {
    return absl::FailedPreconditionError(absl::StrCat("numerics: node ", options_.node_id, " has ",
                                                      Numerics(), ", the job ",
                                                      request.numerics()));
  }
  const auto& members = MembersOf(request.roster(), request.role());
  const int index = static_cast<int>(request.index());
  if (index >= members.size() || members[index].node_id() != options_.node_id) {
    return absl::InvalidArgumentError(
        absl::StrCat("entry ", request.index(), " of the roster is not node ", options_.node_id));
  }
  return CheckNewer(request);
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

void NodeShell::Build(const PrepareRequest& request, NodeAnswer answer) {
  auto setup = std::make_shared<Epoch::Setup>();
  setup->request = request;
  lane_.Run([this, setup] { return MakeCore(*setup); },
            [this, setup, answer = std::move(answer)](const absl::Status& made) {
              if (!made.ok()) return Finish(answer, made);
              Adopt(std::move(*setup));
              Finish(answer, prepared_reply_);
            });
}

// Large memory is refused by a status that names its size; the exception is for the rest, which is
// small.
absl::Status NodeShell::MakeCore(Epoch::Setup& setup) try {
  const PrepareRequest& request = setup.request;
  ASSIGN_OR_RETURN(Plan compiled,
                   Compile(request.job(), ShapeOf(request.roster(), request.shards())));
  setup.plan = std::make_unique<const Plan>(std::move(compiled));
  if (setup.plan->Hash() != request.plan_hash()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("plan differs: %016x here, %016x at the controller: same build?",
                        setup.plan->Hash(), request.plan_hash()));
  }
  ASSIGN_OR_RETURN(setup.core, role_.Prepare(request, *setup.plan, &setup.reply));
  return absl::OkStatus();
} catch (const std::bad_alloc&) {
  return absl::ResourceExhaustedError("no memory is left beside the reserved (see ulimit -v)");
}

void NodeShell::Adopt(Epoch::Setup setup) {
  prepared_ = setup.request.SerializeAsString();
  prepared_reply_ = setup.reply;
  newest_ = RefOf(setup.request);
  held_ = newest_;
  counters_.OnPrepared(prepared_reply_);
  current_ = Epoch::Create(world_, std::move(setup), [this](NodeReport report) {
    counters_.OnReport(report);
    report_(std::move(report));
  });
  world_.log(LogLevel::kInfo, absl::StrCat(Name(newest_), ": prepared, ",
                                           prepared_reply_.resident_bytes(), " bytes resident"));
}

// -- the other calls that run one at a time ------------------------------------------------------

void NodeShell::Serve(const SealRequest& request, NodeAnswer answer) {
  Enqueue([this, request, answer = std::move(answer)] {
    const absl::Status found = Find(RefOf(request)).status();
    if (!found.ok()) return Finish(answer, found);
    auto reply = std::make_shared<absl::StatusOr<SealReply>>();
    lane_.Run(
        [this, request, reply] {
          *reply = role_.Seal(request);
          return reply->status();
        },
        [this, reply, answer](const absl::Status& sealed) {
          Finish(answer, sealed.ok() ? absl::StatusOr<NodeReply>(**reply) : sealed);
        });
  });
}

void NodeShell::Serve(const ReleaseCall& call, NodeAnswer answer) {
  Enqueue([this, ref = call.epoch, answer = std::move(answer)] {
    // A late Release of an older epoch must not take what a newer one keeps.
    if (ref.job_id() != newest_.job_id() || ref.epoch() < newest_.epoch()) {
      return Finish(answer, Empty());
    }
    StopCurrent([this, answer] {
      lane_.Run(
          [this] {
            role_.Release();
            return absl::OkStatus();
          },
          [this, answer](const absl::Status&) {
            held_.reset();
            Finish(answer, Empty());
          });
    });
  });
}

void NodeShell::Shutdown(Next done) {
  shut_down_ = true;
  Enqueue([this, done = std::move(done)] {
    StopCurrent([this, done] {
      FinishControl();
      done();
    });
  });
}

NodeFacts NodeShell::facts() const {
  return counters_.Facts(current_ == nullptr ? FabricTraffic() : current_->channels().Traffic());
}

void NodeShell::StopCurrent(Next then) {
  if (current_ == nullptr) return then();
  current_->Stop([this, then = std::move(then)] {
    // Not from inside a call of one of its channels.
    world_.loop.Post([this, then] {
      world_.log(LogLevel::kInfo, absl::StrCat(Name(newest_), ": released; ",
                                               Describe(current_->channels().Traffic())));
      counters_.OnReleased(current_->channels().Traffic());
      current_ = nullptr;
      prepared_.clear();
      then();
    });
  });
}

// -- calls that only visit -----------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<Epoch>> NodeShell::Find(const EpochRef& ref) const {
  if (current_ != nullptr && current_->Is(ref)) return current_;
  return absl::FailedPreconditionError(absl::StrCat(Name(ref), " is not prepared here"));
}

// A dial that times out answers by itself, with its reason; the timer answers when a peer never
// dials, and leaves the dials the time to do so. Channels that are ready later come too late.
void NodeShell::Serve(const ConnectCall& call, NodeAnswer answer) {
  const absl::StatusOr<std::shared_ptr<Epoch>> epoch = Find(call.epoch);
  if (!epoch.ok()) return answer(epoch.status());
  auto waiting = std::make_shared<NodeAnswer>(std::move(answer));
  const auto answer_once = [waiting](const absl::Status& status) {
    if (const NodeAnswer first = std::exchange(*waiting, nullptr)) first(Done(status));
  };
  world_.loop.After(options_.connect_timeout * 1.2, [this, ref = call.epoch, answer_once] {
    const absl::StatusOr<std::shared_ptr<Epoch>> late = Find(ref);
    if (!late.ok()) return answer_once(late.status());
    answer_once(absl::DeadlineExceededError(
        absl::StrCat("not open after ", absl::FormatDuration(options_.connect_timeout), ": ",
                     (*late)->channels().Missing())));
  });
  (*epoch)->Connect(options_.connect_timeout, answer_once);
}

void NodeShell::Serve(const StartCall& call, const NodeAnswer& answer) {
  const absl::StatusOr<std::shared_ptr<Epoch>> epoch = Find(call.epoch);
  answer(Done(epoch.ok() ? (*epoch)->Start() : epoch.status()));
}

void NodeShell::Serve(const CommitRequest& commit, const NodeAnswer& answer) {
  const absl::StatusOr<std::shared_ptr<Epoch>> epoch = Find(RefOf(commit));
  answer(Done(epoch.ok() ? (*epoch)->Commit(commit) : epoch.status()));
}

// -- incoming connections ------------------------------------------------------------------------

absl::StatusOr<ChannelTerms> NodeShell::Admit(const Hello& theirs) {
  ASSIGN_OR_RETURN(std::shared_ptr<Epoch> epoch, Find(RefOf(theirs)));
  return epoch->channels().Admit(theirs);
}

void NodeShell::OnChannel(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) {
  const auto epoch = Find(RefOf(theirs));
  if (epoch.ok()) return (*epoch)->channels().Adopt(theirs, std::move(channel));
  WS_MARK("node: an admitted channel came after its epoch");
}

void NodeShell::OnRefused(const std::string& line) {
  const absl::Time now = absl::UnixEpoch() + absl::Seconds(world_.loop.now_s());
  if (const auto passed = refusals_.Pass(line, now)) {
    world_.log(LogLevel::kWarning, absl::StrCat("fabric: ", *passed));
  }
}

}  // namespace waferstream
