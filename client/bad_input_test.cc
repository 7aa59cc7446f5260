// Everything that can be wrong with what the user gives: one line on stderr, an exit code, and
// nothing left behind.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fd.h"
#include "client/ctl_harness.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

struct BadInput {
  const char* name;
  std::vector<std::string> args;  // after "run -f job.yaml", or, if they begin with a word, all
  int exit_code;
  const char* message;  // somewhere in the line
  std::function<void(const fs::path& dir)> prepare = [](const fs::path&) {};
};

void PrintTo(const BadInput& bad, std::ostream* out) { *out << bad.name; }

void Truncate(const fs::path& path, uint64_t bytes) { fs::resize_file(path, bytes); }

void FlipByte(const fs::path& path, int64_t from_end) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-from_end, std::ios::end);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(-from_end, std::ios::end);
  file.put(byte);
}

const BadInput kBadInputs[] = {
    {"unknown_key", {"--set", "training.micro_bach=4"}, 2, "micro_bach"},
    {"not_a_number", {"--set", "training.steps=many"}, 2, "training.steps"},
    {"hidden_not_divisible", {"--set", "model.hidden=33"}, 2, "model.hidden"},
    {"micro_batch_not_dividing", {"--set", "training.micro_batch=3"}, 2, "micro_batch"},
    {"no_wafers", {"--wafers", "0"}, 2, "wafers"},
    {"wafers_not_a_number", {"--wafers", "two"}, 2, "wafers"},
    {"unknown_family", {"--set", "model.family=bert"}, 2, "model.family"},
    {"does_not_fit", {"--set", "cluster.wafer.sram=1KiB"}, 1, "cluster.wafer.sram"},
    {"plan_that_does_not_fit",
     {"plan", "-f", "job.yaml", "--set", "cluster.wafer.sram=1KiB"},
     1,
     "cluster.wafer.sram"},
    {"token_beyond_vocabulary", {"--set", "model.vocab=100"}, 2, "train.bin"},
    {"no_data", {"--set", "data.train=nowhere.bin"}, 2, "nowhere.bin"},
    {"empty_data", {}, 2, "train.bin", [](const fs::path& dir) { Truncate(dir / "train.bin", 0); }},
    {"odd_data",
     {},
     2,
     "train.bin",
     [](const fs::path& dir) { Truncate(dir / "train.bin", 2001); }},
    {"data_shorter_than_a_sample",
     {},
     2,
     "val.bin",
     [](const fs::path& dir) { Truncate(dir / "val.bin", 32); }},
    {"no_job_file", {"run", "-f", "nowhere.yaml"}, 2, "nowhere.yaml"},
    {"not_yaml",
     {},
     2,
     "job.yaml",
     [](const fs::path& dir) { std::ofstream(dir / "job.yaml") << "name: [\n"; }},
    {"no_checkpoint", {"--resume", "nowhere"}, 2, "nowhere"},
    {"resume_from_nothing", {"--resume", ""}, 2, "--resume: is empty"},
    {"resume_from_an_unset_variable",
     {"--set", "checkpoint.from="},
     2,
     "checkpoint.from: is empty"},
    {"checkpoints_to_nowhere", {"--set", "checkpoint.dir=''"}, 2, "checkpoint.dir: is empty"},
    {"resume_from_an_empty_line",
     {},
     2,
     "checkpoint.from",
     [](const fs::path& dir) {
       std::ofstream(dir / "job.yaml", std::ios::app) << "checkpoint: {from: }\n";
     }},
    {"run_dir_empty", {"--run-dir", ""}, 2, "--run-dir: is empty"},
    {"request_id_empty",
     {"submit", "-f", "job.yaml", "--request-id", "", "--controller", "127.0.0.1:1"},
     2,
     "--request-id"},
    {"resume_without_a_manifest",
     {"--resume", "initial"},
     2,
     "has no waferstream.json",
     [](const fs::path& dir) { fs::remove(dir / "initial/waferstream.json"); }},
    {"resume_with_an_empty_manifest",
     {"--resume", "initial"},
     2,
     "initial/waferstream.json",
     [](const fs::path& dir) { Truncate(dir / "initial/waferstream.json", 0); }},
    {"start_from_a_lost_manifest",
     {"--set", "checkpoint.from=initial"},
     2,
     "is damaged",
     [](const fs::path& dir) {
       fs::remove(dir / "initial/waferstream.json");
       std::ofstream(dir / "initial/optimizer.safetensors") << "state";
     }},
    {"resume_from_damaged_ones",
     {"--resume", "."},
     2,
     "step-000002 is damaged",
     [](const fs::path& dir) {
       fs::rename(dir / "initial", dir / "step-000002");
       Truncate(dir / "step-000002/model.safetensors", 9);
     }},
    {"folder_of_an_unknown_job",
     {"--set", "checkpoint.dir=."},
     2,
     "holds step-000002 of job",
     [](const fs::path& dir) { fs::rename(dir / "initial", dir / "step-000002"); }},
    {"folder_with_a_damaged_one",
     {"--set", "checkpoint.dir=."},
     2,
     "step-000002 of an unknown job",
     [](const fs::path& dir) {
       fs::rename(dir / "initial", dir / "step-000002");
       fs::remove(dir / "step-000002/waferstream.json");
     }},
    {"checkpoint_of_another_model",
     {"--resume", "initial", "--set", "model.layers=3"},
     2,
     "initial"},
    {"truncated_checkpoint",
     {"--resume", "initial"},
     2,
     "initial",
     [](const fs::path& dir) { Truncate(dir / "initial/model.safetensors", 5000); }},
    {"corrupt_checkpoint",
     {"--resume", "initial"},
     2,
     "initial",
     [](const fs::path& dir) { FlipByte(dir / "initial/model.safetensors", 100); }},
    {"corrupt_config",
     {"--resume", "initial"},
     2,
     "config.json",
     [](const fs::path& dir) { Truncate(dir / "initial/config.json", 10); }},
    {"run_dir_below_a_file", {"--run-dir", "job.yaml/run"}, 2, "--run-dir"},
    {"run_dir_where_nothing_can_be", {"--run-dir", "/proc/waferstream"}, 2, "/proc/waferstream"},
    {"run_dir_in_use", {"--run-dir", "initial"}, 2, "not empty"},
    {"no_command", {"frobnicate"}, 2, "frobnicate"},
    {"no_flag", {"list", "--frobnicate"}, 2, "frobnicate"},
    {"bad_format", {"list", "-o", "xml"}, 2, "xml"},
    {"bad_address", {"list", "--controller", "nonsense"}, 2, "nonsense"},
    {"nobody_there", {"list", "--controller", "127.0.0.1:1"}, 4, "127.0.0.1:1"},
    {"no_cluster", {"nodes"}, 4, "waferctl up"},
    {"nothing_to_take_down", {"down"}, 3, "no cluster is up"},
    {"no_checkpoints_to_list", {"checkpoint", "list", "nowhere"}, 3, "nowhere"},
    {"checkpoint_there_already",
     {"checkpoint", "init", "-f", "job.yaml", "--out", "initial"},
     1,
     "initial"},
    {"generate_without_prompt", {"generate", "--checkpoint", "initial"}, 2, "--prompt"},
    {"generate_from_nothing",
     {"generate", "--checkpoint", "nowhere", "--prompt", "a"},
     2,
     "nowhere"},
    {"prompt_beyond_vocabulary",
     {"generate", "--checkpoint", "initial", "--prompt-tokens", "256"},
     2,
     "256"},
};

class BadInputTest : public testing::TestWithParam<BadInput> {};

std::vector<std::string> Arguments(const BadInput& bad) {
  const bool whole = !bad.args.empty() && bad.args[0][0] != '-';
  std::vector<std::string> args = bad.args;
  if (!whole) args.insert(args.begin(), {"run", "-f", "job.yaml"});
  return args;
}

// Everything below the folder but the outputs of the calls themselves.
std::vector<std::string> Listing(const fs::path& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    const std::string name = fs::relative(entry.path(), dir).string();
    if (!absl::StartsWith(name, "out.") && !absl::StartsWith(name, "err.")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void ExpectRefusal(CtlHarness& harness, const BadInput& bad) {
  const std::vector<std::string> before = Listing(harness.dir());
  const auto call = harness.Run(Arguments(bad), bad.exit_code);
  const std::string err = call->err();
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  EXPECT_TRUE(absl::StartsWith(err, "waferctl: ")) << err;
  EXPECT_TRUE(absl::StrContains(err, bad.message)) << err;
  EXPECT_EQ(call->out(), "");
  EXPECT_EQ(Listing(harness.dir()), before) << "something was left behind";
}

TEST_P(BadInputTest, OneLineAndNothingLeft) {
  CtlHarness harness("bad_input");
  harness.WriteJob(2);
  harness.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  GetParam().prepare(harness.dir());
  ExpectRefusal(harness, GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, BadInputTest, testing::ValuesIn(kBadInputs),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(PortInUseTest, IsNamed) {
  const Fd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  const std::string port = absl::StrCat(ntohs(address.sin_port));

  CtlHarness harness("port");
  ExpectRefusal(harness, {"port_in_use", {"up", "--port", port}, 2, "Address already in use"});
}

}  // namespace
}  // namespace waferstream
