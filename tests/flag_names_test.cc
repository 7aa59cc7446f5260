// The one list of flags' names, held against every program.
#include "base/flag_names.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <set>
#include <string>

#include "checkpoint/posix_disk.h"
#include "client/command_line.h"
#include "controller/controller_flags.h"
#include "memoryx/memoryx_role.h"
#include "node/node_flags.h"
#include "swarmx/swarmx_role.h"
#include "wafer_node/wafer_role.h"

namespace waferstream {
namespace {

void Collect(CLI::App& app, std::set<std::string>& names) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_configurable() || option->get_lnames().empty()) continue;
    names.insert(option->get_lnames()[0]);
    EXPECT_LE(option->get_items_expected_max(), 1) << "a variable holds one value";
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    Collect(*command, names);
  }
}

void CollectOfNode(NodeRole& role, std::set<std::string>& names) {
  CLI::App app;
  NodeFlags flags;
  AddNodeFlags(app, role, flags);
  Collect(app, names);
}

TEST(FlagNamesTest, AreThoseOfAllPrograms) {
  std::set<std::string> names = {"config"};  // of all (base/flag_sources.h)
  {
    CLI::App app;
    ControllerProgramFlags flags;
    AddControllerProgramFlags(app, flags);
    Collect(app, names);
  }
  {
    CLI::App app;
    Outcome outcome = ExitCode::kOk;
    AddCommands(app, outcome);
    Collect(app, names);
  }
  MemoryxRole memoryx(PosixDisk());
  CollectOfNode(memoryx, names);
  SwarmxRole swarmx;
  CollectOfNode(swarmx, names);
  WaferRole wafer(PosixDisk());
  CollectOfNode(wafer, names);
  const std::set<std::string> listed(FlagNames().begin(), FlagNames().end());
  EXPECT_EQ(listed, names);
}

}  // namespace
}  // namespace waferstream
