#include "memoryx/tile_sender.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/status.h"
#include "memoryx/tile_math.h"
#include "plan/job_kind.h"
#include "plan/pass.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<TileSender>> TileSender::Create(
    const Plan& plan, const MemoryxPlace& place, const TileStore& store, TileUpdates& updates,
    LaneQueue& lanes, TrafficCounters& traffic) {
  const size_t slots = plan.wire == Dtype::kBf16 ? kSendSlots : 0;
  // Of whole cache lines, as kernels that read them in place want it.
  const size_t slot_bytes =
      (std::max(plan.tile_slot_bytes[kSmall], plan.tile_slot_bytes[kLarge]) + 63) / 64 * 64;
  ASSIGN_OR_RETURN(Arena slot_memory, Arena::CreateLent(slots * slot_bytes));
  std::vector<Port> ports;
  for (const Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy) continue;
    if (channel.up.role != MEMORYX || channel.up.process != place.process) continue;
    TileCursor next(plan, channel.plane, place.process, place.epoch, place.start_step);
    ports.push_back({channel.id, {}, std::move(next), {}});
  }
  return std::unique_ptr<TileSender>(new TileSender(plan, store, updates, lanes, traffic,
                                                    std::move(slot_memory), std::move(ports)));
}

TileSender::TileSender(const Plan& plan, const TileStore& store, TileUpdates& updates,
                       LaneQueue& lanes, TrafficCounters& traffic, Arena slot_memory,
                       std::vector<Port> ports)
    : plan_(plan),
      store_(store),
      updates_(updates),
      lanes_(lanes),
      traffic_(traffic),
      slot_memory_(std::move(slot_memory)),
      ports_(std::move(ports)) {
  if (plan.wire != Dtype::kBf16) return;
  for (int slot = kSendSlots - 1; slot >= 0; --slot) free_slots_.push_back(slot);
}

TileSender::Port& TileSender::PortOf(ChannelId channel) {
  const auto port = std::find_if(ports_.begin(), ports_.end(),
                                 [&](const Port& p) { return p.channel == channel; });
  WS_CHECK(port != ports_.end());
  return *port;
}

void TileSender::OnCredit(ChannelId channel, const Credit& credit) {
  PortOf(channel).credit.Add(credit);
}

void TileSender::OnSent(uint64_t token) {
  const auto at = outgoing_.find(token);
  WS_CHECK(at != outgoing_.end());
  const Outgoing& sent = at->second;
  if (sent.slot == kInPlace) {
    updates_.Unpin(sent.local);
  } else {
    free_slots_.push_back(sent.slot);
    if (sent.lent) --lent_slots_;
  }
  outgoing_.erase(at);
}

bool TileSender::done() const {
  return std::all_of(ports_.begin(), ports_.end(), [](const Port& p) { return p.next.done(); });
}

bool TileSender::WaitsForCommit() const {
  return outgoing_.empty() && std::all_of(ports_.begin(), ports_.end(), [&](const Port& p) {
           return p.next.done() || !IsCommitted(p.next.Header());
         });
}

void TileSender::Pump(Turn& turn) {
  // One tile a channel in turn, so that the slots are shared out.
  for (bool progress = true; progress;) {
    progress = false;
    for (Port& port : ports_) progress |= TryStart(port, turn);
  }
}

bool TileSender::IsCommitted(const FrameHeader& header) const {
  const Pass pass = {static_cast<PassKind>(header.pass), header.step, header.wave};
  if (!Trains(plan_.job) || !waferstream::WaitsForCommit(pass)) return true;
  return updates_.committed() >= pass.step + (pass.kind == PassKind::kValidation ? 1 : 0);
}

bool TileSender::TryStart(Port& port, Turn& turn) {
  if (port.next.done()) return false;
  const FrameHeader header = port.next.Header();
  const SlotClass slot_class = plan_.tiles[header.tile].slot;
  const int local = store_.LocalOf(static_cast<int>(header.tile));
  const bool in_place = plan_.wire == Dtype::kF32;
  if (!IsCommitted(header) || !port.credit.Has(slot_class)) return false;
  if (!in_place && free_slots_.empty()) return false;
  if (updates_.StateOf(local) == TileUpdates::State::kWaiting) return false;

  port.credit.Spend(slot_class);
  port.next.Advance();
  ++streamed_;
  Outgoing out = {port.channel, header, local, kInPlace, false};
  if (!in_place) {
    out.slot = free_slots_.back();
    free_slots_.pop_back();
  }
  const uint64_t token = next_token_++;
  port.queue.push_back(token);
  outgoing_.emplace(token, out);
  Prepare(port, token, turn);
  return true;
}

void TileSender::Prepare(Port& port, uint64_t token, Turn& turn) {
  Outgoing& out = outgoing_.at(token);
  const int local = out.local;
  const bool update_due = updates_.StateOf(local) == TileUpdates::State::kDue;
  LaneQueue::Work update;
  if (update_due) update = updates_.Begin(local);
  if (out.slot == kInPlace) updates_.Pin(local);  // from here on: only after the update
  if (out.slot == kInPlace && !update_due) {
    out.ready = true;
    return Flush(port, turn);
  }
  Bf16* const slot = out.slot == kInPlace ? nullptr : reinterpret_cast<Bf16*>(SlotBytes(out.slot));
  const size_t elements = plan_.tiles[out.header.tile].elements;
  uint64_t about_ns = elements * kPassNs;
  if (update_due) about_ns = updates_.AboutNs(local) == 0 ? 0 : about_ns + updates_.AboutNs(local);
  const auto work = [update, slot, weights = store_.tile(local).weights(),
                     n = elements](Parallel& parallel) {
    if (update) RETURN_IF_ERROR(update(parallel));
    if (slot != nullptr) RoundTile(parallel, slot, weights, n);
    return absl::OkStatus();
  };
  const auto done = [this, token, local, update_due, channel = port.channel](
                        const absl::Status& status, Turn& turn) {
    RETURN_IF_ERROR(status);
    if (update_due) updates_.End(local);
    outgoing_.at(token).ready = true;
    Flush(PortOf(channel), turn);
    return absl::OkStatus();
  };
  const char* const what = update_due ? "update before sending" : "round before sending";
  lanes_.Run(Lane::kCompute, what, work, done, turn, about_ns);
}

void TileSender::Flush(Port& port, Turn& turn) {
  while (!port.queue.empty() && outgoing_.at(port.queue.front()).ready) {
    const uint64_t token = port.queue.front();
    port.queue.pop_front();
    Outgoing& out = outgoing_.at(token);
    const std::byte* payload =
        out.slot == kInPlace ? store_.tile(out.local).bytes().data() : SlotBytes(out.slot);
    traffic_.set_weight_bytes_out(traffic_.weight_bytes_out() + out.header.length);
    turn.actions.push_back(SendAction{out.channel, out.header, payload, token, Lend(out)});
  }
}

bool TileSender::Lend(Outgoing& out) {
  if (out.slot == kInPlace) return true;
  if (lent_slots_ == kSendSlots - 1) return false;
  ++lent_slots_;
  return out.lent = true;
}

std::byte* TileSender::SlotBytes(int slot) {
  const size_t bytes = slot_memory_.size() / kSendSlots;
  return slot_memory_.Claim(slot * bytes, bytes).data();
}

}  // namespace waferstream
