#include "client/kernel_isa.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/fd.h"
#include "base/flags.h"
#include "base/status.h"
#include "client/binaries.h"

namespace waferstream {
namespace {

struct Answer {
  std::string text;  // standard output, or else standard error
  bool ok;
};

std::string ReadAll(int fd) {
  std::string text;
  char buffer[512];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

// Runs a program that says little and ends by itself.
absl::StatusOr<Answer> Ask(std::vector<std::string> args) {
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, args[0]);
  const Fd out(fds[0]);
  Fd in(fds[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, in.get(), STDERR_FILENO);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return ErrnoStatus(error, absl::StrCat(args[0], ": cannot be executed"));
  }
  in.Close();
  Answer answer = {.text = ReadAll(out.get()), .ok = false};
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  answer.ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  answer.text.resize(std::min(answer.text.find('\n'), answer.text.size()));
  return answer;
}

}  // namespace

void AddKernelIsaFlag(CLI::App& app, std::string& kernel_isa) {
  // Which names there are is the nodes' program's to say.
  AddName(app, "--kernel-isa", kernel_isa,
          "Hold the wafer nodes' kernels to sse4, avx2, avx512, avx512_bf16 or amx; part "
          "of what the weights depend on [the CPU's best]");
}

absl::StatusOr<std::string> AskKernelIsa(const std::string& kernel_isa) {
  ASSIGN_OR_RETURN(const RoleBinaries binaries, FindRoleBinaries());
  std::vector<std::string> args = {binaries.wafer_node};
  if (!kernel_isa.empty()) args.push_back("--kernel-isa=" + kernel_isa);
  args.push_back("--show-kernel-isa");
  ASSIGN_OR_RETURN(const Answer answer, Ask(args));
  if (answer.ok) return answer.text;
  return absl::InvalidArgumentError(answer.text);
}

}  // namespace waferstream
