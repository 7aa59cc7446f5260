// Whole command lines of waferctl, and the job files that they name. The input is one argument a
// line; behind a line "@" follows the file job.yaml. `plan` is carried out, every other command is
// only parsed: it would start processes and write files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/flag_sources.h"
#include "base/status.h"
#include "client/command_line.h"

namespace waferstream {
namespace {

struct Input {
  std::vector<std::string> arguments;
  std::string_view job;
};

Input Split(std::string_view text) {
  Input input;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line == "@") {
      input.job = text;
      break;
    }
    // An argument ends at its first zero.
    input.arguments.emplace_back(line.substr(0, line.find('\0')));
  }
  return input;
}

void KeepOnlyPlan(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    // Not by another callback: the command's own holds its flags.
    if (command->get_name() != "plan") {
      command->parse_complete_callback([] { throw CLI::RuntimeError(0); });
    }
    KeepOnlyPlan(*command);
  }
}

void Run(std::vector<std::string> arguments) {
  CLI::App app("", "waferctl");
  const absl::Status arguments_are = CheckArguments(arguments);
  Outcome outcome = ExitCode::kOk;
  if (!arguments_are.ok()) {
    outcome = arguments_are;
  } else {
    AddCommands(app, outcome);
    KeepOnlyPlan(app);
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      WS_CHECK(error.get_exit_code() == 0 || error.what()[0] != '\0');
    }
  }
  WS_CHECK(outcome.ok() || !outcome.status().message().empty());
}

}  // namespace
}  // namespace waferstream

namespace {

int caller_folder = -1, own_folder = -1;

}  // namespace

// A folder of the fuzzer's own, in memory where the system has such; results go nowhere. It is the
// working folder while a command line runs, and no longer: the corpus may be named relative to the
// caller's.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  static std::string folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  folder += "/command_line_fuzz." + std::to_string(getpid());
  WS_CHECK(mkdir(folder.c_str(), 0700) == 0);
  atexit([] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  caller_folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  own_folder = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  WS_CHECK(caller_folder >= 0 && own_folder >= 0);
  return dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO) < 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  const Input input = Split({reinterpret_cast<const char*>(data), size});
  WS_CHECK(fchdir(own_folder) == 0);
  std::ofstream("job.yaml", std::ios::binary | std::ios::trunc) << input.job;
  Run(input.arguments);
  WS_CHECK(fchdir(caller_folder) == 0);
  return 0;
}
