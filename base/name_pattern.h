// Patterns of names, as a shell has them for files: `*` is any text, `?` any character, `[ab]` one
// of some.
#pragma once

#include <string>

namespace waferstream {

// Whether all of `name` is what `pattern` describes. A pattern without meaning (an open bracket)
// matches itself alone.
bool MatchesPattern(const std::string& pattern, const std::string& name);

}  // namespace waferstream
