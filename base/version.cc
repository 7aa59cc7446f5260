#include "base/version.h"

#include <algorithm>

#define WS_WEAK __attribute__((weak))

namespace waferstream {

WS_WEAK const char* Version() { return "0.1.0"; }
WS_WEAK uint32_t NewestProtocol() { return 1; }
WS_WEAK uint32_t OldestProtocol() { return std::max(NewestProtocol(), 2U) - 1; }
WS_WEAK uint32_t Numerics() { return 2; }

}  // namespace waferstream
