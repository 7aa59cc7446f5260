#include "checkpoint/new_folder.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_id.h"
#include "checkpoint/folder.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<NewFolder>> NewFolder::Create(Disk& disk, const std::string& path) {
  std::string folder = path;
  // Without a trailing slash its last part is a name.
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  if (disk.Exists(folder)) {
    return absl::AlreadyExistsError(absl::StrCat(folder, " is already there"));
  }
  const std::string parent = std::filesystem::path(folder).parent_path().string();
  if (!parent.empty()) RETURN_IF_ERROR(CreateFolders(disk, parent));
  std::string partial = PartialBeside(folder, Base32(RandomBits()));
  RETURN_IF_ERROR(disk.CreateFolder(partial));
  return std::unique_ptr<NewFolder>(new NewFolder(disk, folder, std::move(partial)));
}

absl::Status NewFolder::Publish() { return PublishNewFolder(disk_, partial_, folder_); }

}  // namespace waferstream
