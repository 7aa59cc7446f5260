// Real processes, asked as a Prometheus asks them.
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "client/ctl_harness.h"
#include "gtest/gtest.h"
#include "rpc/health_probe.h"
#include "rpc/scrape.h"

namespace waferstream {
namespace {

class MetricsTest : public testing::Test {
 protected:
  MetricsTest() : harness_("metrics") {
    harness_.WriteJob(4);
    // With a job that is over and one that runs.
    harness_.Run({"up"}, 0, [] {
      setenv("WAFERSTREAM_METRICS_PORT", "0", 1);
      setenv("WAFERSTREAM_HEALTH_PORT", "0", 1);
    });
    harness_.Run({"submit", "-f", "job.yaml", "--wait"});
  }
  ~MetricsTest() override { harness_.Run({"down"}); }

  // Its "metrics port" or "health port", by its log, as an administrator finds it.
  uint16_t PortOf(const std::string& process, const std::string& what) {
    std::ifstream log(harness_.dir() / "home/waferstream/cluster/logs" / (process + ".log"));
    const std::string before = what + " port ";
    for (std::string line; std::getline(log, line);) {
      const size_t at = line.find(before);
      if (at == std::string::npos) continue;
      const std::string rest = line.substr(at + before.size());
      uint32_t port = 0;
      EXPECT_TRUE(absl::SimpleAtoi(rest.substr(0, rest.find(' ')), &port)) << line;
      EXPECT_TRUE(absl::EndsWith(line, " on 127.0.0.1")) << line;
      return static_cast<uint16_t>(port);
    }
    ADD_FAILURE() << process << " names no " << what << " port";
    return 0;
  }
  std::string ScrapeOf(const std::string& process) {
    return Scrape("127.0.0.1", PortOf(process, "metrics"));
  }

  CtlHarness harness_;
};

TEST_F(MetricsTest, EveryProcessCountsWhatItDid) {
  const std::string controller = ScrapeOf("controller");
  EXPECT_EQ(SampleOf(controller, "waferstream_jobs{state=\"done\"}"), 1) << controller;
  EXPECT_EQ(SampleOf(controller, "waferstream_steps_committed_total"), 4);
  EXPECT_EQ(SampleOf(controller, "waferstream_epochs_total"), 1);
  const std::string wafer = ScrapeOf("wafer-0");
  EXPECT_EQ(SampleOf(wafer, "waferstream_epochs_prepared_total"), 1) << wafer;
  EXPECT_EQ(SampleOf(wafer, "waferstream_steps_total"), 4);
  EXPECT_GT(SampleOf(wafer, "waferstream_compute_seconds_total"), 0);
  for (const char* process : {"memoryx-0", "swarmx-0"}) {
    const std::string node = ScrapeOf(process);
    for (const char* name : {"waferstream_fabric_sent_bytes_total{kind=\"tile\"}",
                             "waferstream_fabric_received_frames_total{kind=\"gradient\"}"}) {
      EXPECT_GT(SampleOf(node, name), 0) << process << ": " << node;
    }
  }
}

TEST_F(MetricsTest, EveryProcessIsAliveAndReady) {
  for (const char* process : {"controller", "memoryx-0", "swarmx-0", "wafer-0", "wafer-1"}) {
    const uint16_t port = PortOf(process, "health");
    EXPECT_EQ(Ask(port, "live"), kServing) << process;
    EXPECT_TRUE(Becomes(port, "ready", kServing)) << process;
  }
}

// While a job runs, when all the families are there.
TEST_F(MetricsTest, PromtoolHasNothingToSay) {
  harness_.WriteJob(1000000);
  const auto submitted = harness_.Run({"submit", "-f", "job.yaml", "-o", "json"});
  const std::string job = submitted->json()["job"];
  const auto running = [&] { return absl::StrContains(ScrapeOf("controller"), "job_tokens_per"); };
  while (!running()) {
  }
  for (const char* process : {"controller", "memoryx-0", "swarmx-0", "wafer-0", "wafer-1"}) {
    const std::string metrics = ScrapeOf(process);
    const auto said = PromtoolSays(metrics);
    if (!said) GTEST_SKIP() << "promtool is not on the path (scripts/get_promtool.sh)";
    EXPECT_EQ(*said, "") << process << ": " << metrics;
    EXPECT_NE(metrics, "");
  }
  harness_.Run({"cancel", job});
}

}  // namespace
}  // namespace waferstream
