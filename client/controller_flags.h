// The flags of commands that talk to a controller.
#pragma once

#include "client/controller_address.h"

namespace CLI {
class App;
}

namespace waferstream {

// --controller, --secret-file, --tls-cert, --tls-key, --tls-ca, --tls-crl, --token-file.
void AddControllerFlags(CLI::App& command, ControllerFlags& flags);
// --secret-file alone.
void AddSecretFlag(CLI::App& command, ControllerFlags& flags);

// Of commands that wait for a job.
void AddPatienceFlag(CLI::App& command, int& seconds);

}  // namespace waferstream
