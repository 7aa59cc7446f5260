// What the tests of every adapter share: users of a channel's two ends, and what they say.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/arena.h"
#include "base/credit.h"
#include "fabric/channel.h"
#include "proto/fabric.pb.h"

namespace waferstream {

inline constexpr uint32_t kEpoch = 7;

// Runs the loop until `condition` holds; false after ten seconds without.
bool RunUntil(boost::asio::io_context& io, const std::function<bool()>& condition);
// The same for so long: for what should not happen.
bool RunFor(absl::Duration limit, boost::asio::io_context& io,
            const std::function<bool()>& condition);

std::vector<std::vector<std::byte>> RandomPayloads(std::initializer_list<size_t> sizes);

// What a listener of a test lets in: what AdmitSome admits.
Hello SomeHello();

// One end's user: takes every frame and remembers it.
class End : public ChannelHandler {
 public:
  struct Got {
    FrameHeader header;
    std::vector<std::byte> payload;
  };

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader& header) override;
  absl::Status OnFrame(const FrameHeader& header, const std::byte* payload) override;
  void OnCredit(const Credit& credit) override;
  void OnSent(uint64_t token) override { sent.push_back(token); }
  void OnClosed(const absl::Status& why) override { closed = why; }

  // Sends `payloads` one by one, as slots of the large class allow; out of memory that can be
  // shared.
  void SendWhatMaySend();

  std::shared_ptr<ChannelEnd> channel;
  std::vector<std::vector<std::byte>> payloads;  // to send
  bool lends = false;                            // them
  std::vector<Arena> memory;                     // where they lie
  bool keeps = false;                            // what it is lent
  size_t next = 0;
  bool grant_after_frame = false;
  absl::Status frame_status;  // what OnFrame answers
  std::vector<Got> frames;
  std::map<uint64_t, const std::byte*> lent;  // by sequence: where, of those that lie elsewhere
  Credit credits;
  std::vector<uint64_t> sent;
  std::optional<absl::Status> closed;

 private:
  std::vector<std::byte> buffer_;
};

// Admits SomeHello with windows of `slots` small slots.
absl::StatusOr<ChannelTerms> AdmitSome(const Hello& theirs, int slots);

}  // namespace waferstream
