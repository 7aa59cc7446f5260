// What only channels between processes of one host have: payloads that are read where they lie,
// memory that goes from hand to hand, and peers who describe it wrongly.
#include "fabric/shm_channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/shared_segment.h"
#include "base/version.h"
#include "fabric/frame.h"
#include "fabric/tcp_fixture.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ShmTest : public TcpTest {
 protected:
  // Lends one payload of `bytes` downwards, which the receiver keeps.
  void LendOne(size_t bytes) {
    Listen();
    OpenChannel();
    up_.payloads = RandomPayloads({bytes});
    up_.lends = true;
    down_.keeps = true;
    down_.channel->Grant({.slots = {0, 1}});
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 1; }));
  }
};

size_t EntriesOf(const char* folder) {
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) entries += entry.exists();
  return entries;
}

// -- payloads ------------------------------------------------------------------------------------

TEST_F(ShmTest, WhatIsLentIsReadWhereItLiesUntilItIsReturned) {
  LendOne(1 << 20);
  ASSERT_THAT(down_.lent, SizeIs(1));
  const auto& [sequence, payload] = *down_.lent.begin();
  EXPECT_EQ(down_.frames[0].payload, up_.payloads[0]);
  up_.memory[0].Claim(0, 1)[0] ^= std::byte{1};  // one memory, two addresses
  EXPECT_EQ(payload[0], up_.payloads[0][0] ^ std::byte{1});
  EXPECT_FALSE(RunFor(absl::Milliseconds(100), io_, [&] { return !up_.sent.empty(); }));
  down_.channel->Return(sequence);
  EXPECT_TRUE(RunUntil(io_, [&] { return up_.sent.size() == 1; }));
}

TEST_F(ShmTest, WhatIsNotLentOrSmallIsCopied) {
  Listen();
  OpenChannel();
  up_.payloads = RandomPayloads({1 << 20, kShmInlineMax - 1, kShmInlineMax});
  down_.keeps = true;
  down_.channel->Grant({.slots = {0, 3}});
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.sent.size() == 3; }));
  EXPECT_THAT(down_.lent, IsEmpty());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(down_.frames[i].payload, up_.payloads[i]);
}

// More than any socket buffer holds, and no memory that could be shared.
TEST_F(ShmTest, PrivateMemoryFollowsItsFrame) {
  Listen();
  OpenChannel();
  const auto payloads = RandomPayloads({16 << 20, 5000});
  down_.channel->Grant({.slots = {0, 2}});
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.credits.slots[kLarge] == 2; }));
  for (const auto& payload : payloads) {
    FrameHeader header;
    header.epoch = kEpoch;
    header.length = payload.size();
    up_.channel->Send(header, payload.data(), 0, true);
  }
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 2; }));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(down_.frames[i].payload, payloads[i]);
  EXPECT_THAT(down_.lent, IsEmpty());
}

TEST_F(ShmTest, WhatIsLentIsLentOn) {
  LendOne(1 << 20);
  const std::byte* const lent = down_.lent.begin()->second;
  up_.channel->Grant({.slots = {0, 1}});
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.credits.slots[kLarge] == 1; }));
  FrameHeader header;
  header.kind = FrameKind::kGradient;
  header.epoch = kEpoch;
  header.length = up_.payloads[0].size();
  down_.channel->Send(header, lent, 9, true);
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.sent.size() == 1; }));
  EXPECT_EQ(up_.frames.at(0).payload, up_.payloads[0]);
  EXPECT_THAT(up_.lent, SizeIs(1));
}

TEST_F(ShmTest, AReaderGoesOnWhenTheWriterIsGone) {
  LendOne(1 << 20);
  const std::byte* const lent = down_.lent.begin()->second;
  up_.channel->Close();
  up_.memory.clear();
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed && down_.closed; }));
  up_.channel = nullptr;
  EXPECT_TRUE(std::equal(up_.payloads[0].begin(), up_.payloads[0].end(), lent));
}

TEST_F(ShmTest, NothingIsLeftBehind) {
  const size_t before = EntriesOf("/proc/self/fd"), files = EntriesOf("/dev/shm");
  for (int repeat = 0; repeat < 3; ++repeat) {
    LendOne(1 << 20);
    for (End* end : {&up_, &down_}) end->channel->Close();
    ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed && down_.closed; }));
    listener_ = nullptr;
    up_ = End();
    down_ = End();
    while (io_.poll_one() > 0) continue;
  }
  // The loop's own, which it makes when it is first used.
  EXPECT_LE(EntriesOf("/proc/self/fd"), before + 3);
  EXPECT_EQ(EntriesOf("/dev/shm"), files);
}

// -- peers in the test's hands -------------------------------------------------------------------

// A dialler that says Hello as it should, and then whatever the test wants.
class BadPeerTest : public TcpTest {
 protected:
  void SetUp() override {
    Listen();
    peer_.connect(ShmEndpoint(listener_->port()));
    Hello hello = SomeHello();
    hello.set_protocol_version(NewestProtocol());
    const std::string text = hello.SerializeAsString();
    FrameHeader header;
    header.kind = FrameKind::kHello;
    header.length = text.size();
    Say(header, std::as_bytes(std::span(text)));
    ASSERT_TRUE(RunUntil(io_, [&] { return up_.channel != nullptr; }));
    up_.channel->Open(up_);
    up_.channel->Grant({.slots = {0, 4}});
  }

  // `behind`: what follows the header, and is under its checksum.
  void Say(FrameHeader header, std::span<const std::byte> behind = {}, int fd = -1) {
    header.epoch = kEpoch;
    header.sequence = sequence_++;
    header.crc = Crc32c(HeaderCrc(header), behind.data(), behind.size());
    const HeaderBytes head = Encode(header);
    std::vector<std::byte> bytes(head.begin(), head.end());
    bytes.insert(bytes.end(), behind.begin(), behind.end());
    Write(bytes, fd);
  }

  void Place(uint32_t segment, uint64_t offset, uint64_t length) {
    const ShmPlace place = {.segment = segment, .lend = 1, .offset = offset};
    FrameHeader header;
    header.kind = FrameKind::kGradient;
    header.length = length;
    Say(header, std::as_bytes(std::span(&place, 1)));
  }

  void Announce(int fd, uint32_t number = 0) {
    FrameHeader header;
    header.kind = FrameKind::kSegment;
    header.tile = number;
    Say(header, {}, fd);
  }

  std::string WhyClosed() {
    EXPECT_TRUE(RunUntil(io_, [&] { return up_.closed.has_value(); }));
    return std::string(up_.closed.value_or(absl::OkStatus()).message());
  }

  int segment_fd() { return SharedSegment::Holding(memory_.Claim(0, 1).data(), 1)->fd(); }

  Arena memory_ = *Arena::CreateLent(8192);
  stream_protocol::socket peer_{io_};

 private:
  void Write(std::vector<std::byte>& bytes, int fd) {
    iovec part = {bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof fd);
      std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ASSERT_EQ(sendmsg(peer_.native_handle(), &message, MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  uint64_t sequence_ = 0;
};

TEST_F(BadPeerTest, WhatLiesInItsSegmentIsTaken) {
  Announce(segment_fd());
  Place(0, 4096, 4096);
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.frames.size() == 1; }));
  EXPECT_FALSE(up_.closed.has_value());
}

TEST_F(BadPeerTest, ASegmentThatIsNotThereIsRefused) {
  Announce(segment_fd());
  Place(1, 0, 4096);
  EXPECT_THAT(WhyClosed(), HasSubstr("lies outside the peer's memory: segment 1"));
}

TEST_F(BadPeerTest, ALengthBeyondTheSegmentIsRefused) {
  Announce(segment_fd());
  Place(0, 4097, 4096);
  EXPECT_THAT(WhyClosed(), HasSubstr("lies outside the peer's memory"));
}

TEST_F(BadPeerTest, AnOffsetThatWrapsAroundIsRefused) {
  Announce(segment_fd());
  Place(0, ~uint64_t{0} - 100, 4096);
  EXPECT_THAT(WhyClosed(), HasSubstr("lies outside the peer's memory"));
}

TEST_F(BadPeerTest, ASegmentWithoutItsDescriptorIsRefused) {
  Announce(-1);
  EXPECT_THAT(WhyClosed(), HasSubstr("a segment without its descriptor"));
}

TEST_F(BadPeerTest, ASegmentOutOfTurnIsRefused) {
  Announce(segment_fd(), 1);
  EXPECT_THAT(WhyClosed(), HasSubstr("segment 1, epoch 7 is not the next"));
}

TEST_F(BadPeerTest, MemoryThatCouldShrinkIsRefused) {
  const Fd unsealed(memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(unsealed.get(), 8192), 0);
  Announce(unsealed.get());
  EXPECT_THAT(WhyClosed(), HasSubstr("no sealed memory"));
}

TEST_F(BadPeerTest, AReturnOfWhatWasNotLentIsRefused) {
  FrameHeader header;
  header.kind = FrameKind::kReturn;
  header.step = 3;
  Say(header);
  EXPECT_THAT(WhyClosed(), HasSubstr("return of frame 3, epoch 7, which is not there"));
}

TEST_F(BadPeerTest, ADamagedPlaceIsNoticedBeforeItIsUsed) {
  Announce(segment_fd());
  ShmPlace place = {.segment = 0, .lend = 1, .offset = 0};
  FrameHeader header;
  header.kind = FrameKind::kGradient;
  header.length = 4096;
  Say(header, std::as_bytes(std::span(&place, 1)).first(8));  // the crc of half of it
  const uint64_t offset = 4096;
  asio::write(peer_, asio::buffer(&offset, sizeof offset));
  EXPECT_THAT(WhyClosed(), HasSubstr("checksum mismatch"));
}

TEST_F(BadPeerTest, DescriptorsWithoutFramesAreBounded) {
  FrameHeader alive;
  alive.kind = FrameKind::kCredit;
  for (int i = 0; i < 100 && !up_.closed; ++i) {
    Say(alive, {}, segment_fd());
    while (io_.poll_one() > 0) continue;
  }
  EXPECT_THAT(WhyClosed(), HasSubstr("descriptors without frames"));
}

TEST_F(BadPeerTest, WhoSaysNothingForFiveBeatsIsLeft) {
  EXPECT_FALSE(up_.closed.has_value());
  EXPECT_THAT(WhyClosed(), HasSubstr("nothing has come through it for 5s"));
}

// -- strangers -----------------------------------------------------------------------------------

TEST_F(ShmTest, AnotherUsersProcessIsClosedUnheard) {
  Listen();
  const stream_protocol::endpoint endpoint = ShmEndpoint(listener_->port());
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (setresuid(65534, 65534, 65534) != 0) _exit(2);
    const bool went = connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0;
    _exit(went && read(fd, &byte, 1) == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_TRUE(RunUntil(io_, [&] { return waitpid(child, &status, WNOHANG) == child; }));
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "needs root, to be somebody else";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_THAT(refused_.at(0), HasSubstr("is of user 65534"));
}

// Somebody took the name first: the peer is reached as if there were none.
TEST_F(ShmTest, ANameOfSomebodyElsesIsNoObstacle) {
  Listen();
  const uint16_t port = listener_->port();
  listener_ = nullptr;
  while (io_.poll_one() > 0) continue;
  stream_protocol::acceptor squatter(io_, ShmEndpoint(port));
  Listen({.port = port});
  auto dial = StartDial(port, SomeHello());
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }));
  EXPECT_EQ(dynamic_cast<ShmChannel*>(down_.channel.get()), nullptr);
  up_.channel->Open(up_);
  down_.channel->Open(down_);
}

// -- told to -------------------------------------------------------------------------------------

TEST_F(ShmTest, WhoIsToldToShareMemoryNeverFallsBack) {
  Listen();
  const auto dial = [&](const std::string& host, uint16_t port) {
    std::string why;
    auto pending = StartTcpDial(io_,
                                {.host = host,
                                 .port = port,
                                 .hello = SomeHello(),
                                 .terms = {.epoch = kEpoch},
                                 .timeout = absl::Milliseconds(100)},
                                {.kind = FabricKind::kShm},
                                [&](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
                                  why = std::string(channel.status().message()) + ".";
                                });
    EXPECT_TRUE(RunUntil(io_, [&] { return !why.empty(); }));
    return why;
  };
  EXPECT_THAT(dial("192.0.2.1", 7), HasSubstr("fabric shm: not an address of this host"));
  asio::ip::tcp::acceptor tcp_alone(io_, {asio::ip::address_v4::loopback(), 0});
  EXPECT_THAT(dial("127.0.0.1", tcp_alone.local_endpoint().port()),
              HasSubstr("Connection refused"));
}

}  // namespace
}  // namespace waferstream
