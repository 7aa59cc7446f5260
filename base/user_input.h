// What people give, by kind: flags, job files, --set, variables and requests all go through here,
// so that a kind is checked in one place and alike everywhere.
//
// `field` is what the message calls the thing ("--tokens", "training.steps"). Every error is
// INVALID_ARGUMENT with one line, "<field>: <value> <what it must be>"; nothing is rounded, cut off
// or guessed. What needs more than the text itself (a file, a model) is checked where that is
// known.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waferstream {

struct Bounds {
  double low = 0;
  double high = std::numeric_limits<double>::max();
  bool open_low = false;   // low itself is refused
  bool open_high = false;  // high itself is refused
};

// A NaN is within no bounds, and an infinity not within the default ones.
absl::Status CheckBounds(absl::string_view field, double value, const Bounds& bounds);

// What may follow a whole number, and what it is multiplied by.
struct Unit {
  absl::string_view name;
  uint64_t factor;
};

// A whole number in decimal digits, without sign, leading zeros, separators or exponent, and one of
// the units if there are some. `want` is what the message asks for.
absl::StatusOr<uint64_t> ParseWhole(absl::string_view field, absl::string_view text,
                                    const Bounds& bounds, std::span<const Unit> units = {},
                                    absl::string_view want = "a whole number");

// A finite decimal number.
absl::StatusOr<double> ParseReal(absl::string_view field, absl::string_view text,
                                 const Bounds& bounds);

// One of `words`, which stand separated by '|'; its place among them.
absl::StatusOr<size_t> ParseWord(absl::string_view field, absl::string_view text,
                                 absl::string_view words);

// Text that can be sent and shown: UTF-8 without control characters. May be empty.
absl::Status CheckText(absl::string_view field, absl::string_view text);

// A name that also becomes a part of file names and is shown in lists: text of 1 to 128 bytes
// without '/' and without spaces around it, and neither "." nor "..".
absl::Status CheckName(absl::string_view field, absl::string_view text);

// A path as the system takes it: 1 to 4095 bytes, no control characters. Not that anything is
// there.
absl::Status CheckPath(absl::string_view field, absl::string_view path);

// The same, made absolute and without "." and "..". The current folder may be gone: then only an
// absolute path is one.
absl::StatusOr<std::string> AbsolutePath(absl::string_view field, const std::string& path);

// A host by name or number.
absl::Status CheckHost(absl::string_view field, absl::string_view host);

// host:port, with a port of 1 to 65535.
absl::Status CheckAddress(absl::string_view field, absl::string_view address);

}  // namespace waferstream
