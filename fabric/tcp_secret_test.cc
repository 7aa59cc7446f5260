// Connections of a cluster with a secret: who proves it, and who does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cluster_secret.h"
#include "base/credentials.h"
#include "fabric/hello_proof.h"
#include "fabric/tcp_fixture.h"
#include "fabric/tcp_hello.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ::testing::HasSubstr;

Credentials SecretOf(int seed) {
  std::array<std::byte, ClusterSecret::kBytes> key = {};
  key[0] = static_cast<std::byte>(seed);
  return {.secret = std::make_shared<const ClusterSecret>(key)};
}

class SecretTest : public TcpTest {
 protected:
  // Dials until the listener has refused once; the dial's last reason.
  std::string Refusal() {
    refused_.clear();
    dialled_.reset();
    auto dial = StartDial(listener_->port(), SomeHello(), absl::Milliseconds(300));
    EXPECT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
    EXPECT_EQ(up_.channel, nullptr);
    return std::string(dialled_.value_or(absl::OkStatus()).message());
  }

  // A dialler in the test's hands says `hello` after it was greeted; the listener's line.
  std::string Say(Hello hello, const std::function<void(Hello&, const std::string& nonce)>& sign) {
    TcpStream stream{TcpStream::Socket(io_)};
    stream.socket().connect(tcp::endpoint(asio::ip::address_v4::loopback(), listener_->port()));
    bool closed = false;
    refused_.clear();
    auto talk = [&]() -> asio::awaitable<void> {
      const Hello greeting = *co_await ReadHello(stream);
      sign(hello, greeting.nonce());
      (void)co_await WriteHello(stream, hello);
      closed = !(co_await ReadHello(stream)).ok();
    };
    asio::co_spawn(io_, talk, asio::detached);
    EXPECT_TRUE(RunUntil(io_, [&] { return closed && !refused_.empty(); }));
    return refused_.empty() ? "" : refused_[0];
  }
};

TEST_F(SecretTest, WhoKnowsItOpensAChannel) {
  Listen({.credentials = SecretOf(1)});
  credentials_ = SecretOf(1);
  OpenChannel();
  up_.payloads = RandomPayloads({64});
  down_.channel->Grant({.slots = {0, 1}});
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 1; }));
}

TEST_F(SecretTest, WhoDoesNotIsClosedWithOneLine) {
  Listen({.credentials = SecretOf(1)});
  for (const Credentials& theirs : {Credentials(), SecretOf(2)}) {
    credentials_ = theirs;
    Refusal();
    ASSERT_FALSE(refused_.empty());
    EXPECT_THAT(refused_[0], HasSubstr("denied: no proof of the cluster's secret"));
  }
}

TEST_F(SecretTest, AListenerThatDoesNotIsLeft) {
  Listen({.credentials = SecretOf(2)});
  credentials_ = SecretOf(1);
  Refusal();
  // One that lets everybody in and answers all that it hears.
  tcp::acceptor liar(io_, {asio::ip::address_v4::loopback(), 0});
  auto serve = [&]() -> asio::awaitable<void> {
    TcpStream stream{co_await liar.async_accept(asio::use_awaitable)};
    Hello greeting;
    greeting.set_nonce("n");
    (void)co_await WriteHello(stream, greeting);
    (void)co_await WriteHello(stream, *co_await ReadHello(stream));
    (void)co_await ReadHello(stream);
  };
  asio::co_spawn(io_, serve, asio::detached);
  dialled_.reset();
  auto dial = StartDial(liar.local_endpoint().port(), SomeHello(), absl::Milliseconds(10));
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
  EXPECT_THAT(std::string(dialled_->message()), HasSubstr("does not know the cluster's secret"));
}

TEST_F(SecretTest, AProofHoldsForOneConnectionOnePortAndAllThatIsSaid) {
  const Credentials ours = SecretOf(1);
  const auto sign = [&](Hello& hello, const std::string& nonce) {
    hello.set_nonce("mine");
    hello.set_port(listener_->port());
    hello.set_proof(DiallerProof(*ours.secret, hello, {.listener = nonce, .dialler = "mine"}));
  };
  Listen({.credentials = ours});
  EXPECT_THAT(Say(SomeHello(), [](Hello&, const std::string&) {}), HasSubstr("denied"));
  EXPECT_THAT(Say(SomeHello(), [&](Hello& hello, const std::string&) { sign(hello, "older"); }),
              HasSubstr("denied"));
  EXPECT_THAT(
      Say(SomeHello(),
          [&](Hello& hello, const std::string& nonce) {
            hello.set_port(1);
            hello.set_proof(DiallerProof(*ours.secret, hello, {.listener = nonce, .dialler = ""}));
          }),
      HasSubstr("denied"));
  EXPECT_THAT(Say(SomeHello(),
                  [&](Hello& hello, const std::string& nonce) {
                    hello.set_nonce("mine");
                    hello.set_port(listener_->port());
                    hello.set_proof(
                        ListenerProof(*ours.secret, hello, {.listener = nonce, .dialler = "mine"}));
                  }),
              HasSubstr("denied"));
  const std::vector<std::function<void(Hello&)>> changes = {
      [](Hello& h) { h.set_job_id("job-2"); },  [](Hello& h) { h.set_epoch(8); },
      [](Hello& h) { h.set_plan_hash(1); },     [](Hello& h) { h.set_channel(4); },
      [](Hello& h) { h.set_node_id("other"); }, [](Hello& h) { h.set_nonce("yours"); }};
  for (const auto& change : changes) {
    EXPECT_THAT(Say(SomeHello(),
                    [&](Hello& hello, const std::string& nonce) {
                      sign(hello, nonce);
                      change(hello);
                    }),
                HasSubstr("denied"));
  }
}

TEST_F(SecretTest, WhereAProxyStandsBeforeThePortItIsTheProxys) {
  Listen({.advertised_port = 1, .credentials = SecretOf(1)});
  credentials_ = SecretOf(1);
  Refusal();
  ASSERT_FALSE(refused_.empty());
  EXPECT_THAT(refused_[0], HasSubstr("denied"));
}

}  // namespace
}  // namespace waferstream
