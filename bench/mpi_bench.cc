// Broadcast and reduction over the mpi adapter beside MPI's own, on the same ranks: rank 0 streams
// tiles to rank 1, which relays each to all others; gradients come back, are added by rank 1 and
// arrive at rank 0. As MemoryX, a SwarmX node and wafers do, with the same windows, checksums and
// sums, but nothing else. Start with `mpirun -n N`, N > 2. One line a size on rank 0.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/vector_math.h"
#include "bench/ranks.h"
#include "fabric/mpi_fabric.h"

namespace waferstream {
namespace {

constexpr int kWindow = 4;  // receive slots of every end
constexpr int kRoot = 0, kRelay = 1;
const ChannelTerms kTerms{.epoch = 1, .peer_window = {{kWindow, 0}}};

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}

// One end: sends from the buffers it is given as the peer grants, receives into slots of its own.
class End final : public ChannelHandler {
 public:
  using Arrived = std::function<void(int slot)>;

  End(std::shared_ptr<ChannelEnd> channel, size_t bytes, Arrived arrived)
      : channel_(std::move(channel)), arrived_(std::move(arrived)) {
    for (auto& slot : slots_) slot.resize(bytes / sizeof(float));
    channel_->Open(*this);
    channel_->Grant({.slots = {0, kWindow}});
  }

  void Send(const float* payload, std::function<void()> sent) {
    waiting_.push_back({payload, std::move(sent)});
    SendWaiting();
  }
  // The slot may be filled again.
  void Free() { channel_->Grant({.slots = {0, 1}}); }
  std::vector<float>& slot(int i) { return slots_[i]; }
  void Close() { channel_->Close(); }
  bool closed() const { return closed_; }

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader&) override {
    return std::as_writable_bytes(std::span(slots_[next_slot_]));
  }
  absl::Status OnFrame(const FrameHeader&, const std::byte*) override {
    const int slot = next_slot_;
    next_slot_ = (next_slot_ + 1) % kWindow;
    arrived_(slot);
    return absl::OkStatus();
  }
  void OnCredit(const Credit& credit) override {
    granted_ += credit.slots[kLarge];
    SendWaiting();
  }
  void OnSent(uint64_t) override {
    const std::function<void()> sent = std::move(on_its_way_.front());
    on_its_way_.pop_front();
    sent();
  }
  void OnClosed(const absl::Status&) override { closed_ = true; }

 private:
  void SendWaiting() {
    for (; granted_ > 0 && !waiting_.empty(); --granted_) {
      FrameHeader header;
      header.epoch = kTerms.epoch;
      header.length = slots_[0].size() * sizeof(float);
      auto [payload, sent] = std::move(waiting_.front());
      waiting_.pop_front();
      on_its_way_.push_back(std::move(sent));
      channel_->Send(header, reinterpret_cast<const std::byte*>(payload), 0, false);
    }
  }

  const std::shared_ptr<ChannelEnd> channel_;
  const Arrived arrived_;
  std::vector<float> slots_[kWindow];
  int next_slot_ = 0;
  int granted_ = 0;
  bool closed_ = false;
  std::deque<std::pair<const float*, std::function<void()>>> waiting_;
  std::deque<std::function<void()>> on_its_way_;
};

// One rank's part. Tiles go down, and gradients up, `count` of each at the same time.
class Part final : public AcceptHandler {
 public:
  Part(size_t bytes, int count) : bytes_(bytes), count_(count), tile_(bytes / sizeof(float), 1) {
    listener_ = *fabric_->Listen(*this);
    if (Rank() > kRoot) Dial(Rank() == kRelay ? kRoot : kRelay);
    Until([&] {
      return static_cast<int>(below_.size()) == (Rank() == kRoot    ? 1
                                                 : Rank() == kRelay ? Ranks() - 2
                                                                    : 0) &&
             (Rank() == kRoot || above_ != nullptr);
    });
  }
  ~Part() override {
    MPI_Barrier(MPI_COMM_WORLD);
    if (above_ != nullptr) above_->Close();
    for (auto& end : below_) end->Close();
    Until([&] {
      bool all = above_ == nullptr || above_->closed();
      for (auto& end : below_) all = all && end->closed();
      return all;
    });
  }

  // Seconds, on this rank.
  double Run() {
    MPI_Barrier(MPI_COMM_WORLD);
    const double begun_s = MPI_Wtime();
    if (Rank() == kRoot) {
      for (int i = 0; i < count_; ++i) below_[0]->Send(tile_.data(), [this] { ++down_; });
      Until([&] { return up_ == count_ && down_ == count_; });
    } else if (Rank() == kRelay) {
      Until([&] { return up_sent_ == count_ && down_ == count_; });
    } else {
      for (int i = 0; i < count_; ++i) above_->Send(tile_.data(), [this] { ++up_sent_; });
      Until([&] { return down_ == count_ && up_sent_ == count_; });
    }
    const double seconds = MPI_Wtime() - begun_s;
    MPI_Barrier(MPI_COMM_WORLD);
    return seconds;
  }

  absl::StatusOr<ChannelTerms> Admit(const Hello&) override { return kTerms; }
  void OnChannel(const Hello&, std::shared_ptr<ChannelEnd> channel) override {
    const size_t from = below_.size();
    sums_.emplace_back();
    below_.push_back(std::make_unique<End>(std::move(channel), bytes_,
                                           [this, from](int slot) { OnGradient(from, slot); }));
  }
  void OnRefused(const std::string& line) override { Require(absl::InternalError(line)); }

 private:
  void Dial(int rank) {
    dial_ = fabric_->Dial({.host = "rank",
                           .port = static_cast<uint16_t>(rank),
                           .hello = {},
                           .terms = kTerms,
                           .timeout = absl::Seconds(30)},
                          [this](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
                            Require(channel.status());
                            above_ = std::make_unique<End>(*std::move(channel), bytes_,
                                                           [this](int slot) { OnTile(slot); });
                          });
  }

  // The relay sends a tile on to all below, then frees its slot.
  void OnTile(int slot) {
    if (below_.empty()) {
      ++down_;
      return above_->Free();
    }
    auto left = std::make_shared<size_t>(below_.size());
    for (auto& end : below_) {
      end->Send(above_->slot(slot).data(), [this, left] {
        if (--*left > 0) return;
        ++down_;
        above_->Free();
      });
    }
  }

  // The relay adds the blocks of all below, in their order, and sends the sum up.
  void OnGradient(size_t from, int slot) {
    if (Rank() == kRoot) {
      ++up_;
      return below_[from]->Free();
    }
    sums_[from].push_back(slot);
    for (const auto& waiting : sums_) {
      if (waiting.empty()) return;
    }
    float* sum = below_[0]->slot(sums_[0].front()).data();
    for (size_t i = 1; i < below_.size(); ++i) {
      Add(sum, below_[i]->slot(sums_[i].front()).data(), bytes_ / sizeof(float));
      below_[i]->Free();
      sums_[i].pop_front();
    }
    sums_[0].pop_front();
    above_->Send(sum, [this] {
      ++up_sent_;
      below_[0]->Free();
    });
  }

  template <typename Condition>
  void Until(Condition condition) {
    while (!condition()) {
      io_.restart();
      io_.run_one();
    }
  }

  const size_t bytes_;
  const int count_;
  const std::vector<float> tile_;
  boost::asio::io_context io_{1};
  std::unique_ptr<Fabric> fabric_ = MakeMpiFabric(io_, [] {});
  std::unique_ptr<FabricListener> listener_;
  std::shared_ptr<PendingDial> dial_;
  std::unique_ptr<End> above_;
  std::vector<std::unique_ptr<End>> below_;
  std::vector<std::deque<int>> sums_;  // slots that wait to be added, by who sent them
  int down_ = 0, up_ = 0, up_sent_ = 0;
};

// The same bytes by MPI's collectives, one after the other.
double RunCollectives(size_t bytes, int count) {
  std::vector<float> tile(bytes / sizeof(float), 1), sum(tile.size());
  const int elements = static_cast<int>(tile.size());
  MPI_Barrier(MPI_COMM_WORLD);
  const double begun_s = MPI_Wtime();
  for (int i = 0; i < count; ++i) {
    MPI_Bcast(tile.data(), elements, MPI_FLOAT, kRoot, MPI_COMM_WORLD);
    MPI_Reduce(tile.data(), sum.data(), elements, MPI_FLOAT, MPI_SUM, kRoot, MPI_COMM_WORLD);
  }
  const double seconds = MPI_Wtime() - begun_s;
  MPI_Barrier(MPI_COMM_WORLD);
  return seconds;
}

void Measure(size_t bytes, int count) {
  double ours_s = 0;
  {
    Part part(bytes, count);
    ours_s = part.Run();
  }
  const double theirs_s = RunCollectives(bytes, count);
  if (Rank() != kRoot) return;
  const double gigabytes = 2.0 * static_cast<double>(bytes) * count / 1e9;
  std::printf("%zu %.4f %.4f %.3f\n", bytes, gigabytes / ours_s, gigabytes / theirs_s,
              theirs_s / ours_s);
}

}  // namespace
}  // namespace waferstream

int main() {
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  for (const int repeat : {1, 2, 3}) {
    (void)repeat;
    waferstream::Measure(size_t{4} << 20, 50);
    waferstream::Measure(size_t{256} << 10, 400);
    waferstream::Measure(size_t{16} << 10, 2000);
  }
  MPI_Finalize();
}
