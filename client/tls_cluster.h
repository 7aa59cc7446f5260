// For tests: a cluster whose processes know one another by certificate, made of real processes.
#pragma once

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {

class TlsCluster : public ::testing::Test {
 protected:
  TlsCluster() : harness_(::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    harness_.Run({"certs", "init", "--dir", Certs()});
    for (const char* role : {"controller", "memoryx", "swarmx", "wafer", "user"}) {
      harness_.Run({"certs", "issue", "--dir", Certs(), "--role", role, "--name", role, "--host",
                    "127.0.0.1"});
    }
  }
  ~TlsCluster() override {
    for (const auto& process : processes_) {
      process->Signal(SIGTERM);
      process->Wait();
    }
  }

  std::string Certs() const { return harness_.certs(); }
  std::vector<std::string> By(const std::string& name, std::vector<std::string> command) const {
    return harness_.By(name, std::move(command));
  }
  // A process of the cluster; `program` is its folder's and binary's name.
  CtlCall& Start(const std::string& program, const std::vector<std::string>& flags) {
    processes_.push_back(harness_.StartProgram(program, flags));
    return *processes_.back();
  }
  void StartController(std::vector<std::string> more = {}) {
    const std::filesystem::path port_file = harness_.dir() / "port";
    more.insert(more.end(), {"--state", (harness_.dir() / "state").string(), "--port-file",
                             port_file.string()});
    Start("controller", By("controller", more));
    ASSERT_TRUE(WaitFor([&] { return std::filesystem::exists(port_file); }));
    std::ifstream(port_file) >> address_;
  }
  CtlCall& StartNode(const std::string& program, const std::string& id, const std::string& by,
                     std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--id", id, "--controller", address_, "--log",
                             (harness_.dir() / (id + ".log")).string()});
    return Start(program, By(by, more));
  }
  // What harness_.WriteJob's job needs.
  void StartNodes(const std::vector<std::string>& more = {}) {
    StartNode("memoryx", "m0", "memoryx", more);
    StartNode("swarmx", "s0", "swarmx", more);
    StartNode("wafer_node", "w0", "wafer", more);
    StartNode("wafer_node", "w1", "wafer", more);
  }
  std::vector<std::string> AsUser(std::vector<std::string> command) const {
    command.insert(command.end(), {"--controller", address_});
    return By("user", std::move(command));
  }

  CtlHarness harness_;
  std::vector<std::unique_ptr<CtlCall>> processes_;
  std::string address_;
};

}  // namespace waferstream
