// A channel between two processes of one host: headers travel, payloads are read where they lie.
// Private to the adapters: users see ChannelEnd.
//
// On a Unix socket, after Hello, a frame is its 64-byte header; where it has a payload, a
// ShmPlace follows. That says in which segment of the sender's memory (base/shared_segment.h) the
// payload lies; the checksum covers header and place. A payload that lies in no segment, or is
// smaller than kShmInlineMax, follows as on TCP, under the same checksum. Before a segment is
// spoken of for the first time, a frame of kSegment brings its descriptor.
//
// Invariants:
// 1. A payload that is read in place stays as it is until its kReturn frame is back; the sender's
//    OnSent comes then. What is not lent is copied out at once, and returned.
// 2. No byte outside a segment is touched: place and length are checked against a size that is
//    sealed.
// 3. A segment stays mapped as long as this object, whatever its owner does.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/shared_segment.h"
#include "fabric/shm_socket.h"
#include "fabric/stream_channel.h"

namespace waferstream {

// Smaller payloads are not worth a return: their bytes cost less than a second frame.
inline constexpr size_t kShmInlineMax = 2048;

// Where a payload lies; little-endian, as it travels.
struct ShmPlace {
  static constexpr uint32_t kInline = 0xffffffff;  // it follows
  uint32_t segment = kInline;                      // by order of their coming
  uint32_t lend = 0;                               // 1: may be kept
  uint64_t offset = 0;
};
static_assert(sizeof(ShmPlace) == 16);

// Made by MakeChannel.
class ShmChannel final : public StreamChannel {
 public:
  ShmChannel(TcpStream stream, const ChannelTerms& terms, absl::Duration alive_every);

  void Return(uint64_t sequence) override;
  std::string carrier() const override { return "shm"; }

 private:
  // A batch of frames on their way out.
  struct Batch {
    std::vector<std::byte> head;
    std::span<const std::byte> tail;  // the payload of the last frame, if it follows
    std::vector<int> fds;
    std::vector<uint64_t> left;  // tokens of payloads that have left with it
  };

  boost::asio::awaitable<absl::Status> ReadFrame() override;
  boost::asio::awaitable<absl::Status> ReadPayload(const FrameHeader& header);
  boost::asio::awaitable<absl::Status> ReadInline(const FrameHeader& header,
                                                  std::span<std::byte> buffer, uint32_t crc);
  absl::Status TakePlaced(const FrameHeader& header, const ShmPlace& place,
                          std::span<std::byte> buffer);
  absl::Status TakeSegment(const FrameHeader& header);
  absl::Status TakeReturn(const FrameHeader& header);
  void QueueReturn(uint64_t sequence);

  boost::asio::awaitable<absl::StatusOr<bool>> WriteSome() override;
  // Adds what is due next; false: there is nothing, or no room.
  bool AddNext(Batch& batch);
  void AddPayload(OutgoingFrame& frame, Batch& batch);
  void Add(FrameHeader& header, std::span<const std::byte> place,
           std::span<const std::byte> payload, Batch& batch);
  // The segment's number here; the first time, the batch announces it.
  uint32_t NumberOf(const std::shared_ptr<SharedSegment>& segment, Batch& batch);

  ShmReader reader_;
  std::vector<std::shared_ptr<SharedSegment>> theirs_;  // by number
  std::vector<std::shared_ptr<SharedSegment>> ours_;
  std::unordered_map<uint64_t, uint64_t> awaited_;  // token by sequence: read there
  std::unordered_set<uint64_t> lent_;               // sequences: read here
  std::deque<uint64_t> returns_;
  Batch batch_;
};

}  // namespace waferstream
