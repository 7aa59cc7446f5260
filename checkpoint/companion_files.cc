#include "checkpoint/companion_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr const char* kNames[] = {
    "added_tokens.json", "chat_template.jinja",     "generation_config.json",
    "merges.txt",        "special_tokens_map.json", "tokenizer.json",
    "tokenizer.model",   "tokenizer_config.json",   "vocab.json",
    "vocab.txt"};

constexpr uint64_t kPieceBytes = 1 << 20;

// Returns an error of writing; `reading` is one of reading.
absl::Status CopyFile(Disk& disk, const std::string& from, const std::string& to,
                      absl::Status& reading) {
  const auto source = disk.OpenForReading(from);
  reading = source.status();
  if (!reading.ok()) return absl::OkStatus();
  const auto bytes = (*source)->Size();
  reading = bytes.status();
  if (!reading.ok()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::unique_ptr<File> copy, disk.OpenForWriting(to));
  RETURN_IF_ERROR(copy->Resize(*bytes));
  std::vector<char> piece(std::min(*bytes, kPieceBytes));
  for (uint64_t at = 0; at < *bytes; at += piece.size()) {
    const size_t n = std::min<uint64_t>(piece.size(), *bytes - at);
    reading = (*source)->ReadAt(at, piece.data(), n);
    if (!reading.ok()) return disk.Remove(to);
    RETURN_IF_ERROR(copy->WriteAt(at, piece.data(), n));
  }
  return copy->Sync();
}

}  // namespace

absl::StatusOr<CompanionFiles> CopyCompanionFiles(Disk& disk, const std::string& from,
                                                  const std::string& to) {
  CompanionFiles files;
  if (from.empty()) return files;
  for (const char* name : kNames) {
    const std::string path = absl::StrCat(from, "/", name);
    if (!disk.Exists(path)) continue;
    absl::Status reading;
    RETURN_IF_ERROR(CopyFile(disk, path, absl::StrCat(to, "/", name), reading));
    if (reading.ok()) {
      files.names.push_back(name);
    } else {
      files.unreadable.push_back(absl::StrCat("not copied: ", reading.message()));
    }
  }
  return files;
}

}  // namespace waferstream
