#include "rpc/listen_flags.h"

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/host_port.h"

namespace waferstream {

void AddListenFlags(CLI::App& app, ListenFlags& flags) {
  AddHost(app, "--host", flags.host, "Address at which others reach this process [127.0.0.1]");
  AddHost(app, "--listen", flags.listen,
          "Address to listen on, where that is another one (0.0.0.0: all) [--host]");
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

}  // namespace waferstream
