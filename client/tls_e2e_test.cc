// A cluster whose processes know one another by certificate, and a user's: real processes.
#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "client/tls_cluster.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using TlsE2eTest = TlsCluster;

TEST_F(TlsE2eTest, ACompleteClusterTrainsUnderTls) {
  harness_.WriteJob(4);
  const auto clear = harness_.Run({"run", "-f", "job.yaml", "-o", "json"})->json();
  StartController();
  StartNodes();
  const auto job =
      harness_.Run(AsUser({"submit", "-f", "job.yaml", "--wait", "-o", "json"}))->json();
  EXPECT_EQ(job["weights_hash"], clear["weights_hash"]);
  EXPECT_EQ(job["optimizer_hash"], clear["optimizer_hash"]);
}

TEST_F(TlsE2eTest, ANodeWithAnothersCertificateIsRefused) {
  StartController();
  CtlCall& posing = StartNode("memoryx", "m0", "wafer");
  EXPECT_EQ(posing.Wait(), 2);
  EXPECT_THAT(posing.err(), HasSubstr("wafer.crt is of role wafer, and this process is memoryx"));
  processes_.pop_back();
}

TEST_F(TlsE2eTest, WithoutTheUsersCertificateNobodyIsServed) {
  StartController();
  harness_.Run({"list", "--controller", address_}, 4);
  EXPECT_NE(harness_.Start(By("wafer", {"list", "--controller", address_}))->Wait(), 0);
  harness_.Run(AsUser({"list"}));
}

TEST_F(TlsE2eTest, WhoIsRevokedIsNotServed) {
  StartController({"--tls-crl", Certs() + "/ca.crl"});
  harness_.Run(AsUser({"list"}));
  EXPECT_EQ(harness_.Run({"certs", "revoke", "--dir", Certs(), "--name", "user"})->out(),
            Certs() + "/ca.crl\n");
  harness_.Run(AsUser({"list"}), 4);
  // Nor does whoever asks for the list believe itself.
  EXPECT_THAT(harness_.Run(AsUser({"list", "--tls-crl", Certs() + "/ca.crl"}), 2)->err(),
              HasSubstr("user.crt: is revoked, by " + Certs() + "/ca.crl"));
  harness_.Run({"certs", "issue", "--dir", Certs(), "--role", "user", "--name", "other"});
  harness_.Run(By("other", {"list", "--controller", address_}));
}

TEST_F(TlsE2eTest, FilesAreCheckedBeforeAnythingStarts) {
  const auto refusal = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"list", "--controller", "127.0.0.1:1"});
    const auto call = harness_.Run(flags, 2);
    return call->err();
  };
  EXPECT_THAT(refusal({"--tls-cert", Certs() + "/user.crt"}),
              HasSubstr("--tls-ca: is missing beside --tls-cert"));
  EXPECT_THAT(refusal({"--tls-cert", Certs() + "/user.crt", "--tls-key", Certs() + "/wafer.key",
                       "--tls-ca", Certs() + "/ca.crt"}),
              HasSubstr("wafer.key: is not the private key of"));
  EXPECT_THAT(refusal(By("wafer", {})), HasSubstr("is of role wafer, and this process is user"));
}

TEST_F(TlsE2eTest, CertsAreNotMadeTwiceNorForNothing) {
  EXPECT_THAT(harness_.Run({"certs", "init", "--dir", Certs()}, 1)->err(),
              HasSubstr("ca.key: File exists"));
  const std::vector<std::string> issue = {"certs",  "issue", "--dir", Certs(),
                                          "--name", "x",     "--role"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), issue.begin(), issue.end());
    return harness_.Run(more, 2)->err();
  };
  EXPECT_THAT(with({"root"}), HasSubstr("--role: \"root\" must be one of"));
  EXPECT_THAT(with({"wafer", "--host", "a,b"}), HasSubstr("host: a,b: not a name or address"));
  EXPECT_THAT(with({"wafer", "--days", "0"}), HasSubstr("--days"));
  EXPECT_FALSE(fs::exists(fs::path(Certs()) / "x.key"));
}

}  // namespace
}  // namespace waferstream
