// A node as a process: this binary runs itself as one (first argument "node") and watches it.
#include "node/run_node.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/cluster_secret.h"
#include "base/host_port.h"
#include "base/json.h"
#include "node/fake_controller.h"
#include "node/toy_role.h"
#include "proto/node.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/listening.h"
#include "rpc/stranger.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;

std::string Slurp(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Starts this binary as a node; its standard error goes to `err`.
pid_t Spawn(std::vector<std::string> flags, const std::string& err) {
  flags.insert(flags.begin(), {"/proc/self/exe", "node"});
  std::vector<char*> argv;
  for (std::string& flag : flags) argv.push_back(flag.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

// The exit code; -1 for a death by signal.
int Wait(pid_t pid) {
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class RunNodeTest : public ::testing::Test {
 protected:
  RunNodeTest() { controller_.Serve(); }

  pid_t SpawnNode(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--id", "w0", "--controller", controller_.address()});
    return Spawn(more, err_);
  }
  RegisterRequest WaitForRegistration() {
    EXPECT_TRUE(controller_.WaitFor([&] { return !controller_.registered.empty(); }));
    absl::MutexLock lock(&controller_.mutex);
    return controller_.registered.at(0);
  }

  FakeController controller_;
  const std::string err_ = ::testing::TempDir() + "/stderr";
  const std::string log_ = ::testing::TempDir() + "/node.log";
};

TEST_F(RunNodeTest, RegistersServesAndStopsOnSigterm) {
  std::ofstream(log_) << "of another process: \xE9\n";  // no UTF-8
  const pid_t pid = SpawnNode({"--log", log_, "--host", "127.0.0.1"});
  const RegisterRequest me = WaitForRegistration();
  EXPECT_EQ(me.node_id(), "w0");
  EXPECT_EQ(me.role(), WAFER);
  EXPECT_NE(me.incarnation(), 0u);
  EXPECT_THAT(ListeningAddresses(pid), SizeIs(2)) << "control and fabric; nobody asked for metrics";

  auto stub = Node::NewStub(OpenChannel(
      JoinHostPort(me.host(), static_cast<int>(me.control_port())), kControllerToNode, {}));
  grpc::ClientContext context;
  ReadLogRequest request;
  ReadLogReply reply;
  const grpc::Status read = stub->ReadLog(&context, request, &reply);
  ASSERT_TRUE(read.ok()) << read.error_message();
  EXPECT_THAT(reply.text(), HasSubstr("of another process: \uFFFD"));
  EXPECT_THAT(reply.text(),
              HasSubstr(absl::StrCat("node w0 (WAFER): control port ", me.control_port(),
                                     ", fabric port ", me.fabric_port(), " on 127.0.0.1")));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_EQ(Slurp(err_), "") << "the log has a file of its own";
}

// A node whose controller does not let it go yet.
class LeavingNodeTest : public RunNodeTest {
 protected:
  LeavingNodeTest() {
    std::remove(log_.c_str());
    controller_.may_go = false;
  }
  // Returns when the controller has heard that it leaves.
  pid_t SpawnAndStop(const std::vector<std::string>& more = {}) {
    std::vector<std::string> flags = {"--log", log_};
    flags.insert(flags.end(), more.begin(), more.end());
    const pid_t pid = SpawnNode(flags);
    WaitForRegistration();
    kill(pid, SIGTERM);
    EXPECT_TRUE(controller_.WaitFor([&] { return controller_.leaving; }));
    return pid;
  }
};

TEST_F(LeavingNodeTest, SigtermLeavesInOrder) {
  const pid_t pid = SpawnAndStop();
  {
    absl::MutexLock lock(&controller_.mutex);
    controller_.may_go = true;
  }
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_THAT(Slurp(log_), HasSubstr("told to stop: leaving within 25s"));
  EXPECT_EQ(Slurp(err_), "");
}

TEST_F(LeavingNodeTest, TheEndOfTheGraceIsOneLineAndExitCode6) {
  EXPECT_EQ(Wait(SpawnAndStop({"--grace", "1"})), 6);
  EXPECT_EQ(Slurp(err_),
            "w0: the grace period of 1s is over: this node ends, and the controller has not let it "
            "go\n");
}

TEST_F(RunNodeTest, ANodeWithoutAControllerEndsWhenItsPatienceDoes) {
  controller_.answer_register = {grpc::UNAVAILABLE, "not yet"};
  EXPECT_EQ(Wait(SpawnNode({"--patience", "1", "--log", log_})), 4);
  EXPECT_THAT(Slurp(err_), MatchesRegex("w0: [^\n]*1s[^\n]*\n"));
}

TEST_F(LeavingNodeTest, ASecondSignalEndsItAtOnce) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const pid_t pid = SpawnAndStop({"--grace", "86400"});
    kill(pid, signal);
    EXPECT_EQ(Wait(pid), 6);
    absl::MutexLock lock(&controller_.mutex);
    controller_.leaving = false;
    controller_.registered.clear();
  }
}

TEST_F(LeavingNodeTest, SigintAndAGraceOfNothingDoNotWait) {
  for (const int signal : {SIGINT, SIGHUP, SIGTERM}) {
    const pid_t pid = SpawnNode({"--log", log_, "--grace", signal == SIGTERM ? "0" : "86400"});
    WaitForRegistration();
    kill(pid, signal);
    EXPECT_EQ(Wait(pid), 0);
    absl::MutexLock lock(&controller_.mutex);
    EXPECT_FALSE(controller_.leaving);
    controller_.registered.clear();
  }
}

TEST_F(RunNodeTest, WhatWasIgnoredStaysIgnored) {
  signal(SIGHUP, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  const pid_t pid = SpawnNode({"--log", log_});
  signal(SIGHUP, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  WaitForRegistration();
  kill(pid, SIGHUP);
  kill(pid, SIGTERM);
  kill(pid, SIGINT);
  EXPECT_EQ(Wait(pid), 0);
}

TEST_F(RunNodeTest, ANodeThatIgnoresSigtermStillEndsWhenItIsRefused) {
  controller_.answer_register = {grpc::FAILED_PRECONDITION, "no"};
  signal(SIGTERM, SIG_IGN);
  const pid_t pid = SpawnNode({"--log", log_});
  signal(SIGTERM, SIG_DFL);
  EXPECT_EQ(Wait(pid), 1);
}

TEST_F(RunNodeTest, ARefusedProtocolVersionIsOneLineAndExitCode1) {
  controller_.answer_register = {grpc::FAILED_PRECONDITION, "node w0 speaks protocol version 1"};
  const pid_t pid = SpawnNode({"--log", log_});
  EXPECT_EQ(Wait(pid), 1);
  EXPECT_EQ(Slurp(err_), "w0: node w0 speaks protocol version 1\n");
  EXPECT_THAT(Slurp(log_), HasSubstr("node w0 speaks protocol version 1"));
}

TEST_F(RunNodeTest, APortInUseIsOneLineWithThePort) {
  const std::string port = absl::StrCat(controller_.port());
  for (const char* flag : {"--control-port", "--fabric-port", "--metrics-port"}) {
    const pid_t pid = SpawnNode({flag, port, "--log", log_});
    EXPECT_EQ(Wait(pid), 1);
    EXPECT_THAT(Slurp(err_), HasSubstr(absl::StrCat("port ", port, ": ")));
  }
}

TEST_F(RunNodeTest, EveryPortIsOnTheAddressOfHostAlone) {
  for (const char* host : {"127.0.0.1", "::1", "localhost"}) {
    {
      absl::MutexLock lock(&controller_.mutex);
      controller_.registered.clear();
    }
    const pid_t pid = SpawnNode({"--log", log_, "--host", host, "--metrics-port", "0"});
    const RegisterRequest me = WaitForRegistration();
    EXPECT_EQ(me.host(), host);
    auto stub = Node::NewStub(OpenChannel(
        JoinHostPort(me.host(), static_cast<int>(me.control_port())), kControllerToNode, {}));
    grpc::ClientContext context;
    ReadLogReply reply;
    EXPECT_TRUE(stub->ReadLog(&context, ReadLogRequest(), &reply).ok()) << host;
    const std::vector<std::string> addresses = ListeningAddresses(pid);
    EXPECT_THAT(addresses, SizeIs(3)) << "control, fabric and metrics";
    for (const std::string& address : addresses) EXPECT_TRUE(IsLoopbackHex(address)) << address;
    kill(pid, SIGTERM);
    EXPECT_EQ(Wait(pid), 0);
  }
}

TEST_F(RunNodeTest, NoMethodServesAStranger) {
  const std::string secret = ::testing::TempDir() + "/secret";
  std::remove(secret.c_str());
  ASSERT_EQ(ClusterSecret::MakeFile(secret), absl::OkStatus());
  controller_.Guard({.secret = *ClusterSecret::ReadFile(secret)});
  const pid_t pid = SpawnNode({"--log", log_, "--secret-file", secret});
  const RegisterRequest me = WaitForRegistration();
  const std::string address = JoinHostPort(me.host(), static_cast<int>(me.control_port()));
  EXPECT_THAT(MethodsOpenToStrangers(address, Node::service_full_name()), IsEmpty());
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_THAT(Slurp(log_), HasSubstr("refused a call from ipv4:127.0.0.1:"));
}

TEST_F(RunNodeTest, AControllerWithoutTheSecretIsNotBelieved) {
  const std::string secret = ::testing::TempDir() + "/secret";
  std::remove(secret.c_str());
  ASSERT_EQ(ClusterSecret::MakeFile(secret), absl::OkStatus());
  const pid_t pid = SpawnNode({"--log", log_, "--secret-file", secret});
  EXPECT_EQ(Wait(pid), 1);
  EXPECT_THAT(Slurp(err_), HasSubstr("does not know the cluster's secret"));
}

TEST_F(RunNodeTest, WrongFlagsAreExitCode2) {
  EXPECT_EQ(Wait(SpawnNode({"--fabric-port", "many"})), 2);
  EXPECT_EQ(Wait(SpawnNode({"--host", "0.0.0.0"})), 2);
  EXPECT_THAT(Slurp(err_), HasSubstr("w0: --host: nobody reaches a process at 0.0.0.0"));
  EXPECT_EQ(Wait(SpawnNode({"--listen", "no.such.host.invalid"})), 2);
  EXPECT_THAT(Slurp(err_), HasSubstr("w0: --listen: 'no.such.host.invalid' is not a host"));
  EXPECT_EQ(Wait(Spawn({"--id", "w0", "--controller", "nonsense"}, err_)), 2);
  EXPECT_THAT(Slurp(err_), HasSubstr(": --controller: \"nonsense\" must be host:port ("));
  const std::string nobody(64, 'x');  // too long for a name
  EXPECT_EQ(Wait(Spawn({"--id", "w0", "--controller", nobody + ":1"}, err_)), 2);
  EXPECT_THAT(Slurp(err_), HasSubstr("w0: --controller: '" + nobody + "' is not a host: "));
  EXPECT_EQ(Wait(Spawn({"--id", "w0"}, err_)), 2);
  EXPECT_THAT(Slurp(err_), HasSubstr("--controller is required"));
  for (const std::vector<std::string>& flag :
       std::vector<std::vector<std::string>>{{"--fabric-port", "0x10"},
                                             {"--control-port", "65536"},
                                             {"--grace", "1.5"},
                                             {"--log-level", "loud"},
                                             {"--metrics-port", "65536"},
                                             {"--log-format", "xml"},
                                             {"--log", ""},
                                             {"--id", "a/b"},
                                             {"--id", ""}}) {
    std::vector<std::string> flags = {"--controller", controller_.address()};
    if (flag[0] != "--id") flags.insert(flags.end(), {"--id", "w0"});
    flags.insert(flags.end(), flag.begin(), flag.end());
    EXPECT_EQ(Wait(Spawn(flags, err_)), 2) << flag[0];
    EXPECT_THAT(Slurp(err_), HasSubstr(": " + flag[0] + ": "));
    EXPECT_EQ(Slurp(err_).find('\n'), Slurp(err_).size() - 1);
  }
}

TEST_F(RunNodeTest, FlagsComeFromVariablesAndAFile) {
  const std::string config = ::testing::TempDir() + "/node.yaml";
  std::ofstream(config) << "id: from-file\nlog: " << log_ << "\nlease-ms: 1\n";
  setenv("WAFERSTREAM_CONTROLLER", controller_.address().c_str(), 1);
  setenv("WAFERSTREAM_STATE", "of another program", 1);
  const pid_t pid = Spawn({"--config", config}, err_);
  EXPECT_EQ(WaitForRegistration().node_id(), "from-file");
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  setenv("WAFERSTREAM_LISTEN", "no.such.host.invalid", 1);
  EXPECT_EQ(Wait(Spawn({"--config", config}, err_)), 2);
  EXPECT_THAT(Slurp(err_), HasSubstr("from-file: WAFERSTREAM_LISTEN: 'no.such.host.invalid' is"));
  unsetenv("WAFERSTREAM_LISTEN");
  setenv("WAFERSTREAM_LISTENS", "::1", 1);
  EXPECT_EQ(Wait(Spawn({"--config", config}, err_)), 2);
  EXPECT_THAT(Slurp(err_), HasSubstr(": WAFERSTREAM_LISTENS: no flag has this variable; did you "
                                     "mean WAFERSTREAM_LISTEN?"));
  for (const char* name : {"CONTROLLER", "STATE", "LISTENS"}) {
    unsetenv(absl::StrCat("WAFERSTREAM_", name).c_str());
  }
}

// The registration's refusal brings a text from another process into the log.
TEST_F(RunNodeTest, ALogOfJsonIsAnObjectALine) {
  controller_.answer_register = {grpc::FAILED_PRECONDITION, "\"quoted\"\nand more"};
  std::remove(log_.c_str());
  EXPECT_EQ(Wait(SpawnNode({"--log", log_, "--log-format", "json"})), 1);
  std::ifstream file(log_);
  std::vector<std::string> critical;
  for (std::string line; std::getline(file, line);) {
    const auto json = ParseJson(line);
    ASSERT_TRUE(json.ok()) << line;
    EXPECT_EQ((*json)["process"], "w0");
    if ((*json)["level"] == "critical") critical.push_back((*json)["message"]);
  }
  ASSERT_THAT(critical, SizeIs(1));
  EXPECT_THAT(critical[0], HasSubstr("\"quoted\""));
}

TEST_F(RunNodeTest, ALogThatNobodyReadsIsNotWaitedFor) {
  const std::string fifo = ::testing::TempDir() + "/fifo";
  unlink(fifo.c_str());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(Wait(SpawnNode({"--log", fifo})), 1);
  EXPECT_THAT(Slurp(err_), HasSubstr("fifo: is a FIFO"));
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "node") {
    waferstream::ToyRole role(waferstream::WAFER);
    return waferstream::RunNode(argc - 1, argv + 1, role);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
