#include "rpc/listen_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/confine.h"
#include "base/flags.h"
#include "base/host_port.h"
#include "base/status.h"

namespace waferstream {

void AddListenFlags(CLI::App& app, ListenFlags& flags) {
  AddHost(app, "--host", flags.host, "Address at which others reach this process [127.0.0.1]");
  AddHost(app, "--listen", flags.listen,
          "Address to listen on, where that is another one (0.0.0.0: all) [--host]");
  AddPath(app, "--secret-file", flags.secret_file,
          "The cluster's secret; who does not know it is refused [everybody is let in]");
  AddTlsFlags(app, flags.tls);
  AddSwitch(app, "--insecure", flags.insecure, "In the clear, from other hosts too");
  AddWhole(app, "--metrics-port", flags.metrics_port,
           "Answer a Prometheus on this port, /metrics, whoever asks; 0: any free one [none]");
  AddWhole(app, "--health-port", flags.health_port,
           "Answer probes on this port, by gRPC's health service (live, ready), in the clear, "
           "whoever asks; 0: any free one [none]");
}

absl::StatusOr<std::string> ListenAddress(const ListenFlags& flags) {
  const bool given = !flags.listen.empty();
  absl::StatusOr<std::string> address = ResolveHost(given ? flags.listen : flags.host);
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(given ? "--listen: " : "--host: ", address.status().message()));
  }
  if (given || !IsWildcard(*address)) return address;
  return absl::InvalidArgumentError(absl::StrCat("--host: nobody reaches a process at ", flags.host,
                                                 "; --listen ", flags.host,
                                                 " listens on every address"));
}

absl::StatusOr<Credentials> ReadCredentials(const ListenFlags& flags, const std::string& listen,
                                            const std::string& role) {
  Credentials credentials;
  ASSIGN_OR_RETURN(credentials.tls, ReadTls(flags.tls, role));
  if (!flags.secret_file.empty()) {
    auto secret = ClusterSecret::ReadFile(flags.secret_file);
    if (!secret.ok()) {
      return absl::Status(secret.status().code(),
                          absl::StrCat("--secret-file: ", secret.status().message()));
    }
    credentials.secret = *std::move(secret);
  }
  if (credentials.tls != nullptr || flags.insecure || IsLoopback(listen)) return credentials;
  return absl::InvalidArgumentError(absl::StrCat(
      "--listen: at ", listen,
      " other hosts reach this process, and who is on the way reads and changes what is "
      "said; give it --tls-cert, --tls-key and --tls-ca, or say --insecure"));
}

std::vector<std::string> FoldersOf(const Credentials& credentials) {
  std::vector<std::string> folders;
  if (credentials.tls == nullptr) return folders;
  const TlsFiles& files = credentials.tls->files();
  for (const std::string* file :
       {&files.certificate, &files.key, &files.authority, &files.revoked}) {
    if (!file->empty()) folders.push_back(FolderOf(*file));
  }
  return folders;
}

absl::StatusOr<ListenTerms> CheckListenFlags(const ListenFlags& flags, const std::string& role) {
  ASSIGN_OR_RETURN(std::string address, ListenAddress(flags));
  ASSIGN_OR_RETURN(Credentials credentials, ReadCredentials(flags, address, role));
  return ListenTerms{.address = std::move(address),
                     .credentials = std::move(credentials),
                     .metrics_port = flags.metrics_port,
                     .health_port = flags.health_port};
}

}  // namespace waferstream
