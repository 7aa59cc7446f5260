#include "tests/hosts/tool.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/fd.h"

namespace waferstream {
namespace {

std::string TextIn(int fd) {
  std::string text(static_cast<size_t>(lseek(fd, 0, SEEK_END)), '\0');
  const ssize_t read = pread(fd, text.data(), text.size(), 0);
  text.resize(read < 0 ? 0 : read);
  return text;
}

}  // namespace

void BecomeTool(const std::string& command) {
  // Where Debian has them, whatever the caller's path.
  setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(kNoSuchTool);
}

absl::StatusOr<std::string> RunTool(const std::string& command,
                                    const std::function<void()>& before) {
  const Fd out(memfd_create("out", MFD_CLOEXEC)), err(memfd_create("err", MFD_CLOEXEC));
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(out.get(), STDOUT_FILENO);
    dup2(err.get(), STDERR_FILENO);
    if (before) before();
    BecomeTool(command);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) {
    return absl::InternalError(absl::StrCat("fork: ", command));
  }
  if (status == 0) return TextIn(out.get());
  const bool missing = WIFEXITED(status) && WEXITSTATUS(status) == kNoSuchTool;
  return absl::UnavailableError(absl::StrCat(
      "`", command,
      "`: ", missing ? "no such program" : absl::StripAsciiWhitespace(TextIn(err.get()))));
}

}  // namespace waferstream
