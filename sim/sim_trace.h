// Everything that happens in a simulation, in order: as a hash, and as lines for who reads a
// replay.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"

namespace waferstream {

// Hashes always, and prints to `out` when there is one. Not thread-safe.
class SimTrace {
 public:
  explicit SimTrace(std::ostream* out) : out_(out) {}

  // One event at one place; `what`: words and numbers.
  template <typename... What>
  void Note(int64_t now_ns, absl::string_view where, const What&... what) {
    ++events_;
    Mix(now_ns);
    Mix(where);
    (Mix(what), ...);
    if (out_ == nullptr) return;
    *out_ << absl::StrFormat("%12.6f s  %-12s %s\n", static_cast<double>(now_ns) * 1e-9, where,
                             absl::StrCat(what...));
  }

  bool printing() const { return out_ != nullptr; }
  uint64_t events() const { return events_; }
  std::string Hash() const { return hash_.Hex(); }

 private:
  template <typename T>
  void Mix(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      hash_.Update(&value, sizeof(value));
    } else {
      const absl::string_view text(value);
      hash_.Update(text.data(), text.size());
    }
  }

  std::ostream* const out_;
  Hash128 hash_;
  uint64_t events_ = 0;
};

}  // namespace waferstream
