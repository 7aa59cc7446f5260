// What cert-manager is asked for is what the processes ask of one another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "base/certificate.h"
#include "rpc/tls.h"

namespace waferstream {
namespace {

using ::testing::UnorderedElementsAre;
using Strings = std::vector<std::string>;

// By the role in its URI.
std::map<std::string, YAML::Node> Certificates() {
  std::map<std::string, YAML::Node> certificates;
  for (const YAML::Node& object :
       YAML::LoadAllFromFile("deploy/kubernetes/overlays/production/certificates.yaml")) {
    if (object["kind"].as<std::string>() != "Certificate") continue;
    const std::string role = RoleOfUris(object["spec"]["uris"].as<Strings>());
    EXPECT_TRUE(certificates.emplace(role, object).second) << role;
  }
  return certificates;
}

TEST(CertificatesTest, EveryRoleHasOneAndASecretOfItsOwn) {
  const auto certificates = Certificates();
  EXPECT_EQ(certificates.size(), std::size(kCertificateRoles));
  std::map<std::string, std::string> role_of;
  for (const char* role : kCertificateRoles) {
    ASSERT_TRUE(certificates.contains(role)) << role;
    const YAML::Node spec = certificates.at(role)["spec"];
    const bool unique = role_of.emplace(spec["secretName"].as<std::string>(), role).second;
    EXPECT_TRUE(unique) << role;
    // Every process is a client and, but for users, a server.
    EXPECT_THAT(spec["usages"].as<Strings>(),
                UnorderedElementsAre("digital signature", "server auth", "client auth"));
  }
}

TEST(CertificatesTest, NamesAreThoseAtWhichPodsAreReached) {
  for (const auto& [role, certificate] : Certificates()) {
    if (role == "user") continue;  // nobody calls a user
    const std::string service = certificate["metadata"]["name"].as<std::string>();
    const std::string pod = role == "controller" ? "" : service + "-0.";
    const Strings names = certificate["spec"]["dnsNames"].as<Strings>();
    for (const char* domain : {".waferstream.svc", ".waferstream.svc.cluster.local"}) {
      EXPECT_TRUE(IsFor(names, pod + service + domain)) << pod << service << domain;
      EXPECT_FALSE(IsFor(names, "other." + pod + service + domain));
    }
  }
}

}  // namespace
}  // namespace waferstream
