// Asked as Kubernetes' probes ask: by name of the standard method, on real sockets.
#include "rpc/health_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rpc/health_probe.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

class HealthServerTest : public ::testing::Test {
 protected:
  void Start(absl::Duration silence_max = absl::Minutes(10)) {
    auto server = HealthServer::Start({.ask =
                                           [this](const std::function<void(bool)>& answer) {
                                             if (answers_) answer(ready_);
                                           },
                                       .silence_max = silence_max,
                                       .ask_every = absl::Milliseconds(5)});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::atomic<bool> answers_ = true;
  std::atomic<bool> ready_ = false;
  std::unique_ptr<HealthServer> server_;
};

TEST_F(HealthServerTest, ReadyIsWhatTheLoopSaysAndLiveThatItSpeaks) {
  Start();
  EXPECT_EQ(Ask(server_->port(), ""), kServing);
  EXPECT_EQ(Ask(server_->port(), "live"), kServing);
  EXPECT_EQ(Ask(server_->port(), "ready"), kNotServing);
  EXPECT_EQ(Ask(server_->port(), "other"), kUnknownService);
  ready_ = true;
  EXPECT_TRUE(Becomes(server_->port(), "ready", kServing));
  ready_ = false;
  EXPECT_TRUE(Becomes(server_->port(), "ready", kNotServing));
  EXPECT_EQ(Ask(server_->port(), "live"), kServing);
}

TEST_F(HealthServerTest, ALoopThatIsSilentHangs) {
  ready_ = true;
  answers_ = false;
  Start(absl::Milliseconds(50));
  EXPECT_TRUE(Becomes(server_->port(), "live", kNotServing));
  EXPECT_TRUE(Becomes(server_->port(), "", kNotServing));
  EXPECT_EQ(Ask(server_->port(), "ready"), kNotServing);
}

TEST_F(HealthServerTest, APortThatIsTakenIsNamed) {
  Start();
  const auto second = HealthServer::Start({.port = server_->port(), .ask = [](const auto&) {}});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(
      std::string(second.status().message()),
      HasSubstr(absl::StrCat("--health-port: cannot listen on 127.0.0.1:", server_->port())));
}

// It would otherwise be asked on every other port as well, by whoever reaches that.
TEST_F(HealthServerTest, TheSwitchIsOffAgain) {
  Start();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const auto other = builder.BuildAndStart();
  EXPECT_EQ(other->GetHealthCheckService(), nullptr);
}

}  // namespace
}  // namespace waferstream
