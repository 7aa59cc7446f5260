// A process gives up, for good, to open files that it has no business with: what a name, a link or
// a mistake leads to outside of these folders is refused by the kernel (Landlock, Linux 5.13).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace waferstream {

struct ConfineTerms {
  std::vector<std::string> writable;  // folders, and everything below them
  std::vector<std::string> readable;  // files and folders
};

// What any process needs to read: the system's libraries and tables of names, /proc and /sys. With
// writable: /dev/null.
ConfineTerms SystemFiles();

// Whether this kernel has Landlock, and it is switched on.
bool CanConfine();

// Before the process's threads, which inherit it, and only once. What is open stays open; a path
// that is not there gives no right. False: this kernel has no Landlock, or it is switched off, and
// nothing is confined.
absl::StatusOr<bool> ConfineFiles(const ConfineTerms& terms);

// The same for a process whose jobs may use these folders alone; none: it stays as it is. `beside`:
// what else it uses. `log` gets a line about it.
absl::Status ConfineToRoots(const std::vector<std::string>& roots, const ConfineTerms& beside,
                            const std::function<void(const std::string& line)>& log);

// The folder of a file: ".", if its path names none.
std::string FolderOf(const std::string& file);

}  // namespace waferstream
