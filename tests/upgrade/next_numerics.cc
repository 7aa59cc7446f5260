// Linked into a program, makes it one that computes other bits.
#include "base/version.h"

namespace waferstream {

uint32_t Numerics() { return 3; }

}  // namespace waferstream
