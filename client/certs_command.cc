// `waferctl certs`: a private authority for development, and certificates of it.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/certificate.h"
#include "base/errno_status.h"
#include "base/flags.h"
#include "base/private_file.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "client/command.h"

namespace waferstream {
namespace {

constexpr size_t kPemBytesMax = 1 << 20;
constexpr double kDaysMax = 3650;
constexpr const char* kAuthority = "ca";

struct CertsFlags {
  std::string dir;
  std::string name;
  std::string role;
  std::vector<std::string> hosts;
  int days = 0;
};

absl::Duration Days(int days) { return days * absl::Hours(24); }

// What is there already stays: whoever holds a certificate of an authority needs that authority.
// The key first: a certificate without its key is of no use to anybody.
absl::Status WritePair(const std::string& dir, const std::string& name, const CertificatePem& pem) {
  const std::string path = absl::StrCat(dir, "/", name);
  RETURN_IF_ERROR(MakeNewFile(path + ".key", pem.key, kPrivate));
  absl::Status written = MakeNewFile(path + ".crt", pem.certificate, 0644);
  if (!written.ok()) unlink((path + ".key").c_str());
  return written;
}

constexpr const char* kRevoked = "/ca.crl";

absl::StatusOr<CertificatePem> ReadAuthority(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/", kAuthority);
  CertificatePem pem;
  ASSIGN_OR_RETURN(pem.certificate, ReadRegularFile(path + ".crt", kPemBytesMax));
  ASSIGN_OR_RETURN(pem.key, ReadRegularFile(path + ".key", kPemBytesMax));
  return pem;
}

Outcome Init(const CertsFlags& flags) {
  ASSIGN_OR_RETURN(const CertificatePem authority, MakeAuthority(flags.name, Days(flags.days)));
  if (mkdir(flags.dir.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, flags.dir);
  ASSIGN_OR_RETURN(const std::string nothing, Revoke(authority, "", "", Days(flags.days)));
  RETURN_IF_ERROR(WritePair(flags.dir, kAuthority, authority));
  RETURN_IF_ERROR(ReplaceFile(flags.dir + kRevoked, nothing, 0644));
  std::printf("%s/%s.crt\n", flags.dir.c_str(), kAuthority);
  return ExitCode::kOk;
}

Outcome Issue(const CertsFlags& flags) {
  ASSIGN_OR_RETURN(const CertificatePem pem, ReadAuthority(flags.dir));
  ASSIGN_OR_RETURN(const CertificatePem issued, Issue(pem, {.name = flags.name,
                                                            .role = flags.role,
                                                            .hosts = flags.hosts,
                                                            .valid = Days(flags.days)}));
  RETURN_IF_ERROR(WritePair(flags.dir, flags.name, issued));
  std::printf("%s/%s.crt\n", flags.dir.c_str(), flags.name.c_str());
  return ExitCode::kOk;
}

Outcome Revoke(const CertsFlags& flags) {
  ASSIGN_OR_RETURN(const CertificatePem authority, ReadAuthority(flags.dir));
  absl::StatusOr<std::string> list = ReadRegularFile(flags.dir + kRevoked, kPemBytesMax);
  if (absl::IsNotFound(list.status())) list = "";  // the first one
  RETURN_IF_ERROR(list.status());
  const std::string path = absl::StrCat(flags.dir, "/", flags.name, ".crt");
  ASSIGN_OR_RETURN(const std::string certificate, ReadRegularFile(path, kPemBytesMax));
  const auto revoked = Revoke(authority, *list, certificate, Days(flags.days));
  if (!revoked.ok()) {
    return absl::Status(revoked.status().code(),
                        absl::StrCat(path, ": ", revoked.status().message()));
  }
  RETURN_IF_ERROR(ReplaceFile(flags.dir + kRevoked, *revoked, 0644));
  std::printf("%s%s\n", flags.dir.c_str(), kRevoked);
  return ExitCode::kOk;
}

void AddCommonFlags(CLI::App& command, CertsFlags& flags, int days) {
  flags.days = days;
  AddPath(command, "--dir", flags.dir, "Folder of the authority and its certificates")
      ->required()
      ->configurable(false);
  AddWhole(command, "--days", flags.days, absl::StrCat("How long it is valid [", days, "]"),
           {.low = 1, .high = kDaysMax})
      ->configurable(false);
}

void AddInit(CLI::App& certs, Outcome& outcome) {
  auto flags = std::make_shared<CertsFlags>();
  flags->name = "waferstream";
  CLI::App* command = certs.add_subcommand("init", "Make an authority: DIR/ca.crt and DIR/ca.key");
  AddCommonFlags(*command, *flags, 365);
  AddName(*command, "--name", flags->name, "Its name, for people [waferstream]")
      ->configurable(false);
  command->callback([flags, &outcome] { outcome = Init(*flags); });
}

void AddIssue(CLI::App& certs, Outcome& outcome) {
  auto flags = std::make_shared<CertsFlags>();
  CLI::App* command =
      certs.add_subcommand("issue", "Make a certificate: DIR/NAME.crt and DIR/NAME.key");
  AddCommonFlags(*command, *flags, 30);
  AddName(*command, "--name", flags->name, "Of the files, and for people")
      ->required()
      ->configurable(false);
  AddWord(*command, "--role", flags->role, "controller|memoryx|swarmx|wafer|user",
          "What the holder is")
      ->required()
      ->configurable(false);
  command
      ->add_option("--host", flags->hosts,
                   "Name or address at which the holder is reached; may be repeated")
      ->type_name("HOST")
      ->allow_extra_args(false)
      ->configurable(false);
  command->callback([flags, &outcome] { outcome = Issue(*flags); });
}

void AddRevoke(CLI::App& certs, Outcome& outcome) {
  auto flags = std::make_shared<CertsFlags>();
  CLI::App* command =
      certs.add_subcommand("revoke", "Put DIR/NAME.crt on the list of the revoked, DIR/ca.crl");
  AddCommonFlags(*command, *flags, 365);
  AddName(*command, "--name", flags->name, "Of the certificate")->required()->configurable(false);
  command->callback([flags, &outcome] { outcome = Revoke(*flags); });
}

}  // namespace

void AddCertsCommand(CLI::App& app, Outcome& outcome) {
  CLI::App* certs = app.add_subcommand("certs", "A private authority, for development");
  certs->require_subcommand(1);
  AddInit(*certs, outcome);
  AddIssue(*certs, outcome);
  AddRevoke(*certs, outcome);
}

}  // namespace waferstream
