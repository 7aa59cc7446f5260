// An authority, and certificates of it, in a folder of the test's own.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/certificate.h"
#include "base/regular_file.h"
#include "base/tls_identity.h"

namespace waferstream {

class TlsTestFiles {
 public:
  explicit TlsTestFiles(const std::string& name)
      : dir_(absl::StrCat(::testing::TempDir(), "/tls-", name)),
        authority_(*MakeAuthority(name, absl::Hours(24))) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    Write("authority.crt", authority_.certificate);
    Write("authority.key", authority_.key);
  }

  const std::string& dir() const { return dir_; }
  std::string authority_key() const { return dir_ + "/authority.key"; }

  // For 127.0.0.1 and localhost unless said otherwise.
  TlsFiles Issue(const std::string& role, absl::Duration valid = absl::Hours(1),
                 std::vector<std::string> hosts = {"127.0.0.1", "localhost"}) const {
    const std::string name = absl::StrCat(role, "-", issued_++);
    const CertificatePem pem = *waferstream::Issue(
        authority_, {.name = name, .role = role, .hosts = std::move(hosts), .valid = valid});
    Write(name + ".crt", pem.certificate);
    Write(name + ".key", pem.key);
    return {.certificate = absl::StrCat(dir_, "/", name, ".crt"),
            .key = absl::StrCat(dir_, "/", name, ".key"),
            .authority = dir_ + "/authority.crt"};
  }

  // The authority's list, with these on it beside those of before; its path.
  std::string Revoke(const std::vector<std::string>& certificates,
                     absl::Duration valid = absl::Hours(1)) const {
    std::string list = *waferstream::Revoke(authority_, revoked_, "", valid);
    for (const std::string& certificate : certificates) {
      list = *waferstream::Revoke(authority_, list, *ReadRegularFile(certificate, 1 << 20), valid);
    }
    revoked_ = list;
    Write("authority.crl", list);
    return dir_ + "/authority.crl";
  }

  // As who renews certificates does it: each file in one rename.
  static void Replace(const TlsFiles& by, const TlsFiles& files) {
    std::filesystem::rename(by.certificate, files.certificate);
    std::filesystem::rename(by.key, files.key);
  }

 private:
  void Write(const std::string& name, const std::string& text) const {
    const std::string path = absl::StrCat(dir_, "/", name);
    std::ofstream(path) << text;
    chmod(path.c_str(), 0600);
  }

  const std::string dir_;
  const CertificatePem authority_;
  mutable int issued_ = 0;
  mutable std::string revoked_;  // the last list
};

}  // namespace waferstream
