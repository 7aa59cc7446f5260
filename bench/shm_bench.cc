// The fabric between processes of one host, with as many as there are roles: broadcast of tiles
// from one process to N that read every byte, and the canonical sum of blocks of four that one
// process adds up. Beside them, in the same run, what this machine copies in memory. One line a
// row: NAME TAB GB/s, of payload counted once; the median of several rounds.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/vector_math.h"
#include "bench/look.h"
#include "fabric/tcp_dial.h"
#include "fabric/tcp_listener.h"

namespace waferstream {
namespace {

constexpr size_t kTile = size_t{4} << 20;  // bytes
constexpr int kTiles = 64;                 // a round: 256 MiB
constexpr int kRounds = 7;                 // the first of which warms up
constexpr int kWindow = 4;                 // receive slots of every end
constexpr size_t kChunk = 16 << 10;        // elements that are added at a time, as in the reducer
const ChannelTerms kTerms{.epoch = 1, .peer_window = {{0, kWindow}}};

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::_Exit(1);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const std::string& row, const std::vector<double>& seconds) {
  std::printf("%s\t%.3f\n", row.c_str(), kTiles * double{kTile} / Median(seconds) / 1e9);
  std::fflush(stdout);
}

// One end of a channel: whoever has something to send is told of credit, who receives of frames.
class End final : public ChannelHandler {
 public:
  using Arrived = std::function<void(uint64_t sequence, const std::byte* payload)>;

  explicit End(Arrived arrived = nullptr) : arrived_(std::move(arrived)) {}

  void Begin(std::shared_ptr<ChannelEnd> channel) {
    channel_ = std::move(channel);
    channel_->Open(*this);
    if (!arrived_) return;
    slot_.resize(kTile);
    channel_->Grant({.slots = {0, kWindow}});
  }
  void Send(const std::byte* payload, uint64_t token) {
    FrameHeader header;
    header.epoch = kTerms.epoch;
    header.length = kTile;
    --credit;
    channel_->Send(header, payload, token, true);
  }
  // Of what arrived.
  void Done(uint64_t sequence, const std::byte* payload) {
    if (payload != slot_.data()) channel_->Return(sequence);
    channel_->Grant({.slots = {0, 1}});
  }
  void Close() { channel_->Close(); }

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader&) override {
    return std::span<std::byte>(slot_);
  }
  absl::Status OnFrame(const FrameHeader& header, const std::byte* payload) override {
    arrived_(header.sequence, payload);
    return absl::OkStatus();
  }
  void OnCredit(const Credit& granted) override {
    credit += granted.slots[kLarge];
    on_change();
  }
  void OnSent(uint64_t token) override { on_sent(token); }
  void OnClosed(const absl::Status&) override { closed = true; }

  int credit = 0;
  bool closed = false;
  std::function<void()> on_change = [] {};
  std::function<void(uint64_t token)> on_sent = [](uint64_t) {};

 private:
  const Arrived arrived_;
  std::shared_ptr<ChannelEnd> channel_;
  std::vector<std::byte> slot_;
};

// A process of its own at the other end; `make` makes its end and lives as long.
class Child {
 public:
  Child(uint16_t port, FabricKind kind, const std::function<std::unique_ptr<End>()>& make)
      : pid_(fork()) {
    if (pid_ != 0) return;
    boost::asio::io_context io(1);
    const std::unique_ptr<End> end = make();
    const auto dial =
        StartTcpDial(io,
                     {.host = "127.0.0.1",
                      .port = port,
                      .hello = {},
                      .terms = kTerms,
                      .timeout = absl::Seconds(20)},
                     {.kind = kind}, [&](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
                       Require(channel.status());
                       end->Begin(*std::move(channel));
                     });
    io.run();
    std::_Exit(0);
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ~Child() {
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

// The process in the middle, and its children.
class Hub final : public AcceptHandler {
 public:
  Hub(FabricKind kind, int children, const std::function<std::unique_ptr<End>()>& make,
      const std::function<End::Arrived(int child)>& arrived) {
    auto listener = TcpListener::Create(io_, {.kind = kind}, *this);
    Require(listener.status());
    listener_ = *std::move(listener);
    for (int i = 0; i < children; ++i) {
      ends.push_back(std::make_unique<End>(arrived ? arrived(i) : nullptr));
    }
    for (int i = 0; i < children; ++i) children_.emplace_back(listener_->port(), kind, make);
    Until([&] { return begun_ == children; });
  }
  ~Hub() override {
    for (const auto& end : ends) end->Close();
    Until([&] {
      return std::all_of(ends.begin(), ends.end(), [](const auto& end) { return end->closed; });
    });
  }

  template <typename Condition>
  void Until(Condition condition) {
    while (!condition()) {
      io_.restart();
      io_.run_one();
    }
  }

  absl::StatusOr<ChannelTerms> Admit(const Hello&) override { return kTerms; }
  void OnChannel(const Hello&, std::shared_ptr<ChannelEnd> channel) override {
    ends[begun_++]->Begin(std::move(channel));
  }
  void OnRefused(const std::string& line) override { Require(absl::InternalError(line)); }

  std::vector<std::unique_ptr<End>> ends;

 private:
  boost::asio::io_context io_{1};
  std::unique_ptr<TcpListener> listener_;
  std::vector<Child> children_;
  int begun_ = 0;
};

// As MemoryX or a SwarmX node sends: a tile is written into one of a few slots and lent to all.
class Broadcast {
 public:
  Broadcast(FabricKind kind, int receivers, bool read)
      : slots_(*Arena::CreateLent(kSlots * kTile)),
        hub_(
            kind, receivers, [read] { return Receiver(read); }, nullptr) {
    for (const auto& end : hub_.ends) {
      end->on_change = [this] { Pump(); };
      end->on_sent = [this](uint64_t slot) {
        --left_[slot];
        Pump();
      };
    }
  }

  double Round(const std::vector<std::byte>& tiles) {
    const double begun_s = Seconds();
    tiles_ = &tiles;
    next_ = 0;
    Pump();
    hub_.Until([&] {
      return next_ == kTiles && std::all_of(left_, left_ + kSlots, [](int n) { return n == 0; });
    });
    return Seconds() - begun_s;
  }

 private:
  static constexpr int kSlots = 4;

  static std::unique_ptr<End> Receiver(bool read) {
    auto self = std::make_shared<End*>(nullptr);
    auto end = std::make_unique<End>(
        [self, read, seen = uint64_t{0}](uint64_t sequence, const std::byte* payload) mutable {
          if (read) seen += Look(payload, kTile);
          asm volatile("" : : "r"(seen));
          (*self)->Done(sequence, payload);
        });
    *self = end.get();
    return end;
  }

  void Pump() {
    for (; tiles_ != nullptr && next_ < kTiles; ++next_) {
      const int slot = next_ % kSlots;
      const bool ready =
          left_[slot] == 0 && std::all_of(hub_.ends.begin(), hub_.ends.end(),
                                          [](const auto& e) { return e->credit > 0; });
      if (!ready) return;
      const std::span<std::byte> place = slots_.Claim(slot * kTile, kTile);
      std::memcpy(place.data(), tiles_->data() + next_ * kTile, kTile);
      left_[slot] = static_cast<int>(hub_.ends.size());
      for (const auto& end : hub_.ends) end->Send(place.data(), static_cast<uint64_t>(slot));
    }
  }

  Arena slots_;
  const std::vector<std::byte>* tiles_ = nullptr;
  int next_ = 0;
  int left_[kSlots] = {};
  Hub hub_;
};

// As wafers and a SwarmX node do: (0 + 1) + (2 + 3), from where the blocks lie.
class Reduction {
 public:
  explicit Reduction(FabricKind kind)
      : sums_{std::vector<float>(kFloats), std::vector<float>(kFloats)},
        hub_(
            kind, kSenders, [] { return Sender(); },
            [this](int child) {
              return [this, child](uint64_t sequence, const std::byte* payload) {
                waiting_[child].push_back({sequence, payload});
                Add();
              };
            }) {}

  double Round() {
    const double begun_s = Seconds();
    const int end = done_ + kTiles;
    limit_ = end;
    Add();
    hub_.Until([&] { return done_ == end; });
    return Seconds() - begun_s;
  }

 private:
  static constexpr int kSenders = 4;
  static constexpr size_t kFloats = kTile / sizeof(float);

  // Sends its blocks again and again, as it is granted slots.
  static std::unique_ptr<End> Sender() {
    auto memory = std::make_shared<Arena>(*Arena::CreateLent(kTiles * kTile));
    const std::span<std::byte> all = memory->Claim(0, memory->size());
    std::fill_n(reinterpret_cast<float*>(all.data()), all.size() / sizeof(float), 1.5f);
    auto end = std::make_unique<End>();
    End* const self = end.get();
    end->on_change = [self, memory, all, next = size_t{0}]() mutable {
      for (; self->credit > 0; ++next) self->Send(all.data() + next % kTiles * kTile, 0);
    };
    return end;
  }

  static void AddTo(float* into, const float* a, const float* b) {
    for (size_t at = 0; at < kFloats; at += kChunk) {
      if (a != into) std::copy_n(a + at, kChunk, into + at);
      waferstream::Add(into + at, b + at, kChunk);
    }
  }

  void Add() {
    const auto waits = [](const auto& queue) { return !queue.empty(); };
    while (done_ < limit_ && std::all_of(waiting_, waiting_ + kSenders, waits)) {
      const float* blocks[kSenders];
      for (int i = 0; i < kSenders; ++i) {
        blocks[i] = reinterpret_cast<const float*>(waiting_[i].front().second);
      }
      AddTo(sums_[0].data(), blocks[0], blocks[1]);
      AddTo(sums_[1].data(), blocks[2], blocks[3]);
      AddTo(sums_[0].data(), sums_[0].data(), sums_[1].data());
      for (int i = 0; i < kSenders; ++i) {
        const auto [sequence, payload] = waiting_[i].front();
        waiting_[i].pop_front();
        hub_.ends[i]->Done(sequence, payload);
      }
      ++done_;
    }
  }

  std::vector<float> sums_[2];
  std::deque<std::pair<uint64_t, const std::byte*>> waiting_[kSenders];
  int done_ = 0;
  int limit_ = 0;
  Hub hub_;
};

std::vector<double> Rounds(const std::function<double()>& round) {
  std::vector<double> seconds;
  for (int i = 0; i < kRounds; ++i) seconds.push_back(round());
  seconds.erase(seconds.begin());
  return seconds;
}

void Measure() {
  const std::vector<std::byte> tiles(kTiles * kTile, std::byte{1});
  std::vector<std::byte> copy(tiles.size());
  const auto memcpy_round = [&] {
    const double begun_s = Seconds();
    std::memcpy(copy.data(), tiles.data(), tiles.size());
    return Seconds() - begun_s;
  };
  for (const int receivers : {1, 2, 4, 8}) {
    Print("memcpy before " + std::to_string(receivers), Rounds(memcpy_round));
    for (const bool read : {true, false}) {
      Broadcast broadcast(FabricKind::kShm, receivers, read);
      Print("shm broadcast to " + std::to_string(receivers) + (read ? "" : ", not read"),
            Rounds([&] { return broadcast.Round(tiles); }));
    }
  }
  for (const int receivers : {1, 4}) {
    Broadcast broadcast(FabricKind::kTcp, receivers, true);
    Print("tcp broadcast to " + std::to_string(receivers),
          Rounds([&] { return broadcast.Round(tiles); }));
  }
  Reduction reduction(FabricKind::kShm);
  Print("shm reduction from 4", Rounds([&] { return reduction.Round(); }));
}

}  // namespace
}  // namespace waferstream

int main() { waferstream::Measure(); }
