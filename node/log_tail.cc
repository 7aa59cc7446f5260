#include "node/log_tail.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace waferstream {

absl::StatusOr<std::string> ReadTail(const std::string& path, uint64_t bytes_max) {
  if (path.empty()) return std::string();
  if (bytes_max == 0 || bytes_max > kLogTailBytesMax) bytes_max = kLogTailBytesMax;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read the log file ", path));
  const auto size = static_cast<uint64_t>(file.tellg());
  const uint64_t take = std::min(size, bytes_max);
  file.seekg(static_cast<std::streamoff>(size - take));
  std::string text(take, '\0');
  file.read(text.data(), static_cast<std::streamsize>(take));
  text.resize(static_cast<size_t>(file.gcount()));
  if (take < size) text.erase(0, text.find('\n') + 1);  // the first line is cut
  return text;
}

}  // namespace waferstream
