// The tcp adapter under TLS: who gets in, and who does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/tls_test_files.h"
#include "fabric/tcp_fixture.h"

namespace waferstream {
namespace {

using boost::asio::ip::tcp;
using ::testing::HasSubstr;

class TcpTlsTest : public TcpTest {
 protected:
  static Credentials Of(const TlsFiles& files) {
    return {.secret = nullptr, .tls = *TlsIdentity::Load(files)};
  }
  Hello HelloOf(const std::string& role) {
    Hello hello = SomeHello();
    hello.set_role(role);
    return hello;
  }
  void ListenAs(const std::string& role) { Listen({.credentials = Of(made_.Issue(role))}); }

  // Why a dial did not succeed; the listener's line is in refused_.
  std::string Refusal(const Hello& hello, const std::string& host = "127.0.0.1") {
    dialled_.reset();
    auto dial = StartDial(listener_->port(), hello, absl::Seconds(1), host);
    EXPECT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
    EXPECT_EQ(up_.channel, nullptr);
    return std::string(dialled_.value_or(absl::OkStatus()).message());
  }
  void Exchange() {
    auto dial = StartDial(listener_->port(), HelloOf("swarmx"));
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }));
    up_.channel->Open(up_);
    down_.channel->Open(down_);
    up_.payloads = RandomPayloads({64, 1'000'000, 3});
    down_.grant_after_frame = true;
    down_.channel->Grant({.slots = {0, 1}});
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 3; }));
    EXPECT_EQ(down_.frames[1].payload, up_.payloads[1]);
  }

  const TlsTestFiles made_{"fabric"};
};

TEST_F(TcpTlsTest, WhoHasCertificatesOpensAChannel) {
  ListenAs("memoryx");
  credentials_ = Of(made_.Issue("swarmx"));
  peer_role_ = "memoryx";
  Exchange();
}

// Beside the secret, if there is one.
TEST_F(TcpTlsTest, TheSecretIsAskedForAsWell) {
  std::array<std::byte, ClusterSecret::kBytes> key = {};
  Credentials listener = Of(made_.Issue("memoryx"));
  listener.secret = std::make_shared<const ClusterSecret>(key);
  Listen({.credentials = listener});
  peer_role_ = "memoryx";
  credentials_ = Of(made_.Issue("swarmx"));
  Refusal(HelloOf("swarmx"));
  credentials_.secret = listener.secret;
  Exchange();
}

TEST_F(TcpTlsTest, WithoutACertificateNobodyIsHeard) {
  ListenAs("memoryx");
  Refusal(HelloOf("swarmx"));  // in the clear
  ASSERT_FALSE(refused_.empty());
  EXPECT_THAT(refused_[0], HasSubstr("denied: TLS"));
}

TEST_F(TcpTlsTest, WhoIsRevokedIsRefused) {
  TlsFiles mine = made_.Issue("memoryx");
  const TlsFiles stolen = made_.Issue("swarmx");
  mine.revoked = made_.Revoke({});
  Listen({.credentials = Of(mine)});
  made_.Revoke({stolen.certificate});  // while it listens
  credentials_ = Of(stolen);
  peer_role_ = "memoryx";
  Refusal(HelloOf("swarmx"));
  ASSERT_FALSE(refused_.empty());
  EXPECT_THAT(refused_[0], HasSubstr("certificate revoked"));
  credentials_ = Of(made_.Issue("swarmx"));
  Exchange();
}

TEST_F(TcpTlsTest, AnotherAuthoritysCertificateIsRefused) {
  const TlsTestFiles others("others");
  ListenAs("memoryx");
  peer_role_ = "memoryx";
  credentials_ = Of(others.Issue("swarmx"));
  EXPECT_THAT(Refusal(HelloOf("swarmx")), HasSubstr("denied: the peer's certificate"));
}

TEST_F(TcpTlsTest, AWaferCannotPoseAsMemoryX) {
  ListenAs("swarmx");
  peer_role_ = "swarmx";
  credentials_ = Of(made_.Issue("wafer"));
  Refusal(HelloOf("memoryx"));
  ASSERT_FALSE(refused_.empty());
  EXPECT_THAT(refused_[0], HasSubstr("the certificate is of role 'wafer', and claims memoryx"));
}

TEST_F(TcpTlsTest, ADiallerLooksForTheRoleThatThePlanHasThere) {
  ListenAs("wafer");
  peer_role_ = "memoryx";
  credentials_ = Of(made_.Issue("swarmx"));
  EXPECT_THAT(Refusal(HelloOf("swarmx")),
              HasSubstr("the certificate there is of role 'wafer', not memoryx"));
}

TEST_F(TcpTlsTest, ACertificateIsForItsHost) {
  Listen({.credentials = Of(made_.Issue("memoryx", absl::Hours(1), {"elsewhere.example"}))});
  peer_role_ = "memoryx";
  credentials_ = Of(made_.Issue("swarmx"));
  EXPECT_THAT(Refusal(HelloOf("swarmx")), HasSubstr("IP address mismatch"));
  EXPECT_THAT(Refusal(HelloOf("swarmx"), "localhost"), HasSubstr("hostname mismatch"));
}

// Renewed while the processes run: what begins later uses the new ones.
TEST_F(TcpTlsTest, CertificatesAreRenewedWithoutARestart) {
  const TlsFiles files = made_.Issue("memoryx", absl::Seconds(1));
  Listen({.credentials = Of(files)});
  peer_role_ = "memoryx";
  credentials_ = Of(made_.Issue("swarmx"));
  RunFor(absl::Milliseconds(2100), io_, [] { return false; });
  EXPECT_THAT(Refusal(HelloOf("swarmx")), HasSubstr("certificate has expired"));
  made_.Replace(made_.Issue("memoryx"), files);
  Exchange();
}

TEST_F(TcpTlsTest, BelowTls13NothingIsSpoken) {
  ListenAs("memoryx");
  const auto identity = *TlsIdentity::Load(made_.Issue("swarmx"));
  const auto context = identity->Context();
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  credentials_ = {.secret = nullptr, .tls = identity};
  peer_role_ = "memoryx";
  EXPECT_THAT(Refusal(HelloOf("swarmx")), HasSubstr("protocol version"));
}

// Whoever says nothing, or goes on for ever, is closed as one without a Hello is.
TEST_F(TcpTlsTest, AHandshakeThatDoesNotEndIsClosed) {
  Listen({.credentials = Of(made_.Issue("memoryx")), .hello_timeout = absl::Milliseconds(100)});
  tcp::socket socket(io_);
  socket.connect({boost::asio::ip::address_v4::loopback(), listener_->port()});
  ASSERT_TRUE(RunUntil(io_, [&] { return !refused_.empty(); }));
  EXPECT_THAT(refused_[0], HasSubstr("no Hello within 100ms"));
}

}  // namespace
}  // namespace waferstream
