#include "checkpoint/disk.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsUnknown(status) ||
         absl::IsDeadlineExceeded(status) || absl::IsAborted(status);
}

absl::StatusOr<std::string> ReadSmallFile(Disk& disk, const std::string& path, uint64_t bytes_max) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.OpenForReading(path));
  ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
  if (bytes > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has ", bytes, " bytes, more than the ", bytes_max, " allowed"));
  }
  std::string text(bytes, '\0');
  RETURN_IF_ERROR(file->ReadAt(0, text.data(), bytes));
  return text;
}

absl::Status WriteSmallFile(Disk& disk, const std::string& path, absl::string_view text) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.OpenForWriting(path));
  RETURN_IF_ERROR(file->Resize(text.size()));
  RETURN_IF_ERROR(file->WriteAt(0, text.data(), text.size()));
  return file->Sync();
}

absl::Status CreateFolders(Disk& disk, const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty() && parent != path && !disk.Exists(parent)) {
    RETURN_IF_ERROR(CreateFolders(disk, parent));
  }
  return disk.CreateFolder(path);
}

}  // namespace waferstream
