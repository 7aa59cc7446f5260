#include "fabric/mpi_fabric.h"

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/version.h"
#include "fabric/dial_pauses.h"
#include "fabric/mpi_channel.h"
#include "fabric/mpi_requests.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// Tags below kFirstChannelTag are the fabric's own; each end of a channel has two of the others.
constexpr int kDialTag = 1;
constexpr int kAnswerTag = 2;
constexpr int kEndTag = 3;
constexpr int kFirstChannelTag = 16;
// A dial names a job and a node, an answer may bring a reason.
constexpr size_t kGreetingBytesMax = 8192;

int RankIn(MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}

int LastTag(MPI_Comm comm) {
  int* bound = nullptr;
  int found = 0;
  MPI_Comm_get_attr(comm, MPI_TAG_UB, &bound, &found);
  return found ? *bound : 32767;  // what the standard grants
}

// The user's hold on a channel: letting go of it closes it.
class MpiChannelEnd final : public ChannelEnd {
 public:
  explicit MpiChannelEnd(std::shared_ptr<MpiChannel> channel) : channel_(std::move(channel)) {}
  ~MpiChannelEnd() override { channel_->Close(); }

  void Open(ChannelHandler& handler) override { channel_->Open(handler); }
  void Send(const FrameHeader& header, const std::byte* payload, uint64_t token,
            bool lend) override {
    channel_->Send(header, payload, token, lend);
  }
  void Return(uint64_t) override {}  // what is received is the receiver's own
  std::string carrier() const override { return "mpi"; }
  void Grant(const Credit& credit) override { channel_->Grant(credit); }
  void Close() override { channel_->Close(); }

 private:
  const std::shared_ptr<MpiChannel> channel_;
};

class MpiFabric;

class MpiDial final : public PendingDial, public std::enable_shared_from_this<MpiDial> {
 public:
  MpiDial(MpiFabric& fabric, DialRequest request, Fabric::Dialled done);

  void Try();
  void OnAnswer(const MpiDialAnswer& answer);
  void Cancel() override;
  bool awaits() const { return done_ != nullptr; }

 private:
  void Await(absl::Duration pause);
  void OnTimer();
  void Finish(absl::StatusOr<std::shared_ptr<ChannelEnd>> result);

  MpiFabric& fabric_;
  const DialRequest request_;
  Fabric::Dialled done_;
  const Clock::time_point deadline_;
  const int tag_;
  asio::steady_timer timer_;
  DialPauses pauses_;
  absl::Status last_ = absl::UnavailableError("the peer did not answer");
  bool asked_ = false;  // and not answered
};

class MpiFabric final : public Fabric {
 public:
  MpiFabric(asio::io_context& io, std::function<void()> on_end)
      : io_(io), requests_(std::make_unique<MpiRequests>(io, MPI_COMM_WORLD)) {
    HearDials();
    HearAnswers();
    requests_->Receive(MPI_ANY_SOURCE, kEndTag, nullptr, 0,
                       [on_end = std::move(on_end)](const absl::StatusOr<MpiTransfer>& arrived) {
                         if (arrived.ok()) on_end();
                       });
  }

  std::shared_ptr<PendingDial> Dial(DialRequest request, Dialled done) override;
  absl::StatusOr<std::unique_ptr<FabricListener>> Listen(AcceptHandler& handler) override;

 private:
  friend class MpiDial;

  // Accepts for its handler until destroyed.
  class Listener final : public FabricListener {
   public:
    explicit Listener(MpiFabric& fabric) : fabric_(fabric) {}
    ~Listener() override { fabric_.handler_ = nullptr; }
    uint16_t port() const override { return static_cast<uint16_t>(RankIn(MPI_COMM_WORLD)); }

   private:
    MpiFabric& fabric_;
  };

  static int TakeTag();
  // The ranks of one launch are one build: there is nothing to choose.
  std::shared_ptr<ChannelEnd> MakeChannel(const MpiRoute& route, ChannelTerms terms) {
    terms.protocol = static_cast<uint16_t>(NewestProtocol());
    return std::make_shared<MpiChannelEnd>(
        std::make_shared<MpiChannel>(io_, *requests_, route, terms));
  }
  template <typename Message>
  void SendMessage(int to, int tag, const Message& message, std::function<void()> left = nullptr);
  void HearDials();
  void OnDial(int from, const MpiDialMessage& dial);
  void HearAnswers();
  void OnAnswer(int from, const MpiDialAnswer& answer);

  asio::io_context& io_;
  std::unique_ptr<MpiRequests> requests_;
  std::array<char, kGreetingBytesMax> dial_in_;
  std::array<char, kGreetingBytesMax> answer_in_;
  std::map<int, std::shared_ptr<MpiDial>> dials_;  // asked and not answered, by tag
  AcceptHandler* handler_ = nullptr;
};

// -- dialling ------------------------------------------------------------------------------------

MpiDial::MpiDial(MpiFabric& fabric, DialRequest request, Fabric::Dialled done)
    : fabric_(fabric),
      request_(std::move(request)),
      done_(std::move(done)),
      deadline_(Clock::now() + absl::ToChronoMilliseconds(request_.timeout)),
      tag_(fabric.TakeTag()),
      timer_(fabric.io_) {}

void MpiDial::Try() {
  if (done_ == nullptr) return;
  MpiDialMessage message;
  *message.mutable_hello() = request_.hello;
  message.mutable_hello()->set_protocol_version(NewestProtocol());
  message.set_tag(tag_);
  asked_ = true;
  fabric_.dials_[tag_] = shared_from_this();
  fabric_.SendMessage(request_.port, kDialTag, message);
  Await(absl::FromChrono(deadline_ - Clock::now()));
}

void MpiDial::OnAnswer(const MpiDialAnswer& answer) {
  asked_ = false;
  if (answer.refused().empty()) {
    return Finish(fabric_.MakeChannel(
        {.peer = request_.port, .tag_in = tag_, .tag_out = static_cast<int>(answer.tag())},
        request_.terms));
  }
  last_ = answer.for_good() ? absl::FailedPreconditionError(answer.refused())
                            : absl::UnavailableError(answer.refused());
  if (answer.for_good()) return Finish(last_);
  Await(pauses_.Next());
}

void MpiDial::Await(absl::Duration pause) {
  timer_.expires_after(absl::ToChronoNanoseconds(pause));
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->OnTimer();
  });
}

void MpiDial::OnTimer() {
  if (done_ == nullptr) return;
  if (!asked_ && Clock::now() < deadline_) return Try();
  Finish(absl::DeadlineExceededError(absl::StrCat(
      "no channel within ", absl::FormatDuration(request_.timeout), ": ", last_.message())));
}

// An answer that comes later closes the channel that it brings.
void MpiDial::Cancel() {
  if (done_ == nullptr) return;
  asio::post(fabric_.io_, [self = shared_from_this()] {
    if (self->done_ != nullptr) self->Finish(absl::CancelledError("dial cancelled"));
  });
}

void MpiDial::Finish(absl::StatusOr<std::shared_ptr<ChannelEnd>> result) {
  timer_.cancel();
  if (!result.ok()) {
    result = absl::Status(result.status().code(),
                          absl::StrCat("dialling ", request_.host, " (rank ", request_.port,
                                       "): ", result.status().message()));
  }
  std::exchange(done_, nullptr)(std::move(result));
}

// -- the fabric ----------------------------------------------------------------------------------

std::shared_ptr<PendingDial> MpiFabric::Dial(DialRequest request, Dialled done) {
  auto dial = std::make_shared<MpiDial>(*this, std::move(request), std::move(done));
  asio::post(io_, [dial] { dial->Try(); });
  return dial;
}

absl::StatusOr<std::unique_ptr<FabricListener>> MpiFabric::Listen(AcceptHandler& handler) {
  handler_ = &handler;
  return std::make_unique<Listener>(*this);
}

// Of the process, not of the fabric: what is still on its way from an earlier one must not be taken
// for a new one's. After some hundreds of millions they come again; no channel lives so long.
int MpiFabric::TakeTag() {
  static std::atomic<int> next = kFirstChannelTag;
  const int last = LastTag(MPI_COMM_WORLD);
  int tag = next;
  while (!next.compare_exchange_weak(tag, tag + 3 > last ? kFirstChannelTag : tag + 2)) {
  }
  return tag;
}

template <typename Message>
void MpiFabric::SendMessage(int to, int tag, const Message& message, std::function<void()> left) {
  const auto bytes = std::make_shared<const std::string>(message.SerializeAsString());
  requests_->Send(to, tag, bytes->data(), bytes->size(),
                  [bytes, left = std::move(left)](const absl::StatusOr<MpiTransfer>&) {
                    if (left != nullptr) left();
                  });
}

void MpiFabric::HearDials() {
  requests_->Receive(MPI_ANY_SOURCE, kDialTag, dial_in_.data(), dial_in_.size(),
                     [this](const absl::StatusOr<MpiTransfer>& arrived) {
                       MpiDialMessage dial;
                       if (arrived.ok() && dial.ParseFromArray(dial_in_.data(), arrived->bytes)) {
                         OnDial(arrived->peer, dial);
                       }
                       HearDials();
                     });
}

void MpiFabric::OnDial(int from, const MpiDialMessage& dial) {
  MpiDialAnswer answer;
  answer.set_dial(dial.tag());
  const uint32_t version = dial.hello().protocol_version();
  if (version != NewestProtocol()) {
    answer.set_refused(absl::StrCat("the peer speaks protocol ", NewestProtocol(),
                                    ", this rank speaks ", version,
                                    "; all ranks of a launch are to be of one version"));
    answer.set_for_good(true);
    return SendMessage(from, kAnswerTag, answer);
  }
  const absl::StatusOr<ChannelTerms> terms = handler_ != nullptr
                                                 ? handler_->Admit(dial.hello())
                                                 : absl::UnavailableError("nobody listens");
  if (!terms.ok()) {
    answer.set_refused(std::string(terms.status().message()));
    SendMessage(from, kAnswerTag, answer);
    if (handler_ == nullptr) return;
    return handler_->OnRefused(absl::StrCat("refused rank ", from, ": ", terms.status().message()));
  }
  const int tag = TakeTag();
  answer.set_tag(tag);
  auto channel =
      MakeChannel({.peer = from, .tag_in = tag, .tag_out = static_cast<int>(dial.tag())}, *terms);
  SendMessage(from, kAnswerTag, answer, [this, hello = dial.hello(), channel] {
    if (handler_ != nullptr) handler_->OnChannel(hello, channel);
  });
}

void MpiFabric::HearAnswers() {
  requests_->Receive(
      MPI_ANY_SOURCE, kAnswerTag, answer_in_.data(), answer_in_.size(),
      [this](const absl::StatusOr<MpiTransfer>& arrived) {
        MpiDialAnswer answer;
        if (arrived.ok() && answer.ParseFromArray(answer_in_.data(), arrived->bytes)) {
          OnAnswer(arrived->peer, answer);
        }
        HearAnswers();
      });
}

void MpiFabric::OnAnswer(int from, const MpiDialAnswer& answer) {
  auto asked = dials_.extract(static_cast<int>(answer.dial()));
  const std::shared_ptr<MpiDial> dial = asked.empty() ? nullptr : asked.mapped();
  if (dial != nullptr && dial->awaits()) return dial->OnAnswer(answer);
  if (!answer.refused().empty()) return;
  // Given up meanwhile. A channel that nobody holds ends, in order.
  MakeChannel({.peer = from,
               .tag_in = static_cast<int>(answer.dial()),
               .tag_out = static_cast<int>(answer.tag())},
              {});
}

}  // namespace

std::unique_ptr<Fabric> MakeMpiFabric(asio::io_context& io, std::function<void()> on_end) {
  return std::make_unique<MpiFabric>(io, std::move(on_end));
}

void EndMpiFabric(int rank) { MPI_Send(nullptr, 0, MPI_BYTE, rank, kEndTag, MPI_COMM_WORLD); }

}  // namespace waferstream
