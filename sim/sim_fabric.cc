#include "sim/sim_fabric.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {

// One dial, from its first attempt to its answer.
struct SimFabric::Attempt final : PendingDial {
  SimProcess* from = nullptr;
  uint64_t life = 0;  // of the one who dials
  DialRequest request;
  Fabric::Dialled done;  // null: answered
  int64_t deadline_ns = 0;

  bool wanted() const { return done != nullptr && from->alive() && from->life() == life; }
  void Finish(absl::StatusOr<std::shared_ptr<ChannelEnd>> opened) {
    if (wanted()) std::exchange(done, nullptr)(std::move(opened));
  }
  void Cancel() override {
    from->Post([done = std::exchange(done, nullptr)] {
      if (done) done(absl::CancelledError("the dial was cancelled"));
    });
  }
};

class SimFabric::Port final : public Fabric {
 public:
  Port(SimFabric& all, SimProcess& process, uint16_t port)
      : all_(all), process_(process), port_(port) {}

  std::shared_ptr<PendingDial> Dial(DialRequest request, Dialled done) override {
    auto attempt = std::make_shared<Attempt>();
    attempt->from = &process_;
    attempt->life = process_.life();
    attempt->deadline_ns = all_.world_.now_ns() + absl::ToInt64Nanoseconds(request.timeout);
    attempt->request = std::move(request);
    attempt->done = std::move(done);
    all_.Try(attempt);
    return attempt;
  }

  // Nobody reaches it any more once its process's life is over.
  class Listening final : public FabricListener {
   public:
    explicit Listening(uint16_t port) : port_(port) {}
    uint16_t port() const override { return port_; }

   private:
    const uint16_t port_;
  };

  absl::StatusOr<std::unique_ptr<FabricListener>> Listen(AcceptHandler& handler) override {
    all_.listeners_[process_.name()] = {port_, &process_, process_.life(), &handler};
    return std::make_unique<Listening>(port_);
  }

 private:
  SimFabric& all_;
  SimProcess& process_;
  const uint16_t port_;
};

std::unique_ptr<Fabric> SimFabric::PortOf(SimProcess& process, uint16_t port) {
  return std::make_unique<Port>(*this, process, port);
}

void SimFabric::Try(const std::shared_ptr<Attempt>& attempt) {
  const auto refused = [this, attempt] { Retry(attempt, absl::UnavailableError("refused")); };
  const auto found = listeners_.find(attempt->request.host);
  const int64_t delay_ns = world_.delays.Delay(world_.pace.frame_ns);
  if (found == listeners_.end()) return attempt->from->After(delay_ns, refused);
  found->second.process->Reach(
      delay_ns,
      [this, attempt, refused] {
        const Listener& listener = listeners_.at(attempt->request.host);
        if (listener.port != attempt->request.port || listener.life != listener.process->life()) {
          return refused();
        }
        Answer(attempt, listener);
      },
      refused);
}

void SimFabric::Answer(const std::shared_ptr<Attempt>& attempt, const Listener& listener) {
  if (!attempt->wanted()) return;
  const Hello& hello = attempt->request.hello;
  absl::StatusOr<ChannelTerms> admitted = listener.handler->Admit(hello);
  if (!admitted.ok()) return Retry(attempt, admitted.status());
  auto connection = std::make_shared<SimConnection>(
      world_,
      absl::StrCat("channel ", hello.channel(), " ", attempt->request.host, "-",
                   attempt->from->name(), " epoch ", hello.epoch()),
      hello.job_id(), *listener.process, *attempt->from);
  connections_.push_back(connection);
  std::shared_ptr<ChannelEnd> down = connection->MakeEnd(false, attempt->request.terms);
  std::shared_ptr<ChannelEnd> up = connection->MakeEnd(true, *std::move(admitted));
  // Each end has its channel once its Hello has left, or has come: either may be the first, and
  // what was admitted may be gone by then.
  listener.process->After(
      world_.delays.Delay(world_.pace.frame_ns),
      [handler = listener.handler, hello, up = std::move(up)] { handler->OnChannel(hello, up); });
  attempt->from->After(world_.delays.Delay(world_.pace.frame_ns),
                       [attempt, down = std::move(down)] { attempt->Finish(down); });
}

void SimFabric::Retry(const std::shared_ptr<Attempt>& attempt, const absl::Status& why) {
  attempt->from->After(world_.delays.UpTo(world_.pace.retry_ns), [this, attempt, why] {
    if (!attempt->wanted()) return;
    if (world_.now_ns() < attempt->deadline_ns) return Try(attempt);
    attempt->Finish(absl::DeadlineExceededError(absl::StrCat(
        "dialling ", attempt->request.host, ":", attempt->request.port, ": ", why.message())));
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
