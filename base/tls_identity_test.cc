#include "base/tls_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/certificate.h"
#include "base/regular_file.h"
#include "base/tls_test_files.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

std::string Refusal(const TlsFiles& files) {
  const auto identity = TlsIdentity::Load(files);
  EXPECT_FALSE(identity.ok());
  return std::string(identity.status().message());
}

TEST(CertificateTest, ARoleIsOneUriOfOurs) {
  EXPECT_EQ(RoleOfUris({"waferstream:wafer"}), "wafer");
  EXPECT_EQ(RoleOfUris({"https://example.com", "waferstream:memoryx"}), "memoryx");
  EXPECT_EQ(RoleOfUris({}), "");
  EXPECT_EQ(RoleOfUris({"other:wafer"}), "");
  EXPECT_EQ(RoleOfUris({"waferstream:wafer", "waferstream:memoryx"}), "") << "which one?";
}

TEST(CertificateTest, SaysWhatItWasIssuedFor) {
  const CertificatePem authority = *MakeAuthority("test", absl::Hours(1));
  const CertificatePem pem = *Issue(
      authority,
      {.name = "w", .role = "wafer", .hosts = {"a.example", "::1"}, .valid = absl::Hours(2)});
  const CertificatePtr certificate = *ParseCertificate("it", pem.certificate);
  EXPECT_THAT(UrisOf(*certificate), ::testing::ElementsAre("waferstream:wafer"));
  EXPECT_LT(NotBefore(*certificate), absl::Now());
  EXPECT_GT(NotAfter(*certificate), absl::Now() + absl::Hours(1));
}

TEST(CertificateTest, TermsThatAreNoneAreRefused) {
  const CertificatePem authority = *MakeAuthority("test", absl::Hours(1));
  const auto why = [&](const CertificateTerms& terms) {
    return std::string(Issue(authority, terms).status().message());
  };
  EXPECT_THAT(why({.name = "w", .role = "waver", .hosts = {}, .valid = absl::Hours(1)}),
              HasSubstr("role: waver: not one of"));
  for (const char* host : {"", "a,DNS:b", "a b", "host:80"}) {
    EXPECT_THAT(why({.name = "w", .role = "wafer", .hosts = {host}, .valid = absl::Hours(1)}),
                HasSubstr("not a name or address"));
  }
  const CertificatePem other = *MakeAuthority("other", absl::Hours(1));
  EXPECT_THAT(
      std::string(Issue({.certificate = authority.certificate, .key = other.key},
                        {.name = "w", .role = "wafer", .hosts = {}, .valid = absl::Hours(1)})
                      .status()
                      .message()),
      HasSubstr("not that of its certificate"));
}

TEST(TlsIdentityTest, WhatIsRightIsTaken) {
  const TlsTestFiles made("right");
  const auto identity = TlsIdentity::Load(made.Issue("wafer"));
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ((*identity)->role(), "wafer");
  EXPECT_NE((*identity)->Context(), nullptr);
}

TEST(TlsIdentityTest, EveryFileIsCheckedAndNamed) {
  const TlsTestFiles made("checked"), other("other");
  const TlsFiles good = made.Issue("wafer");
  const std::string nothing = made.dir() + "/nothing", text = made.dir() + "/text";
  std::ofstream(text) << "no PEM\n";

  EXPECT_THAT(Refusal({nothing, good.key, good.authority}), HasSubstr(nothing));
  EXPECT_THAT(Refusal({good.certificate, nothing, good.authority}), HasSubstr(nothing));
  EXPECT_THAT(Refusal({good.certificate, good.key, nothing}), HasSubstr(nothing));
  EXPECT_THAT(Refusal({text, good.key, good.authority}),
              HasSubstr(text + ": is not a certificate"));
  EXPECT_THAT(Refusal({good.certificate, good.key, text}),
              HasSubstr(text + ": has no certificates"));
  EXPECT_THAT(Refusal({good.certificate, made.Issue("memoryx").key, good.authority}),
              HasSubstr("is not the private key of " + good.certificate));
  EXPECT_THAT(Refusal({good.certificate, good.key, other.Issue("wafer").authority}),
              HasSubstr(good.certificate + ": is not of the authority in"));
  EXPECT_THAT(Refusal({good.authority, made.authority_key(), good.authority}),
              HasSubstr("has no role"));
  EXPECT_THAT(Refusal(made.Issue("wafer", -absl::Minutes(1))), HasSubstr("expired on 20"));
  ASSERT_EQ(chmod(good.key.c_str(), 0644), 0);
  EXPECT_THAT(Refusal(good), HasSubstr(good.key + ": everybody can read or change it (mode 0644)"));
}

TEST(TlsIdentityTest, WhoIsOnTheListIsNotBelieved) {
  const TlsTestFiles made("revoked");
  TlsFiles mine = made.Issue("wafer");
  const TlsFiles stolen = made.Issue("memoryx"), good = made.Issue("swarmx");
  const auto pem = [](const TlsFiles& files) {
    return *ReadRegularFile(files.certificate, 1 << 20);
  };
  mine.revoked = made.Revoke({});
  const auto identity = *TlsIdentity::Load(mine);
  EXPECT_EQ(identity->Verify(pem(stolen)), absl::OkStatus());
  made.Revoke({stolen.certificate});
  made.Revoke({stolen.certificate});  // again: it is there once
  EXPECT_THAT(std::string(identity->Verify(pem(stolen)).message()),
              HasSubstr("denied: the peer's certificate: certificate revoked"));
  EXPECT_EQ(identity->Verify(pem(good)), absl::OkStatus());
  EXPECT_FALSE(identity->Verify(pem(TlsTestFiles("strange").Issue("swarmx"))).ok());
  EXPECT_FALSE(identity->Verify("no PEM").ok());
}

TEST(TlsIdentityTest, AListIsTheAuthoritysAndOfToday) {
  const TlsTestFiles made("lists"), other("others");
  TlsFiles files = made.Issue("wafer");
  files.revoked = made.dir() + "/nothing";
  EXPECT_THAT(Refusal(files), HasSubstr(files.revoked));
  files.revoked = files.certificate;
  EXPECT_THAT(Refusal(files), HasSubstr(files.revoked + ": has no list of revoked"));
  files.revoked = other.Revoke({});
  EXPECT_THAT(Refusal(files), HasSubstr(files.revoked + ": "));
  files.revoked = made.Revoke({}, -absl::Minutes(1));
  EXPECT_THAT(Refusal(files), HasSubstr(files.revoked + ": CRL has expired"));
  files.revoked = made.Revoke({files.certificate});
  EXPECT_THAT(Refusal(files), HasSubstr(files.certificate + ": is revoked, by " + files.revoked));
}

TEST(CertificateTest, OnlyTheAuthoritysOwnAreRevoked) {
  const CertificatePem authority = *MakeAuthority("test", absl::Hours(1));
  const CertificatePem other = *MakeAuthority("other", absl::Hours(1));
  const CertificatePem theirs =
      *Issue(other, {.name = "w", .role = "wafer", .hosts = {}, .valid = absl::Hours(1)});
  const std::string list = *Revoke(authority, "", "", absl::Hours(1));
  const auto why = [&](const std::string& before, const std::string& certificate) {
    return std::string(Revoke(authority, before, certificate, absl::Hours(1)).status().message());
  };
  EXPECT_THAT(why(list, theirs.certificate), HasSubstr("is not of this authority"));
  EXPECT_THAT(why(list, "no PEM"), HasSubstr("is not a certificate"));
  EXPECT_THAT(why("no PEM", ""), HasSubstr("is no list of revoked"));
  EXPECT_THAT(why(*Revoke(other, "", "", absl::Hours(1)), ""),
              HasSubstr("list is not of this authority"));
}

TEST(TlsIdentityTest, FilesThatAreReplacedAreReadAnew) {
  const TlsTestFiles made("replaced");
  const TlsFiles files = made.Issue("wafer");
  const auto identity = *TlsIdentity::Load(files);
  const std::shared_ptr<SSL_CTX> before = identity->Context();
  EXPECT_EQ(identity->Context(), before);

  made.Replace(made.Issue("wafer"), files);
  const std::shared_ptr<SSL_CTX> after = identity->Context();
  EXPECT_NE(after, before);

  // Neither what is no good nor another role is taken over.
  made.Replace(made.Issue("wafer", -absl::Minutes(1)), files);
  EXPECT_EQ(identity->Context(), after);
  made.Replace(made.Issue("memoryx"), files);
  EXPECT_EQ(identity->Context(), after);
}

}  // namespace
}  // namespace waferstream
