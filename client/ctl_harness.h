// waferctl as a user calls it, for tests: the real program, in a folder of the test's own.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace waferstream {

// One call of waferctl that is under way. Killed if it still runs at the end.
class CtlCall {
 public:
  CtlCall(pid_t pid, std::filesystem::path out, std::filesystem::path err);
  CtlCall(const CtlCall&) = delete;
  CtlCall& operator=(const CtlCall&) = delete;
  ~CtlCall();

  void Signal(int signal);
  // The children of its process now, in order of their start.
  std::vector<pid_t> Children() const;
  // Waits for it and returns its exit code, or minus the signal that ended it. A call that takes
  // longer than any call should fails the test and is killed.
  int Wait();

  std::string out() const;
  std::string err() const;
  // What it printed, as JSON; fails the test if it is not.
  nlohmann::json json() const;

 private:
  pid_t pid_;
  const std::filesystem::path out_;
  const std::filesystem::path err_;
};

// A folder with a home, a temporary folder and data of its own; calls run in it.
class CtlHarness {
 public:
  explicit CtlHarness(const std::string& name);
  // Fails the test if a process that was started here, or a temporary file, is left.
  ~CtlHarness();

  const std::filesystem::path& dir() const { return dir_; }
  // Writes dir()/job.yaml: a GPT of 2 layers that trains in well under a second a step, on two
  // wafers, with a checkpoint every 2 steps.
  void WriteJob(int steps) const;

  // Calls another copy of waferctl from now on.
  void SetProgram(const std::filesystem::path& program) { program_ = program; }
  const std::filesystem::path& program() const { return program_; }

  // What else happens to a process before it becomes a call: its files are open by then, and are
  // those of the harness unless this changes them.
  using Before = std::function<void()>;

  // Begins a call; `args` without the program.
  std::unique_ptr<CtlCall> Start(const std::vector<std::string>& args, const Before& before = {});
  // Begins another program of ours, "waferctl" or one whose folder has its name.
  std::unique_ptr<CtlCall> StartProgram(const std::string& program,
                                        const std::vector<std::string>& flags,
                                        const Before& before = {});
  // Where tests keep the certificates that they make, and a command with the flags of one of them.
  std::string certs() const { return (dir_ / "certs").string(); }
  std::vector<std::string> By(const std::string& name, std::vector<std::string> command) const;
  // A call from beginning to end.
  std::unique_ptr<CtlCall> Run(const std::vector<std::string>& args, int expected_exit = 0,
                               const Before& before = {});

  // Processes whose command line names dir(): all roles do, by their logs.
  std::vector<pid_t> Processes() const;
  // The one among them that runs this program; 0 if there is none.
  pid_t ProcessOf(const std::string& program) const;
  // What is in the temporary folder.
  std::vector<std::string> TemporaryFiles() const;

 private:
  const std::filesystem::path dir_;
  std::filesystem::path program_;
  int calls_ = 0;
};

}  // namespace waferstream
