// Short forms for passing an absl::Status on. Status is for the world (files, peers, users' input);
// a bug is a WS_CHECK, which aborts in every build mode.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define WS_CONCAT_INNER(a, b) a##b
#define WS_CONCAT(a, b) WS_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)              \
  do {                                     \
    absl::Status ws_status = (expr);       \
    if (!ws_status.ok()) return ws_status; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_IMPL(WS_CONCAT(ws_or_, __LINE__), lhs, expr)
// NOLINTBEGIN(bugprone-macro-parentheses): `tmp` is a new name, and `lhs` may declare one.
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                          \
  if (!tmp.ok()) return tmp.status();         \
  lhs = *std::move(tmp)
// NOLINTEND(bugprone-macro-parentheses)

// Aborts with the place and the condition when `condition` is false.
#define WS_CHECK(condition)                                                       \
  do {                                                                            \
    if (!(condition)) ::waferstream::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

namespace waferstream {

// Prints one line to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace waferstream
