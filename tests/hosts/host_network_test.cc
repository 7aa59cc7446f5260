#include "tests/hosts/host_network.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "tests/hosts/tool.h"

namespace waferstream {
namespace {

class HostNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto network = HostNetwork::Make(2, 100);
    if (absl::IsUnavailable(network.status())) GTEST_SKIP() << network.status().message();
    ASSERT_TRUE(network.ok()) << network.status();
    network_ = *std::move(network);
  }
  std::string Ask(const std::string& query) {
    return RunTool(absl::StrCat("getent ", query), network_->On(0)).value_or("");
  }
  std::unique_ptr<HostNetwork> network_;
};

TEST_F(HostNetworkTest, AHostHasANameAndTwoAddresses) {
  EXPECT_TRUE(absl::StrContains(Ask("ahostsv4 " + HostNetwork::NameOf(1)), HostNetwork::Ipv4Of(1)));
  EXPECT_TRUE(absl::StrContains(Ask("ahostsv6 " + HostNetwork::NameOf(1)), HostNetwork::Ipv6Of(1)));
  EXPECT_EQ(Ask(absl::StrCat("hosts ", HostNetwork::kNobody)), "");
  EXPECT_FALSE(ResolveHost(HostNetwork::kNobody).ok());
}

}  // namespace
}  // namespace waferstream
