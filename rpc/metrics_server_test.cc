#include "rpc/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/tls_test_files.h"
#include "rpc/listening.h"
#include "rpc/scrape.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

absl::StatusOr<std::unique_ptr<MetricsServer>> Serve(const std::string& listen, uint16_t port = 0) {
  return MetricsServer::Start(
      {.listen = listen, .port = port, .process = "wafer", .collect = [] {
         prometheus::MetricFamily jobs = GaugeFamily("jobs", "Jobs");
         AddSample(jobs, 3, {{"name", "a\"\\\nb"}});
         return MetricFamilies{jobs, CounterOf("steps_total", "Steps", 1e15)};
       }});
}

TEST(MetricsServerTest, AnswersWithWhatIsCollected) {
  const auto server = Serve("127.0.0.1");
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string metrics = Scrape("127.0.0.1", (*server)->port());
  EXPECT_THAT(metrics, HasSubstr("# TYPE waferstream_jobs gauge\n"));
  EXPECT_EQ(SampleOf(metrics, "waferstream_jobs{name=\"a\\\"\\\\\\nb\"}"), 3) << metrics;
  EXPECT_EQ(SampleOf(metrics, "waferstream_steps_total"), 1e15);
  EXPECT_THAT(metrics, HasSubstr("waferstream_build_info{process=\"wafer\",version=\""));
  EXPECT_GT(SampleOf(metrics, "process_start_time_seconds").value_or(0), 1.7e9);
  EXPECT_THAT(Scrape("127.0.0.1", (*server)->port(), "/"), HasSubstr(" 404 "));
  EXPECT_EQ(Scrape("127.0.0.1", (*server)->port(), "/" + std::string(1 << 14, 'x')), "");
}

TEST(MetricsServerTest, PromtoolHasNothingToSay) {
  const auto server = Serve("127.0.0.1");
  ASSERT_TRUE(server.ok()) << server.status();
  const auto said = PromtoolSays(Scrape("127.0.0.1", (*server)->port()));
  if (!said) GTEST_SKIP() << "promtool is not on the path (scripts/get_promtool.sh)";
  EXPECT_EQ(*said, "");
}

TEST(MetricsServerTest, ListensOnItsAddressAlone) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    const auto server = Serve(address);
    ASSERT_TRUE(server.ok()) << server.status();
    const std::vector<std::string> listening = ListeningAddresses(getpid());
    EXPECT_THAT(listening, SizeIs(1));
    for (const std::string& where : listening) EXPECT_TRUE(IsLoopbackHex(where)) << where;
    EXPECT_NE(Scrape(address, (*server)->port()), "");
  }
  EXPECT_THAT(ListeningAddresses(getpid()), SizeIs(0)) << "its end is the port's";
}

TEST(MetricsServerTest, UnderTlsAUsersCertificateIsAskedFor) {
  const TlsTestFiles files("metrics");
  const TlsTestFiles others("others");
  const auto identity = [](const TlsFiles& of) { return *TlsIdentity::Load(of); };
  const auto server = MetricsServer::Start({.listen = "127.0.0.1",
                                            .process = "wafer",
                                            .tls = identity(files.Issue("wafer")),
                                            .collect = [] { return MetricFamilies(); }});
  ASSERT_TRUE(server.ok()) << server.status();
  const uint16_t port = (*server)->port();
  EXPECT_THAT(ScrapeTls(*identity(files.Issue("user")), "127.0.0.1", port),
              HasSubstr("waferstream_build_info"));
  EXPECT_THAT(ScrapeTls(*identity(files.Issue("memoryx")), "127.0.0.1", port), HasSubstr(" 403 "));
  EXPECT_EQ(ScrapeTls(*identity(others.Issue("user")), "127.0.0.1", port), "");
  EXPECT_THAT(Scrape("127.0.0.1", port), Not(HasSubstr("waferstream"))) << "in the clear";
}

TEST(MetricsServerTest, APortInUseIsNamed) {
  const auto server = Serve("127.0.0.1");
  ASSERT_TRUE(server.ok()) << server.status();
  const auto second = Serve("127.0.0.1", (*server)->port());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(
      std::string(second.status().message()),
      absl::StrCat("metrics port ", (*server)->port(), ": 127.0.0.1: Address already in use"));
}

}  // namespace
}  // namespace waferstream
