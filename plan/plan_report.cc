#include "plan/plan_report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "plan/links.h"
#include "plan/plan_costs.h"
#include "plan/verify.h"
#include "proto/role_word.h"

namespace waferstream {
namespace {

using nlohmann::ordered_json;

// Levels of nodes between a wafer and MemoryX.
int DepthOf(const Plan& plan) {
  int depth = 0;
  for (int64_t reach = 1; reach < plan.shape.wafers || depth == 0; ++depth) {
    reach *= plan.job.cluster().fanout();
  }
  return depth;
}

int NodesPerPlane(const Plan& plan) {
  return static_cast<int>(plan.tree_nodes.size() / plan.job.cluster().planes());
}

ordered_json SramAsJson(const Plan& plan) {
  ordered_json regions = ordered_json::array();
  for (const SramRegion& region : plan.sram.regions) {
    regions.push_back({{"name", region.name},
                       {"offset_bytes", region.offset},
                       {"bytes", region.bytes},
                       {"count", region.count}});
  }
  return {{"configured_bytes", plan.job.cluster().wafer().sram_bytes()},
          {"planned_bytes", plan.sram.bytes},
          {"regions", std::move(regions)}};
}

ordered_json MemoryXAsJson(const PlanCosts& costs) {
  ordered_json processes = ordered_json::array();
  for (const ResidentBytes& p : costs.memoryx) {
    processes.push_back({{"parameters", p.elements},
                         {"weight_bytes", p.weights},
                         {"optimizer_bytes", p.optimizer},
                         {"gradient_bytes", p.gradients},
                         {"workspace_bytes", p.workspace},
                         {"state_bytes", p.state()},
                         {"window_bytes", p.windows}});
  }
  return {{"gradient_buffers", costs.gradient_buffers}, {"processes", std::move(processes)}};
}

ordered_json SwarmXAsJson(const PlanCosts& costs) {
  ordered_json processes = ordered_json::array();
  for (const ResidentBytes& p : costs.swarmx) {
    processes.push_back({{"tree_nodes", p.nodes}, {"window_bytes", p.windows}});
  }
  return {{"processes", std::move(processes)}};
}

ordered_json TrafficAsJson(const StepTraffic& t) {
  return {{"forward_stream_bytes", t.forward_stream},
          {"backward_stream_bytes", t.backward_stream},
          {"weights_to_each_wafer_bytes", t.weights_to_wafer},
          {"gradient_stream_bytes", t.gradient_stream},
          {"gradients_from_a_wafer_bytes_max", t.gradients_from_wafer},
          {"gradients_to_memoryx_bytes", t.gradients_to_memoryx}};
}

double LinkSeconds(const LinkBound& bound, double link_mbit) {
  return 8e-6 * bound.bytes() / link_mbit;
}

ordered_json LinksAsJson(const std::vector<LinkTraffic>& links) {
  ordered_json processes = ordered_json::array();
  for (const LinkTraffic& link : links) {
    processes.push_back({{"role", RoleWord(link.role)},
                         {"process", link.process},
                         {"sent_bytes", link.sent()},
                         {"received_bytes", link.received()},
                         {"inside_bytes", link.inside()}});
  }
  return processes;
}

// "12345678 B (11.8 MiB)"; short ones without the parenthesis.
std::string Bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = bytes / 1024.0;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return absl::StrFormat("%d B (%.1f %s)", bytes, value, kUnits[unit]);
}

// "1 wave", "3 waves".
std::string Count(int64_t count, const char* noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

// A heading, and rows of a name and a value.
class Text {
 public:
  void Heading(const std::string& heading) {
    absl::StrAppend(&text_, text_.empty() ? "" : "\n", heading, "\n");
  }
  template <typename... Parts>
  void Row(const std::string& name, const Parts&... parts) {
    absl::StrAppendFormat(&text_, "  %-30s", name);
    absl::StrAppend(&text_, parts..., "\n");
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void AddModel(const Plan& plan, Text& out) {
  out.Heading("Model");
  out.Row("parameters", plan.parameter_elements, " in ", plan.parameters.size(), " tensors");
  out.Row("tiles", plan.tiles.size(), ", the largest ", Bytes(plan.tile_slot_bytes[kLarge]),
          " on the wire");
}

void AddStep(const Plan& plan, const PlanCosts& costs, Text& out) {
  out.Heading(plan.is_generation() ? "A token" : "A step");
  if (!plan.is_generation()) {
    out.Row("micro-batches", plan.leaves, " of ", plan.job.training().micro_batch(), " sequences");
    out.Row("waves", plan.waves, ", at most ", plan.resident_max, " of them resident on a wafer");
    out.Row("recompute", RecomputeName(plan.policy.recompute),
            plan.policy.holds_weights ? "" : ", for which a layer's weights are streamed twice",
            plan.policy.keeps_logits || !Trains(plan.job) ? "" : "; logits are made twice");
  }
  if (plan.verify_slots > 0) {
    out.Row("verified", absl::StrFormat("%.4g", VerifiedShare(plan)), " of the micro-batches, ",
            plan.job.training().verify(), " asked for; at most one a wafer and wave");
  }
  out.Row("FLOPs of the model", absl::StrFormat("%.4g", costs.step_flops));
  out.Row("FLOPs of recomputation", absl::StrFormat("%.4g", costs.recompute_flops));
  if (plan.verify_slots > 0) {
    out.Row("FLOPs of verification", absl::StrFormat("%.4g", costs.verify_flops));
  }
}

void AddSram(const Plan& plan, Text& out) {
  out.Heading("SRAM of a wafer");
  for (const SramRegion& region : plan.sram.regions) {
    if (region.bytes == 0) continue;
    out.Row(region.name, Bytes(region.bytes), " = ", region.count, " x ",
            region.bytes / region.count);
  }
  out.Row("planned", Bytes(plan.sram.bytes));
  out.Row("configured", Bytes(plan.job.cluster().wafer().sram_bytes()));
}

// The process with the most; the others hold at most that.
const ResidentBytes& Fullest(const std::vector<ResidentBytes>& processes) {
  return *std::max_element(processes.begin(), processes.end(), [](const auto& a, const auto& b) {
    return a.state() + a.windows < b.state() + b.windows;
  });
}

void AddServices(const Plan& plan, const PlanCosts& costs, Text& out) {
  out.Heading("Services");
  const ResidentBytes& memoryx = Fullest(costs.memoryx);
  out.Row("MemoryX, each at most", Bytes(memoryx.state()), " state, ", Bytes(memoryx.windows),
          " windows");
  out.Row("  its state", memoryx.elements, " parameters: ", memoryx.weights, " B weights + ",
          memoryx.optimizer, " B optimizer + ", memoryx.gradients, " B gradients",
          memoryx.workspace > 0 ? absl::StrCat(" + ", memoryx.workspace, " B workspace") : "");
  out.Row("SwarmX, each at most", Bytes(Fullest(costs.swarmx).windows), " windows");
  out.Row("trees", plan.job.cluster().planes(), " planes, each ", NodesPerPlane(plan), " nodes in ",
          DepthOf(plan), " levels over ", plan.shape.wafers, " wafers, fan-out ",
          plan.job.cluster().fanout());
}

void AddTraffic(const Plan& plan, const StepTraffic& t, Text& out) {
  out.Heading(plan.is_generation() ? "Traffic a token" : "Traffic a step");
  out.Row("weights into each wafer", Bytes(t.weights_to_wafer), " = ", Count(plan.waves, "wave"),
          " x (", t.forward_stream, " forward + ", t.backward_stream, " backward)");
  if (t.gradient_stream == 0) return;  // a generation, or nothing is trained
  out.Row("gradients from a wafer", "at most ", Bytes(t.gradients_from_wafer), " = ",
          Count(t.gradients_from_wafer / t.gradient_stream, "block"), " x ", t.gradient_stream);
  out.Row("gradients into MemoryX", Bytes(t.gradients_to_memoryx), " = ",
          Count(t.gradients_to_memoryx / t.gradient_stream, "block"), " x ", t.gradient_stream);
}

// Of each role the process that moves most, each on a host of its own.
void AddLinks(const Plan& plan, double link_mbit, Text& out) {
  const std::vector<LinkTraffic> links = LinksOf(plan);
  out.Heading(plan.is_generation() ? "Links a token" : "Links a step");
  for (const Role role : {MEMORYX, SWARMX, WAFER}) {
    const LinkTraffic* busiest = nullptr;
    for (const LinkTraffic& link : links) {
      if (link.role != role) continue;
      const auto moved = [](const LinkTraffic& l) { return l.sent() + l.received(); };
      if (busiest == nullptr || moved(link) > moved(*busiest)) busiest = &link;
    }
    out.Row(absl::StrCat(RoleWord(role), " ", busiest->process), "sends ", Bytes(busiest->sent()),
            ", receives ", Bytes(busiest->received()));
  }
  if (link_mbit == 0) return;
  const LinkBound bound = LinkBoundOf(links);
  out.Row(absl::StrFormat("at %.6g Mbit/s", link_mbit),
          absl::StrFormat("%.4g s", LinkSeconds(bound, link_mbit)), " = (", bound.forward,
          " B forward + ", bound.backward, " B backward) x 8 / rate, on the busiest link of each");
}

}  // namespace

ordered_json PlanAsJson(const Plan& plan, double link_mbit) {
  const PlanCosts costs = CostsOf(plan);
  const std::vector<LinkTraffic> links = LinksOf(plan);
  ordered_json json = {{"job", plan.job.name()},
                       {"parameters", plan.parameter_elements},
                       {"tensors", plan.parameters.size()},
                       {"tiles", plan.tiles.size()},
                       {"tile_bytes_max", plan.tile_slot_bytes[kLarge]},
                       {"micro_batches", plan.leaves},
                       {"resident_micro_batches_max", plan.resident_max},
                       {"waves", plan.waves},
                       {"validation_waves", plan.validation_waves},
                       {"recompute", RecomputeName(plan.policy.recompute)},
                       {"holds_layer_weights", plan.policy.holds_weights},
                       {"keeps_logits", plan.policy.keeps_logits},
                       {"step_flops", costs.step_flops},
                       {"recompute_flops", costs.recompute_flops},
                       {"verified_share", VerifiedShare(plan)},
                       {"verify_flops", costs.verify_flops},
                       {"sram", SramAsJson(plan)},
                       {"memoryx", MemoryXAsJson(costs)},
                       {"swarmx", SwarmXAsJson(costs)},
                       {"trees",
                        {{"wafers", plan.shape.wafers},
                         {"planes", plan.job.cluster().planes()},
                         {"fanout", plan.job.cluster().fanout()},
                         {"nodes_per_plane", NodesPerPlane(plan)},
                         {"levels", DepthOf(plan)}}},
                       {"traffic", TrafficAsJson(costs.traffic)},
                       {"links", LinksAsJson(links)},
                       {"plan_hash", absl::StrFormat("%016x", plan.Hash())}};
  if (link_mbit > 0) json["link_step_seconds"] = LinkSeconds(LinkBoundOf(links), link_mbit);
  return json;
}

std::string PlanAsText(const Plan& plan, double link_mbit) {
  const PlanCosts costs = CostsOf(plan);
  Text out;
  AddModel(plan, out);
  AddStep(plan, costs, out);
  AddSram(plan, out);
  AddServices(plan, costs, out);
  AddTraffic(plan, costs.traffic, out);
  AddLinks(plan, link_mbit, out);
  return out.Take();
}

}  // namespace waferstream
