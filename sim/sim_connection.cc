#include "sim/sim_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.h"
#include "base/mark.h"
#include "base/status.h"

namespace waferstream {
namespace {

absl::Status ClosedByThePeer() { return absl::AbortedError("closed by the peer"); }
absl::Status NoAnswer() { return absl::UnavailableError("the peer does not answer"); }

}  // namespace

// One end: what it still takes, and who is told.
class SimConnection::End final : public ChannelEnd {
 public:
  End(std::shared_ptr<SimConnection> connection, bool up, ChannelTerms terms)
      : connection_(std::move(connection)), up_(up), terms_(std::move(terms)) {}
  ~End() override {
    if (!closed) connection_->EndDropped(up_);
  }

  void Open(ChannelHandler& the_handler) override {
    handler = &the_handler;
    connection_->Opened(up_);
  }
  void Send(const FrameHeader& header, const std::byte* payload, uint64_t token,
            bool lend) override {
    if (!closed && broken.ok()) connection_->Send(*this, header, payload, token, lend);
  }
  void Return(uint64_t sequence) override {
    if (!closed && broken.ok()) connection_->Return(*this, sequence);
  }
  void Grant(const Credit& credit) override {
    if (!closed && broken.ok()) connection_->Grant(*this, credit);
  }
  void Close() override {
    if (std::exchange(closed, true)) return;
    connection_->EndClosed(up_);
  }

  std::string carrier() const override { return "sim"; }

  bool up() const { return up_; }
  const ChannelTerms& terms() const { return terms_; }
  bool takes() const { return !closed && handler != nullptr; }

  ChannelHandler* handler = nullptr;  // null: not opened
  bool closed = false;                // nothing more is delivered here but OnClosed
  absl::Status broken;                // why; found before the end was opened
  Credit early;                       // arrived before the end was opened

 private:
  const std::shared_ptr<SimConnection> connection_;
  const bool up_;
  const ChannelTerms terms_;
};

SimConnection::SimConnection(SimWorld& world, std::string name, std::string job, SimProcess& up,
                             SimProcess& down)
    : world_(world),
      name_(std::move(name)),
      job_(std::move(job)),
      frame_ns_(FrameNs(world)),
      of_one_host_(Hash64(name_.data(), name_.size()) % 2 == 0),
      processes_{&down, &up} {}

int64_t SimConnection::FrameNs(SimWorld& world) {
  const bool slow = world.weather.link_slow > 0 && world.links.Chance(world.weather.link_slow);
  return slow ? world.pace.frame_ns * world.links.Between(2, 20) : world.pace.frame_ns;
}

std::shared_ptr<ChannelEnd> SimConnection::MakeEnd(bool up, ChannelTerms terms) {
  wires_[up].contract = WireContract(terms.peer_window);
  auto end = std::make_shared<End>(shared_from_this(), up, std::move(terms));
  ends_[up] = end;
  return end;
}

int64_t SimConnection::DelayBehind(int64_t& last_ns) {
  last_ns = std::max(last_ns, world_.now_ns()) + world_.delays.Delay(frame_ns_);
  return last_ns - world_.now_ns();
}

// -- frames and credits ------------------------------------------------------------------------

void SimConnection::Send(End& from, const FrameHeader& header, const std::byte* payload,
                         uint64_t token, bool lend) {
  const bool downwards = from.up();
  WS_CHECK(header.kind == (downwards ? FrameKind::kTile : FrameKind::kGradient));
  Wire& wire = wires_[downwards];
  auto frame = std::make_shared<Frame>();
  frame->header = header;
  frame->header.sequence = wire.frames++;
  frame->slot = from.terms().slot_of(header.tile);
  frame->payload = payload;
  frame->payload_hash = Hash64(payload, header.length);
  frame->token = token;
  if (header.length > 0) frame->memory = SharedSegment::Holding(payload, header.length);
  frame->lent = of_one_host_ && lend && frame->memory != nullptr;
  wire.contract.OnSend(frame->slot);
  wire.flying.push_back(frame);
  processes_[!from.up()]->Reach(
      DelayBehind(wire.last_arrival_ns),
      [self = shared_from_this(), downwards] { self->Arrive(downwards); }, [] {});
  processes_[from.up()]->After(
      DelayBehind(wire.last_sent_ns),
      [self = shared_from_this(), downwards, frame] { self->Sent(downwards, *frame); });
}

void SimConnection::Take(Frame& frame) {
  if (frame.taken) return;
  frame.taken = true;
  if (!frame.lent) {
    frame.copy.assign(frame.payload, frame.payload + frame.header.length);
  }
}

void SimConnection::Sent(bool downwards, Frame& frame) {
  const std::shared_ptr<End> end = ends_[downwards].lock();
  if (end == nullptr || !end->takes()) return;
  // What is lent may be back, and its memory in use for something else.
  if (frame.lent) return Take(frame);
  CheckUntouched(frame, frame.payload);
  Take(frame);
  end->handler->OnSent(frame.token);
}

// Whoever owns a payload leaves it alone until it is back; unless the owner is in a later epoch,
// where what its readers make of it counts no more (docs/adr/0039-shm-fabric.md).
void SimConnection::CheckUntouched(const Frame& frame, const std::byte* payload) const {
  if (Hash64(payload, frame.header.length) == frame.payload_hash) return;
  WS_MARK("sim: a payload was read whose owner had left the epoch");
  const auto newest = world_.newest_epoch.find(job_);
  const bool left = newest != world_.newest_epoch.end() && frame.header.epoch < newest->second;
  WS_CHECK(left && "a payload changed");
}

void SimConnection::Return(End& from, uint64_t sequence) {
  const bool downwards = !from.up();  // the frame that is returned
  Wire& wire = wires_[downwards];
  const auto found = wire.in_place.find(sequence);
  WS_CHECK(found != wire.in_place.end());
  const std::shared_ptr<Frame> frame = std::move(found->second);
  wire.in_place.erase(found);
  // Not behind the grant of the slot that it filled.
  processes_[!from.up()]->Reach(
      DelayBehind(wire.last_credit_ns),
      [self = shared_from_this(), downwards, frame] { self->Returned(downwards, *frame); }, [] {});
}

void SimConnection::Returned(bool downwards, const Frame& frame) {
  const std::shared_ptr<End> end = ends_[downwards].lock();
  if (deaf_ || stalled_[!downwards] || end == nullptr || !end->takes()) return;
  CheckUntouched(frame, frame.payload);
  WS_MARK("sim: a payload was read in place");
  end->handler->OnSent(frame.token);
}

void SimConnection::Arrive(bool downwards) {
  Wire& wire = wires_[downwards];
  if (deaf_ || stalled_[downwards] || wire.arrived == static_cast<int>(wire.flying.size())) return;
  Take(*wire.flying[wire.arrived++]);
  HandOver(downwards);
}

void SimConnection::HandOver(bool downwards) {
  Wire& wire = wires_[downwards];
  while (wire.arrived > 0 && !deaf_) {
    const std::shared_ptr<End> end = ends_[!downwards].lock();
    if (end == nullptr || !end->takes()) return;
    const std::shared_ptr<Frame> frame = wire.flying.front();
    wire.flying.pop_front();
    --wire.arrived;
    wire.contract.OnArrival(frame->slot);
    const absl::Status status = Receive(*end, frame);
    if (status.ok()) continue;
    deaf_ = true;
    Break(end->up(), status, 1);
    Break(!end->up(), ClosedByThePeer(), DelayBehind(wires_[!downwards].last_arrival_ns));
  }
}

absl::Status SimConnection::Receive(End& to, const std::shared_ptr<Frame>& arrived) {
  Frame& frame = *arrived;
  if (frame.flipped_bit.has_value()) return ReceiveDamaged(to, frame);
  if (frame.lent) {
    ASSIGN_OR_RETURN(const std::span<std::byte> unused, to.handler->BufferFor(frame.header));
    WS_CHECK(unused.size() == frame.header.length);
    wires_[!to.up()].in_place[frame.header.sequence] = arrived;
    return to.handler->OnFrame(frame.header, frame.payload);
  }
  CheckUntouched(frame, frame.copy.data());
  ASSIGN_OR_RETURN(const std::span<std::byte> buffer, to.handler->BufferFor(frame.header));
  WS_CHECK(buffer.size() == frame.header.length);
  std::memcpy(buffer.data(), frame.copy.data(), frame.header.length);
  return to.handler->OnFrame(frame.header, buffer.data());
}

// As the tcp adapter does: what can be told from the header alone, then the buffer, then the
// checksum.
absl::Status SimConnection::ReceiveDamaged(End& to, Frame& frame) {
  // Where no payload travels, all that does is checked before anybody is asked.
  if (frame.lent) return absl::DataLossError("checksum mismatch");
  frame.header.crc = FrameCrc(frame.header, frame.copy.data());
  HeaderBytes bytes = Encode(frame.header);
  const size_t bit = *frame.flipped_bit % (8 * (bytes.size() + frame.copy.size()));
  std::byte* const all = bit < 8 * bytes.size() ? bytes.data() : frame.copy.data() - bytes.size();
  all[bit / 8] ^= std::byte{1} << (bit % 8);
  ASSIGN_OR_RETURN(const FrameHeader header, Decode(bytes));
  if (header.sequence != frame.header.sequence || header.epoch != frame.header.epoch ||
      header.kind == FrameKind::kHello || header.kind == FrameKind::kCredit) {
    return absl::DataLossError("a frame that cannot be here");
  }
  ASSIGN_OR_RETURN(const std::span<std::byte> buffer, to.handler->BufferFor(header));
  WS_CHECK(buffer.size() == header.length);
  std::memcpy(buffer.data(), frame.copy.data(), std::min(buffer.size(), frame.copy.size()));
  WS_CHECK(header.length != frame.header.length || FrameCrc(header, buffer.data()) != header.crc);
  return absl::DataLossError("checksum mismatch");
}

void SimConnection::Grant(End& from, const Credit& credit) {
  const bool downwards = !from.up();  // the frames that the credit is for
  Wire& wire = wires_[downwards];
  wire.contract.OnGrant(credit);
  processes_[!from.up()]->Reach(
      DelayBehind(wire.last_credit_ns),
      [self = shared_from_this(), downwards, credit] { self->GrantArrives(downwards, credit); },
      [] {});
}

void SimConnection::GrantArrives(bool downwards, const Credit& credit) {
  const std::shared_ptr<End> end = ends_[downwards].lock();
  if (deaf_ || stalled_[!downwards] || end == nullptr || end->closed) return;
  wires_[downwards].contract.OnGrantArrival(credit);
  if (end->handler != nullptr) return end->handler->OnCredit(credit);
  for (int c = 0; c < kSlotClasses; ++c) end->early.slots[c] += credit.slots[c];
}

// Never from inside a call into the end.
void SimConnection::Opened(bool up) {
  processes_[up]->After(1, [self = shared_from_this(), up] {
    const std::shared_ptr<End> end = self->ends_[up].lock();
    if (end == nullptr || !end->takes()) return;
    if (!end->broken.ok()) return self->Break(up, end->broken, 1);
    const Credit early = std::exchange(end->early, Credit{});
    if (early.slots[kSmall] + early.slots[kLarge] > 0) end->handler->OnCredit(early);
    self->HandOver(!up);
  });
}

// -- the end -----------------------------------------------------------------------------------

// What the system has not taken yet is lost.
void SimConnection::DropUnsent(Wire& wire) {
  while (!wire.flying.empty() && !wire.flying.back()->taken) wire.flying.pop_back();
}

void SimConnection::EndClosed(bool up) {
  DropUnsent(wires_[up]);
  const std::shared_ptr<End> end = ends_[up].lock();
  if (end->handler != nullptr) {
    processes_[up]->After(1, [end] { end->handler->OnClosed(absl::OkStatus()); });
  }
  if (deaf_ || stalled_[up]) return;
  Break(!up, ClosedByThePeer(), DelayBehind(wires_[up].last_arrival_ns));
}

void SimConnection::EndDropped(bool up) {
  DropUnsent(wires_[up]);
  if (deaf_ || stalled_[up]) return;
  if (!processes_[up]->ended_silently()) {
    return Break(!up, ClosedByThePeer(), DelayBehind(wires_[up].last_arrival_ns));
  }
  deaf_ = true;
  Break(!up, NoAnswer(), world_.delays.UpTo(2 * world_.pace.keepalive_ns));
}

void SimConnection::Break(bool up, const absl::Status& why, int64_t delay_ns) {
  processes_[up]->After(delay_ns, [self = shared_from_this(), up, why] {
    const std::shared_ptr<End> end = self->ends_[up].lock();
    if (end == nullptr || end->closed) return;
    self->deaf_ = true;
    if (end->broken.ok()) end->broken = why;
    if (end->handler == nullptr) return;
    end->closed = true;
    end->handler->OnClosed(end->broken);
  });
}

// -- faults ------------------------------------------------------------------------------------

void SimConnection::Cut() {
  deaf_ = true;
  for (const bool up : {false, true}) {
    Break(up, absl::UnavailableError("connection reset"), world_.delays.UpTo(world_.pace.frame_ns));
  }
}

void SimConnection::Blackhole() {
  deaf_ = true;
  for (const bool up : {false, true}) {
    Break(up, NoAnswer(), world_.delays.UpTo(2 * world_.pace.keepalive_ns));
  }
}

void SimConnection::Stall(bool downwards) {
  stalled_[downwards] = true;
  const int64_t silent_ns = world_.delays.UpTo(2 * world_.pace.keepalive_ns);
  Break(!downwards, absl::UnavailableError("nothing comes through the connection"), silent_ns);
  Break(downwards, ClosedByThePeer(), silent_ns + world_.delays.Delay(world_.pace.frame_ns));
}

void SimConnection::Corrupt(bool downwards, uint32_t bit) {
  wires_[downwards].flying.back()->flipped_bit = bit;
}

}  // namespace waferstream
