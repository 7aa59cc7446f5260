// What a step takes on eight hosts (network namespaces) whose links are the bottleneck, beside what
// `waferctl plan --link-mbit` predicts. Prints one JSON array.
//   hosts [STEPS]
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/user_input.h"
#include "client/ctl_harness.h"
#include "tests/hosts/host_cluster.h"
#include "tests/hosts/host_network.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

struct Row {
  const char* name;
  std::vector<std::string> sets;
};

// 3.2 million parameters and 256 tokens a step: little arithmetic for the bytes.
const std::vector<std::string> kModel = {"model.layers=4", "model.hidden=256",
                                         "training.tile=65536", "cluster.wafers.min=4",
                                         "cluster.wafer.sram=256MiB"};
const std::vector<Row> kRows = {
    {"f32, 1 plane", {"cluster.planes=1"}},
    {"f32, 2 planes", {"cluster.planes=2"}},
    {"bf16, 2 planes", {"cluster.planes=2", "training.precision=bf16"}},
    {"f32, 2 planes, 1 level", {"cluster.planes=2", "cluster.fanout=4"}},
};
constexpr double kMbit[] = {100, 200, 400, 800};

// Where the harness looks for programs, as under `bazel test`.
void FindPrograms() {
  std::error_code error;
  const std::string self = fs::canonical("/proc/self/exe", error).string();
  setenv("TEST_SRCDIR", (self + ".runfiles").c_str(), 0);
  setenv("TEST_WORKSPACE", "waferstream", 0);
}

class Bench {
 public:
  Bench(double mbit, int steps)
      : mbit_(mbit), harness_("waferstream-hosts-bench"), network_(Network(mbit)) {
    HostCluster::WriteJob(harness_, steps);
  }

  fs::path dir() const { return harness_.dir(); }

  nlohmann::json Measure(HostCluster& cluster, const Row& row) {
    std::vector<std::string> of_job = {"-f", "job.yaml"};
    for (const auto& sets : {kModel, row.sets}) {
      for (const std::string& set : sets) of_job.insert(of_job.end(), {"--set", set});
    }
    std::vector<std::string> plan = {"plan", "--link-mbit", absl::StrCat(mbit_), "-o", "json"};
    plan.insert(plan.end(), of_job.begin(), of_job.end());
    std::vector<std::string> submit = {"submit", "--wait"};
    submit.insert(submit.end(), of_job.begin(), of_job.end());
    const nlohmann::json predicted = harness_.Run(plan)->json();
    const LinkBytes before = OnLink();
    const nlohmann::json job = cluster.AsUser(submit);
    const LinkBytes after = OnLink();
    const nlohmann::json& swarmx0 = predicted["links"][kSwarmX0Host - 1];
    const double payload = job["steps"].get<double>() * swarmx0["sent_bytes"].get<double>();
    return {{"row", row.name},
            {"link_bytes_over_payload", (after.sent - before.sent) / payload},
            {"mbit_per_s", mbit_},
            {"predicted_step_seconds", predicted["link_step_seconds"]},
            {"step_seconds", job["step_seconds"]},
            {"weights_hash", job["weights_hash"]}};
  }

  nlohmann::json MeasureAll() {
    HostCluster cluster(harness_, *network_, HostNetwork::NameOf);
    nlohmann::json rows = nlohmann::json::array();
    for (const Row& row : kRows) {
      rows.push_back(Measure(cluster, row));
      std::fprintf(stderr, "%s\n", rows.back().dump().c_str());
    }
    return rows;
  }

 private:
  // Of the host with a plane's root.
  LinkBytes OnLink() const { return network_->BytesOf(kSwarmX0Host).value_or(LinkBytes{}); }

  static std::unique_ptr<HostNetwork> Network(double mbit) {
    auto network = HostNetwork::Make(kClusterHosts, mbit);
    if (network.ok()) return *std::move(network);
    std::fprintf(stderr, "hosts: %s\n", std::string(network.status().message()).c_str());
    std::exit(1);
  }

  const double mbit_;
  CtlHarness harness_;
  const std::unique_ptr<HostNetwork> network_;
};

int Main(int argc, char** argv) {
  const absl::StatusOr<uint64_t> steps =
      ParseWhole("STEPS", argc > 1 ? argv[1] : "5", {.low = 1, .high = 1000});
  if (!steps.ok()) {
    std::fprintf(stderr, "hosts: %s\n", std::string(steps.status().message()).c_str());
    return 2;
  }
  FindPrograms();
  nlohmann::json all = nlohmann::json::array();
  for (const double mbit : kMbit) {
    fs::path left_behind;
    {
      Bench bench(mbit, static_cast<int>(*steps));
      left_behind = bench.dir();
      for (nlohmann::json& row : bench.MeasureAll()) all.push_back(std::move(row));
    }
    std::error_code error;
    fs::remove_all(left_behind, error);
  }
  std::printf("%s\n", all.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
