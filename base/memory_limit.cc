#include "base/memory_limit.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/regular_file.h"

namespace waferstream {
namespace {

constexpr size_t kFileBytesMax = 64 << 10;

std::optional<uint64_t> ReadLimit(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadRegularFile(path, kFileBytesMax);
  uint64_t bytes = 0;
  if (!text.ok() || !absl::SimpleAtoi(*text, &bytes)) return std::nullopt;  // "max"
  return bytes;
}

void Tighten(std::optional<uint64_t> limit, std::optional<uint64_t>& tightest) {
  if (limit.has_value()) tightest = std::min(tightest.value_or(UINT64_MAX), *limit);
}

// Of the group and all above it. A container may see the name of a group that only its host has:
// what is not there says nothing.
std::optional<uint64_t> TightestUpTo(const std::string& root, absl::string_view group,
                                     absl::string_view file) {
  std::optional<uint64_t> tightest;
  std::string folder = root;
  Tighten(ReadLimit(absl::StrCat(folder, "/", file)), tightest);
  for (const absl::string_view name : absl::StrSplit(group, '/', absl::SkipEmpty())) {
    absl::StrAppend(&folder, "/", name);
    Tighten(ReadLimit(absl::StrCat(folder, "/", file)), tightest);
  }
  return tightest;
}

bool Names(absl::string_view controllers, absl::string_view wanted) {
  const std::vector<absl::string_view> names = absl::StrSplit(controllers, ',');
  return std::find(names.begin(), names.end(), wanted) != names.end();
}

}  // namespace

std::optional<uint64_t> CgroupMemoryLimit(const std::string& proc_file, const std::string& root) {
  const absl::StatusOr<std::string> groups = ReadRegularFile(proc_file, kFileBytesMax);
  if (!groups.ok()) return std::nullopt;
  std::optional<uint64_t> tightest;
  for (const absl::string_view line : absl::StrSplit(*groups, '\n', absl::SkipEmpty())) {
    // hierarchy:controllers:group; the second is empty in v2
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    if (parts[1].empty()) Tighten(TightestUpTo(root, parts[2], "memory.max"), tightest);
    if (!Names(parts[1], "memory")) continue;
    Tighten(TightestUpTo(absl::StrCat(root, "/memory"), parts[2], "memory.limit_in_bytes"),
            tightest);
  }
  return tightest;
}

}  // namespace waferstream
