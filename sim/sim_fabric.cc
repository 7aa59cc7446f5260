#include "sim/sim_fabric.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {

void SimFabric::Listen(const std::string& host, uint32_t port, SimProcess& process,
                       SimAcceptor& acceptor) {
  listeners_[host] = {port, &process, process.life(), &acceptor};
}

void SimFabric::Connect(Dial dial, std::function<bool()> wanted, Done done) {
  Try(std::make_shared<Attempt>(Attempt{std::move(dial), std::move(wanted), std::move(done)}));
}

void SimFabric::Try(std::shared_ptr<Attempt> attempt) {
  const auto refused = [this, attempt] { Retry(attempt, absl::UnavailableError("refused")); };
  const auto found = listeners_.find(attempt->dial.host);
  const int64_t delay_ns = world_.delays.Delay(world_.pace.frame_ns);
  if (found == listeners_.end()) return attempt->dial.from->After(delay_ns, refused);
  found->second.process->Reach(
      delay_ns,
      [this, attempt, refused] {
        const Listener& listener = listeners_.at(attempt->dial.host);
        if (listener.port != attempt->dial.port || listener.life != listener.process->life()) {
          return refused();
        }
        Answer(attempt, listener);
      },
      refused);
}

void SimFabric::Answer(const std::shared_ptr<Attempt>& attempt, const Listener& listener) {
  if (!attempt->wanted()) return;
  const Dial& dial = attempt->dial;
  const absl::StatusOr<const Plan*> admitted = listener.acceptor->Admit(dial.hello);
  if (!admitted.ok()) return Retry(attempt, admitted.status());
  const Channel& channel = (*admitted)->channels[dial.hello.channel()];
  auto connection = std::make_shared<SimConnection>(
      world_,
      absl::StrCat("channel ", channel.id, " ", dial.host, "-", dial.from->name(), " epoch ",
                   dial.hello.epoch()),
      channel, *listener.process, *dial.from);
  connections_.push_back(connection);
  std::shared_ptr<ChannelEnd> down = connection->MakeEnd(false, *dial.plan);
  listener.acceptor->Adopt(dial.hello, connection->MakeEnd(true, **admitted));
  dial.from->After(world_.delays.Delay(world_.pace.frame_ns), [attempt, down] {
    if (attempt->wanted()) attempt->done(down);
  });
}

void SimFabric::Retry(std::shared_ptr<Attempt> attempt, const absl::Status& why) {
  SimProcess* const from = attempt->dial.from;
  from->After(world_.delays.UpTo(world_.pace.retry_ns), [this, attempt, why] {
    if (!attempt->wanted()) return;
    if (world_.now_ns() < attempt->dial.deadline_ns) return Try(attempt);
    attempt->done(absl::DeadlineExceededError(absl::StrCat(
        "dialling ", attempt->dial.host, ":", attempt->dial.port, ": ", why.message())));
  });
}

std::vector<std::shared_ptr<SimConnection>> SimFabric::Connections() {
  std::vector<std::shared_ptr<SimConnection>> working;
  std::vector<std::weak_ptr<SimConnection>> kept;
  for (const auto& weak : connections_) {
    std::shared_ptr<SimConnection> connection = weak.lock();
    if (connection == nullptr || !connection->works()) continue;
    kept.push_back(weak);
    working.push_back(std::move(connection));
  }
  connections_ = std::move(kept);
  return working;
}

}  // namespace waferstream
