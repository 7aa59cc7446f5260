// Tokens that come one by one, as text: what a token says may depend on those before it, and a
// character may take several.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/tokenizer.h"

namespace waferstream {

// Not thread-safe.
class TextStream {
 public:
  // The text begins behind that of `before`. `tokenizer` outlives this.
  TextStream(const Tokenizer& tokenizer, std::span<const uint32_t> before);

  // What can be said of the text with these tokens added. What may still change is kept back.
  absl::StatusOr<std::string> Add(std::span<const uint32_t> tokens);
  // What was kept back, as it is.
  absl::StatusOr<std::string> Finish();

 private:
  absl::StatusOr<std::string> Take(bool all);

  const Tokenizer& tokenizer_;
  std::vector<uint32_t>
      window_;   // tokens whose text is said, for those behind to lean on, and the rest
  size_t said_;  // of the window
};

}  // namespace waferstream
