// Linked into a program, makes it the next release: same numerics, one protocol more.
#include "base/version.h"

namespace waferstream {

const char* Version() { return "0.2.0"; }
uint32_t NewestProtocol() { return 2; }

}  // namespace waferstream
