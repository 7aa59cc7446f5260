// The flags of the controller's process.
#pragma once

#include <string>

#include "base/log.h"
#include "rpc/listen_flags.h"

namespace waferstream {

struct ControllerProgramFlags {
  ListenFlags listen;
  int port = 0;            // 0: any free one
  int advertise_port = 0;  // 0: the port itself
  std::string state_dir;
  std::string port_file;  // empty: none
  int lease_ms = 1000;
  std::string roots;       // base/file_roots.h
  std::string users_file;  // empty: whoever is let in may do everything
  LogTerms log;
};

void AddControllerProgramFlags(CLI::App& app, ControllerProgramFlags& flags);

}  // namespace waferstream
