#include "fabric/channel_fixture.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

namespace waferstream {

bool RunUntil(boost::asio::io_context& io, const std::function<bool()>& condition) {
  return RunFor(absl::Seconds(10), io, condition);
}

bool RunFor(absl::Duration limit, boost::asio::io_context& io,
            const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(50));
  }
  return true;
}

std::vector<std::vector<std::byte>> RandomPayloads(std::initializer_list<size_t> sizes) {
  std::mt19937 random(1);
  std::vector<std::vector<std::byte>> payloads;
  for (const size_t size : sizes) {
    payloads.emplace_back(size);
    for (std::byte& byte : payloads.back()) byte = static_cast<std::byte>(random());
  }
  return payloads;
}

Hello SomeHello() {
  Hello hello;
  hello.set_job_id("job-1");
  hello.set_epoch(kEpoch);
  hello.set_plan_hash(0x1234);
  hello.set_channel(3);
  hello.set_node_id("dialler");
  return hello;
}

absl::StatusOr<std::span<std::byte>> End::BufferFor(const FrameHeader& header) {
  if (header.length > size_t{64} << 20) return absl::InvalidArgumentError("too long");
  buffer_.resize(header.length);
  return std::span<std::byte>(buffer_);
}

absl::Status End::OnFrame(const FrameHeader& header, const std::byte* payload) {
  frames.push_back({header, {payload, payload + header.length}});
  if (payload != buffer_.data()) {
    lent[header.sequence] = payload;
    if (!keeps) channel->Return(header.sequence);
  }
  if (grant_after_frame) channel->Grant({.slots = {0, 1}});
  return frame_status;
}

void End::OnCredit(const Credit& credit) {
  for (int c = 0; c < kSlotClasses; ++c) credits.slots[c] += credit.slots[c];
  SendWhatMaySend();
}

void End::SendWhatMaySend() {
  while (next < payloads.size() && static_cast<int>(next) < credits.slots[kLarge]) {
    FrameHeader header;
    header.kind = FrameKind::kTile;
    header.epoch = kEpoch;
    header.tile = static_cast<uint32_t>(next);
    header.length = payloads[next].size();
    memory.push_back(*Arena::CreateLent(payloads[next].size()));
    const std::span<std::byte> place = memory.back().Claim(0, payloads[next].size());
    std::copy(payloads[next].begin(), payloads[next].end(), place.begin());
    channel->Send(header, place.data(), next, lends);
    ++next;
  }
}

absl::StatusOr<ChannelTerms> AdmitSome(const Hello& theirs, int slots) {
  if (theirs.epoch() != kEpoch) return absl::NotFoundError("epoch is not prepared here");
  if (theirs.plan_hash() != 0x1234) return absl::FailedPreconditionError("another plan");
  return ChannelTerms{.epoch = kEpoch, .peer_window = {{slots, 0}}};
}

}  // namespace waferstream
