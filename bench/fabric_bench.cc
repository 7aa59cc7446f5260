// Loopback bandwidth of the tcp adapter, in the clear and under TLS: one sender, one receiver, one
// thread each, frames with checksums, against credits as a role grants them. Prints one line a
// frame size. The processor time (both ends, kernel included) hardly moves when the machine is
// busy; the bandwidth does.
#include <sys/resource.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/certificate.h"
#include "base/credentials.h"
#include "fabric/tcp_dial.h"
#include "fabric/tcp_listener.h"

namespace waferstream {
namespace {

constexpr int kWindow = 4;  // receive slots
const ChannelTerms kTerms{.epoch = 1, .peer_window = {{kWindow, 0}}};

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double ProcessorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}

// Sends `frames` frames as the peer grants, then waits for the peer to close.
class Sender final : public ChannelHandler {
 public:
  Sender(size_t bytes, int frames) : payload_(bytes, std::byte{1}), left_(frames) {}
  void Begin(std::shared_ptr<ChannelEnd> channel) {
    channel_ = std::move(channel);
    channel_->Open(*this);
  }
  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader&) override {
    return absl::InternalError("nothing is sent this way");
  }
  absl::Status OnFrame(const FrameHeader&, const std::byte*) override { return absl::OkStatus(); }
  void OnCredit(const Credit& credit) override {
    for (int i = 0; i < credit.slots[kLarge] && left_ > 0; ++i, --left_) {
      FrameHeader header;
      header.epoch = kTerms.epoch;
      header.length = payload_.size();
      channel_->Send(header, payload_.data(), 0, false);
    }
  }
  void OnSent(uint64_t) override {}
  void OnClosed(const absl::Status&) override { channel_ = nullptr; }

 private:
  std::shared_ptr<ChannelEnd> channel_;
  std::vector<std::byte> payload_;
  int left_;
};

// Takes `frames` frames, granting each slot again at once; then closes.
class Receiver final : public ChannelHandler {
 public:
  Receiver(size_t bytes, int frames) : buffer_(bytes), left_(frames) {}
  void Begin(std::shared_ptr<ChannelEnd> channel) {
    channel_ = std::move(channel);
    channel_->Open(*this);
    begun_s = Seconds();
    channel_->Grant({.slots = {0, kWindow}});
  }
  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader&) override {
    return std::span<std::byte>(buffer_);
  }
  absl::Status OnFrame(const FrameHeader&, const std::byte*) override {
    if (--left_ > 0) {
      channel_->Grant({.slots = {0, 1}});
    } else {
      ended_s = Seconds();
      channel_->Close();
    }
    return absl::OkStatus();
  }
  void OnCredit(const Credit&) override {}
  void OnSent(uint64_t) override {}
  void OnClosed(const absl::Status& why) override {
    Require(why);
    channel_ = nullptr;
  }

  double begun_s = 0;
  double ended_s = 0;

 private:
  std::shared_ptr<ChannelEnd> channel_;
  std::vector<std::byte> buffer_;
  int left_;
};

// The listening side: one channel, on its own thread.
class Listening final : public AcceptHandler {
 public:
  Listening(Sender& sender, const Credentials& credentials) : sender_(sender) {
    auto listener = TcpListener::Create(io_, {.credentials = credentials}, *this);
    Require(listener.status());
    listener_ = *std::move(listener);
    port = listener_->port();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Listening() override { thread_.join(); }

  absl::StatusOr<ChannelTerms> Admit(const Hello&) override { return kTerms; }
  void OnChannel(const Hello&, std::shared_ptr<ChannelEnd> channel) override {
    sender_.Begin(std::move(channel));
    listener_ = nullptr;  // no more work but the channel's, so run() returns at its end
  }
  void OnRefused(const std::string& line) override { Require(absl::InternalError(line)); }

  uint16_t port = 0;

 private:
  Sender& sender_;
  boost::asio::io_context io_{1};
  std::unique_ptr<TcpListener> listener_;
  std::thread thread_;
};

// Certificates in a folder that lasts as long as this object.
class TestCertificates {
 public:
  TestCertificates() {
    const CertificatePem authority = *MakeAuthority("bench", absl::Hours(1));
    const CertificatePem pem =
        *Issue(authority,
               {.name = "bench", .role = "wafer", .hosts = {"127.0.0.1"}, .valid = absl::Hours(1)});
    for (const auto& [name, text] :
         {std::pair<const char*, std::string>{"ca", authority.certificate},
          {"crt", pem.certificate},
          {"key", pem.key}}) {
      std::ofstream(dir_ / name) << text;
      chmod((dir_ / name).c_str(), 0400);
    }
  }
  ~TestCertificates() {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  Credentials credentials() const {
    auto identity = TlsIdentity::Load(
        {.certificate = dir_ / "crt", .key = dir_ / "key", .authority = dir_ / "ca"});
    Require(identity.status());
    return {.secret = nullptr, .tls = *std::move(identity)};
  }

 private:
  static std::filesystem::path MakeFolder() {
    std::string path = "/tmp/fabric-bench-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) Require(absl::UnavailableError(path));
    return path;
  }

  const std::filesystem::path dir_ = MakeFolder();
};

void Measure(const Credentials& credentials, size_t bytes, int frames) {
  const double processor_s = ProcessorSeconds();
  Sender sender(bytes, frames);
  Receiver receiver(bytes, frames);
  Listening listening(sender, credentials);
  boost::asio::io_context io(1);
  Hello hello;
  hello.set_role("wafer");
  const auto dial = StartTcpDial(io,
                                 {.host = "127.0.0.1",
                                  .port = listening.port,
                                  .hello = hello,
                                  .terms = kTerms,
                                  .timeout = absl::Seconds(5),
                                  .peer_role = "wafer"},
                                 {.credentials = credentials},
                                 [&](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
                                   Require(channel.status());
                                   receiver.Begin(*std::move(channel));
                                 });
  io.run();
  const double seconds = receiver.ended_s - receiver.begun_s;
  const double gigabytes = static_cast<double>(bytes) * frames / 1e9;
  std::printf("%s %8zu bytes a frame: %6.2f GB/s, %9.0f frames/s, %6.3f processor seconds a GB\n",
              credentials.tls == nullptr ? "tcp    " : "TLS 1.3", bytes, gigabytes / seconds,
              frames / seconds, (ProcessorSeconds() - processor_s) / gigabytes);
}

}  // namespace
}  // namespace waferstream

int main() {
  const waferstream::TestCertificates certificates;
  // In turn, so that a slow phase of a shared machine meets both.
  for (const auto& [bytes, frames] :
       {std::pair<size_t, int>{size_t{4} << 20, 500}, {size_t{256} << 10, 4000}, {4096, 30000}}) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      waferstream::Measure({}, bytes, frames);
      waferstream::Measure(certificates.credentials(), bytes, frames);
    }
  }
}
