#include "client/ctl_harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

fs::path BuiltProgram() {
  const fs::path workspace = fs::path(std::getenv("TEST_SRCDIR")) / std::getenv("TEST_WORKSPACE");
  return fs::canonical(workspace / "client/waferctl");
}

void WriteTokens(const fs::path& path, int count, uint32_t seed) {
  std::vector<uint16_t> tokens;
  for (int i = 0; i < count; ++i) {
    seed = seed * 1664525 + 1013904223;
    tokens.push_back(static_cast<uint16_t>((seed >> 24) % 64 + 64 * (i % 2)));
  }
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof tokens[0]);
}

// args[0] is the program.
[[noreturn]] void RunInChild(const fs::path& dir, std::vector<std::string> args,
                             const fs::path& out, const fs::path& err,
                             const CtlHarness::Before& before) {
  dup2(open("/dev/null", O_RDONLY), 0);
  dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
  dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  if (chdir(dir.c_str()) != 0) _exit(126);
  if (before) before();
  execv(argv[0], argv.data());
  _exit(126);
}

}  // namespace

CtlCall::CtlCall(pid_t pid, fs::path out, fs::path err)
    : pid_(pid), out_(std::move(out)), err_(std::move(err)) {}

CtlCall::~CtlCall() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void CtlCall::Signal(int signal) { kill(pid_, signal); }

std::vector<pid_t> CtlCall::Children() const {
  std::istringstream text(ReadAll(absl::StrCat("/proc/", pid_, "/task/", pid_, "/children")));
  return {std::istream_iterator<pid_t>(text), std::istream_iterator<pid_t>()};
}

int CtlCall::Wait() {
  int status = 0;
  if (!WaitFor([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, absl::Minutes(4))) {
    ADD_FAILURE() << "waferctl still runs; stderr: " << err();
    kill(pid_, SIGKILL);
    waitpid(pid_, &status, 0);
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::string CtlCall::out() const { return ReadAll(out_); }
std::string CtlCall::err() const { return ReadAll(err_); }

nlohmann::json CtlCall::json() const {
  nlohmann::json json = nlohmann::json::parse(out(), nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << "stdout: " << out() << "stderr: " << err();
  return json;
}

CtlHarness::CtlHarness(const std::string& name)
    : dir_(fs::path(testing::TempDir()) / name), program_(BuiltProgram()) {
  fs::remove_all(dir_);
  fs::create_directories(dir_ / "tmp");
  setenv("TMPDIR", (dir_ / "tmp").c_str(), 1);
  setenv("XDG_STATE_HOME", (dir_ / "home").c_str(), 1);
  unsetenv("WAFERSTREAM_CONTROLLER");
  WriteTokens(dir_ / "train.bin", 4000, 1);
  WriteTokens(dir_ / "val.bin", 1000, 2);
}

CtlHarness::~CtlHarness() {
  EXPECT_TRUE(WaitFor([&] { return Processes().empty(); })) << "a process is left";
  EXPECT_TRUE(WaitFor([&] { return TemporaryFiles().empty(); }))
      << absl::StrJoin(TemporaryFiles(), " ");
}

void CtlHarness::WriteJob(int steps) const {
  std::ofstream(dir_ / "job.yaml") << "name: tiny\n"
                                      "model: {family: gpt2, layers: 2, hidden: 32, heads: 4, "
                                      "vocab: 256, context: 16}\n"
                                      "data: {train: train.bin, validation: val.bin}\n"
                                      "training:\n"
                                   << "  steps: " << steps
                                   << "\n"
                                      "  global_batch: 8\n"
                                      "  micro_batch: 1\n"
                                      "  precision: f32\n"
                                      "  optimizer: {adamw: {lr: 1.0e-3}}\n"
                                      "cluster: {wafers: 2, wafer: {sram: 64MiB}}\n"
                                      "checkpoint: {every: 2, keep: 2}\n";
}

std::unique_ptr<CtlCall> CtlHarness::Start(const std::vector<std::string>& args,
                                           const Before& before) {
  const std::string number = absl::StrCat(calls_++);
  const fs::path out = dir_ / ("out." + number);
  const fs::path err = dir_ / ("err." + number);
  std::vector<std::string> command = args;
  command.insert(command.begin(), program_.string());
  const pid_t pid = fork();
  if (pid == 0) RunInChild(dir_, command, out, err, before);
  return std::make_unique<CtlCall>(pid, out, err);
}

std::unique_ptr<CtlCall> CtlHarness::StartProgram(const std::string& program,
                                                  const std::vector<std::string>& flags,
                                                  const Before& before) {
  const fs::path waferctl = program_;
  const std::string folder = program == "waferctl" ? "client" : program;
  program_ = waferctl.parent_path().parent_path() / folder / program;
  std::unique_ptr<CtlCall> call = Start(flags, before);
  program_ = waferctl;
  return call;
}

std::vector<std::string> CtlHarness::By(const std::string& name,
                                        std::vector<std::string> command) const {
  const std::string path = absl::StrCat(certs(), "/", name);
  command.insert(command.end(), {"--tls-cert", path + ".crt", "--tls-key", path + ".key",
                                 "--tls-ca", certs() + "/ca.crt"});
  return command;
}

std::unique_ptr<CtlCall> CtlHarness::Run(const std::vector<std::string>& args, int expected_exit,
                                         const Before& before) {
  std::unique_ptr<CtlCall> call = Start(args, before);
  EXPECT_EQ(call->Wait(), expected_exit) << args[0] << "; stderr: " << call->err();
  return call;
}

std::vector<pid_t> CtlHarness::Processes() const {
  std::vector<pid_t> found;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    pid_t pid;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid) || pid == getpid()) continue;
    if (ReadAll(entry.path() / "cmdline").find(dir_.string()) != std::string::npos) {
      found.push_back(pid);
    }
  }
  return found;
}

pid_t CtlHarness::ProcessOf(const std::string& program) const {
  for (const pid_t pid : Processes()) {
    if (ReadAll(absl::StrCat("/proc/", pid, "/comm")) == program + "\n") return pid;
  }
  return 0;
}

std::vector<std::string> CtlHarness::TemporaryFiles() const {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir_ / "tmp")) {
    found.push_back(entry.path().string());
  }
  return found;
}

}  // namespace waferstream
