#include "fabric/shm_channel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"

namespace waferstream {

namespace asio = boost::asio;

namespace {

// Frames leave together up to this size, which the reader takes at once.
constexpr size_t kBatchBytes = 4096;
// A role lends from a few: its own, and those that it passes on.
constexpr size_t kSegmentsMax = 4096;

std::span<const std::byte> BytesOf(const ShmPlace& place) {
  return std::as_bytes(std::span(&place, 1));
}

}  // namespace

ShmChannel::ShmChannel(TcpStream stream, const ChannelTerms& terms, absl::Duration alive_every)
    : StreamChannel(std::move(stream), ChannelFlow(terms, true), alive_every),
      reader_(this->stream().socket()) {}

// -- in ------------------------------------------------------------------------------------------

asio::awaitable<absl::Status> ShmChannel::ReadFrame() {
  HeaderBytes bytes;
  const absl::Status came = co_await reader_.Read(bytes, heard());
  if (!came.ok()) co_return came;
  if (closed()) co_return absl::OkStatus();
  const absl::StatusOr<FrameHeader> header = flow().TakeHeader(bytes);
  if (!header.ok()) co_return header.status();
  switch (header->kind) {
    case FrameKind::kCredit:
      co_return TakeCredit(*header);
    case FrameKind::kReturn:
      co_return TakeReturn(*header);
    case FrameKind::kSegment:
      co_return TakeSegment(*header);
    default:
      co_return co_await ReadPayload(*header);
  }
}

asio::awaitable<absl::Status> ShmChannel::ReadPayload(const FrameHeader& header) {
  ShmPlace place;
  uint32_t crc = HeaderCrc(header);
  if (header.length > 0) {
    const absl::Status came =
        co_await reader_.Read(std::as_writable_bytes(std::span(&place, 1)), heard());
    if (!came.ok()) co_return came;
    if (closed()) co_return absl::OkStatus();
    crc = Crc32c(crc, &place, sizeof place);
  }
  // The header alone, or with its place, is whole: it can be told before anybody acts on it.
  const bool follows = header.length > 0 && place.segment == ShmPlace::kInline;
  if (!follows) {
    const absl::Status intact = ChannelFlow::CheckCrc(header, crc);
    if (!intact.ok()) co_return intact;
  }
  const absl::StatusOr<std::span<std::byte>> buffer = handler().BufferFor(header);
  if (!buffer.ok()) co_return buffer.status();
  WS_CHECK(buffer->size() == header.length);
  if (follows) co_return co_await ReadInline(header, *buffer, crc);
  if (header.length == 0) co_return handler().OnFrame(header, buffer->data());
  co_return TakePlaced(header, place, *buffer);
}

asio::awaitable<absl::Status> ShmChannel::ReadInline(const FrameHeader& header,
                                                     std::span<std::byte> buffer, uint32_t crc) {
  const absl::Status came = co_await reader_.Read(buffer, heard());
  if (!came.ok()) co_return came;
  if (closed()) co_return absl::OkStatus();
  const absl::Status intact =
      ChannelFlow::CheckCrc(header, Crc32c(crc, buffer.data(), buffer.size()));
  if (!intact.ok()) co_return intact;
  co_return handler().OnFrame(header, buffer.data());
}

absl::Status ShmChannel::TakePlaced(const FrameHeader& header, const ShmPlace& place,
                                    std::span<std::byte> buffer) {
  const SharedSegment* const segment =
      place.segment < theirs_.size() ? theirs_[place.segment].get() : nullptr;
  if (segment == nullptr || place.offset > segment->size() ||
      header.length > segment->size() - place.offset) {
    return absl::InvalidArgumentError(absl::StrCat(Describe(header),
                                                   " lies outside the peer's memory: segment ",
                                                   place.segment, ", offset ", place.offset));
  }
  const std::byte* const payload = segment->data() + place.offset;
  if (place.lend == 1) {
    lent_.insert(header.sequence);
    return handler().OnFrame(header, payload);
  }
  std::memcpy(buffer.data(), payload, buffer.size());
  QueueReturn(header.sequence);
  return handler().OnFrame(header, buffer.data());
}

absl::Status ShmChannel::TakeSegment(const FrameHeader& header) {
  RETURN_IF_ERROR(ChannelFlow::CheckCrc(header, HeaderCrc(header)));
  if (header.tile != theirs_.size() || header.tile >= kSegmentsMax) {
    return absl::InvalidArgumentError(absl::StrCat(Describe(header), " is not the next"));
  }
  ASSIGN_OR_RETURN(Fd memory, reader_.TakeFd());
  ASSIGN_OR_RETURN(auto segment, SharedSegment::Attach(std::move(memory)));
  theirs_.push_back(std::move(segment));
  return absl::OkStatus();
}

absl::Status ShmChannel::TakeReturn(const FrameHeader& header) {
  RETURN_IF_ERROR(ChannelFlow::CheckCrc(header, HeaderCrc(header)));
  const auto found = awaited_.find(header.step);
  if (found == awaited_.end()) {
    return absl::InvalidArgumentError(absl::StrCat(Describe(header), ", which is not there"));
  }
  const uint64_t token = found->second;
  awaited_.erase(found);
  Left(token);
  return absl::OkStatus();
}

void ShmChannel::Return(uint64_t sequence) {
  if (closed()) return;
  WS_CHECK(lent_.erase(sequence) == 1);
  QueueReturn(sequence);
}

void ShmChannel::QueueReturn(uint64_t sequence) {
  returns_.push_back(sequence);
  StartWriting();
}

// -- out -----------------------------------------------------------------------------------------

asio::awaitable<absl::StatusOr<bool>> ShmChannel::WriteSome() {
  batch_.head.clear();
  batch_.tail = {};
  batch_.fds.clear();
  batch_.left.clear();
  while (AddNext(batch_)) continue;
  if (batch_.head.empty()) co_return false;
  const absl::Status status =
      co_await ShmWrite(stream().socket(), batch_.head, batch_.tail, batch_.fds);
  if (!status.ok()) co_return status;
  for (const uint64_t token : batch_.left) Left(token);
  co_return true;
}

// What comes back first, so that a grant never overtakes the return of what filled its slot.
bool ShmChannel::AddNext(Batch& batch) {
  const bool full = batch.head.size() + 2 * kFrameHeaderBytes + sizeof(ShmPlace) > kBatchBytes ||
                    batch.fds.size() == kShmFdsMax || !batch.tail.empty();
  if (full) return false;
  if (!returns_.empty()) {
    FrameHeader header = flow().Blank(FrameKind::kReturn);
    header.step = returns_.front();
    returns_.pop_front();
    Add(header, {}, {}, batch);
    return true;
  }
  std::optional<OutgoingFrame> frame = flow().Next();
  if (!frame.has_value()) return false;
  if (frame->header.length > 0) {
    AddPayload(*frame, batch);
  } else {
    Add(frame->header, {}, {}, batch);
    if (frame->token.has_value()) batch.left.push_back(*frame->token);
  }
  return true;
}

void ShmChannel::AddPayload(OutgoingFrame& frame, Batch& batch) {
  const std::span<const std::byte> payload(frame.payload, frame.header.length);
  const std::shared_ptr<SharedSegment> segment =
      payload.size() < kShmInlineMax ? nullptr
                                     : SharedSegment::Holding(payload.data(), payload.size());
  if (segment != nullptr) {
    const ShmPlace place = {.segment = NumberOf(segment, batch),
                            .lend = frame.lend ? 1u : 0u,
                            .offset = static_cast<uint64_t>(payload.data() - segment->data())};
    Add(frame.header, BytesOf(place), {}, batch);
    awaited_.emplace(frame.header.sequence, *frame.token);
    return;
  }
  Add(frame.header, BytesOf(ShmPlace()), payload, batch);
  batch.left.push_back(*frame.token);
}

void ShmChannel::Add(FrameHeader& header, std::span<const std::byte> place,
                     std::span<const std::byte> payload, Batch& batch) {
  const HeaderBytes bytes = flow().Seal(header, place, payload);
  batch.head.insert(batch.head.end(), bytes.begin(), bytes.end());
  batch.head.insert(batch.head.end(), place.begin(), place.end());
  if (payload.size() < kShmInlineMax) {
    batch.head.insert(batch.head.end(), payload.begin(), payload.end());
  } else {
    batch.tail = payload;
  }
}

uint32_t ShmChannel::NumberOf(const std::shared_ptr<SharedSegment>& segment, Batch& batch) {
  const auto known = std::find(ours_.begin(), ours_.end(), segment);
  const auto number = static_cast<uint32_t>(known - ours_.begin());
  if (known != ours_.end()) return number;
  ours_.push_back(segment);
  FrameHeader header = flow().Blank(FrameKind::kSegment);
  header.tile = number;
  Add(header, {}, {}, batch);
  batch.fds.push_back(segment->fd());
  return number;
}

}  // namespace waferstream
