#include "data/input_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/status.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

bool HasIndex(const std::string& bin) {
  std::error_code error;
  return fs::exists(absl::StrCat(absl::StripSuffix(bin, ".bin"), ".idx"), error);
}

std::optional<InputKind> KindOf(const std::string& path) {
  if (absl::EndsWith(path, ".txt")) return InputKind::kText;
  if (absl::EndsWith(path, ".jsonl")) return InputKind::kJsonLines;
  if (absl::EndsWith(path, ".parquet")) return InputKind::kParquet;
  if (!absl::EndsWith(path, ".bin")) return std::nullopt;
  return HasIndex(path) ? InputKind::kMegatron : InputKind::kTokens;
}

absl::Status PathError(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::StatusOr<InputFile> FileAt(std::string path) {
  // Megatron's files are a pair, which either names.
  if (absl::EndsWith(path, ".idx")) {
    path = absl::StrCat(absl::StripSuffix(path, ".idx"), ".bin");
  }
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found)
    return PathError(path, "No such file or directory");
  if (status.type() != fs::file_type::regular) return PathError(path, "is no regular file");
  const std::optional<InputKind> kind = KindOf(path);
  if (!kind) {
    return PathError(path,
                     "what it holds is told by its ending: .txt, .jsonl, .parquet, .bin or .idx");
  }
  const uint64_t bytes = fs::file_size(path, error);
  if (error) return PathError(path, error.message());
  return InputFile{path, *kind, bytes};
}

absl::Status AddFolder(const std::string& folder, std::vector<InputFile>& files) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error), end;
  for (; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored) && KindOf(at->path().string())) {
      paths.push_back(at->path().string());
    }
  }
  if (error) return PathError(folder, error.message());
  if (paths.empty()) return PathError(folder, "holds no .txt, .jsonl, .parquet or .bin");
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(files.emplace_back(), FileAt(path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<InputFile>> FindInputs(const std::vector<std::string>& paths) {
  std::vector<InputFile> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      RETURN_IF_ERROR(AddFolder(path, files));
    } else {
      ASSIGN_OR_RETURN(files.emplace_back(), FileAt(path));
    }
  }
  for (const InputFile& file : files) {
    if (IsText(file.kind) == IsText(files.front().kind)) continue;
    return PathError(file.path, absl::StrCat("text and tokens do not go into one file; ",
                                             files.front().path, " is of the other kind"));
  }
  return files;
}

}  // namespace waferstream
