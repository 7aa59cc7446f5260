#include "client/cluster_file.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

ClusterFile WithThisProcess() {
  ClusterFile cluster;
  cluster.controller = "127.0.0.1:4321";
  cluster.supervisor = *IdentityOf(getpid());
  cluster.boot_id = BootId();
  cluster.processes.push_back({"controller", *IdentityOf(getpid()), "/log"});
  return cluster;
}

std::string Dir() { return testing::TempDir(); }

TEST(ClusterFileTest, ReadsBackWhatWasWritten) {
  ASSERT_TRUE(WriteClusterFile(Dir(), WithThisProcess()).ok());
  const absl::StatusOr<ClusterFile> read = ReadClusterFile(Dir());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->controller, "127.0.0.1:4321");
  EXPECT_EQ(read->supervisor, *IdentityOf(getpid()));
  ASSERT_EQ(read->processes.size(), 1u);
  EXPECT_EQ(read->processes[0].identity, *IdentityOf(getpid()));
  EXPECT_EQ(read->processes[0].name, "controller");
  EXPECT_TRUE(RemoveClusterFile(Dir()).ok());
  EXPECT_TRUE(RemoveClusterFile(Dir()).ok()) << "twice is as good as once";
  EXPECT_EQ(ReadClusterFile(Dir()).status().code(), absl::StatusCode::kNotFound);
}

TEST(ClusterFileTest, WhatCannotBeWrittenSaysWhy) {
  const absl::Status nowhere = WriteClusterFile(Dir() + "/none", WithThisProcess());
  EXPECT_EQ(nowhere.code(), absl::StatusCode::kNotFound) << nowhere;
  const std::string dir = Dir() + "/full";
  ASSERT_TRUE(std::filesystem::create_directory(dir));
  std::filesystem::create_symlink("/dev/full", dir + "/cluster.json.new");
  const absl::Status full = WriteClusterFile(dir, WithThisProcess());
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_EQ(ReadClusterFile(dir).status().code(), absl::StatusCode::kNotFound);
}

TEST(ClusterFileTest, SomethingElseIsRefused) {
  for (const char* text : {"", "{", "[]", "{\"controller\": 5}", "{\"controller\": \"a\"}"}) {
    std::ofstream(Dir() + "/cluster.json") << text;
    EXPECT_EQ(ReadClusterFile(Dir()).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_TRUE(RemoveClusterFile(Dir()).ok());
}

TEST(ClusterFileTest, RunningMeansThisVeryProcess) {
  ClusterFile cluster = WithThisProcess();
  EXPECT_EQ(RunningProcesses(cluster).size(), 1u);
  EXPECT_TRUE(IsSupervised(cluster));
  ++cluster.supervisor.start_ticks;
  EXPECT_FALSE(IsSupervised(cluster));
  ++cluster.processes[0].identity.start_ticks;
  EXPECT_TRUE(RunningProcesses(cluster).empty()) << "a reused number";
  cluster = WithThisProcess();
  cluster.boot_id = "another";
  EXPECT_TRUE(RunningProcesses(cluster).empty()) << "of another boot";
  EXPECT_FALSE(IsSupervised(cluster)) << "of another boot";
}

TEST(ClusterFileTest, DefaultFolder) {
  setenv("XDG_STATE_HOME", "/state", 1);
  EXPECT_EQ(*DefaultClusterDir(), "/state/waferstream/cluster");
  setenv("XDG_STATE_HOME", "relative", 1);  // the XDG rules say: ignore
  setenv("HOME", "/home/jane", 1);
  EXPECT_EQ(*DefaultClusterDir(), "/home/jane/.local/state/waferstream/cluster");
  unsetenv("XDG_STATE_HOME");
  for (const char* nowhere : {"", "here", "\0"}) {
    setenv("HOME", nowhere, 1);
    EXPECT_TRUE((*DefaultClusterDir()).starts_with(getpwuid(geteuid())->pw_dir));
  }
  unsetenv("HOME");
  EXPECT_TRUE((*DefaultClusterDir()).starts_with(getpwuid(geteuid())->pw_dir));
}

}  // namespace
}  // namespace waferstream
