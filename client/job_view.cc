#include "client/job_view.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/text.h"
#include "base/version.h"
#include "client/job_facts.h"
#include "client/loss_curve.h"
#include "client/table.h"
#include "client/units.h"

namespace waferstream {
namespace {

Json TrafficJson(const NodeTraffic& node) {
  const TrafficCounters& c = node.counters();
  return Json{{"node", node.node_id()},
              {"role", absl::AsciiStrToLower(Role_Name(node.role()))},
              {"weight_bytes_in", c.weight_bytes_in()},
              {"weight_bytes_out", c.weight_bytes_out()},
              {"gradient_bytes_in", c.gradient_bytes_in()},
              {"gradient_bytes_out", c.gradient_bytes_out()},
              {"gradient_blocks_in", c.gradient_blocks_in()},
              {"gradient_blocks_out", c.gradient_blocks_out()},
              {"gradient_adds", c.gradient_adds()},
              {"busy_seconds", c.busy_seconds()}};
}

Json NumberOrNull(const std::optional<double>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

// Facts that every view of a job has.
Json HeadJson(const JobStatus& job) {
  const JobFacts facts = FactsOf(job);
  return Json{{"job", job.job_id()},
              {"name", job.name()},
              {"user", job.user()},
              {"state", JobState_Name(job.state())},
              {"reason", job.reason()},
              {"step", job.step()},
              {"steps", job.steps()},
              {"loss", NumberOrNull(facts.loss)},
              {"val_loss", NumberOrNull(facts.val_loss)}};
}

std::string LossText(const std::optional<double>& loss) {
  return loss.has_value() ? absl::StrFormat("%.4f", *loss) : "-";
}

// "BUSY", "BUSY, draining", "IDLE, cordoned".
std::string NodeStateText(const NodeStatus& node) {
  const char* but = node.draining() ? ", draining" : node.cordoned() ? ", cordoned" : "";
  return absl::StrCat(NodeState_Name(node.state()), but);
}

std::string StepText(const JobStatus& job) { return absl::StrCat(job.step(), "/", job.steps()); }

}  // namespace

Json JobJson(const JobStatus& job) {
  Json out = HeadJson(job);
  const JobFacts facts = FactsOf(job);
  out.update(
      {{"weights_hash", job.weights_hash()},
       {"optimizer_hash", job.optimizer_hash()},
       {"tokens_per_second", NumberOrNull(facts.tokens_per_second)},
       {"step_seconds", NumberOrNull(facts.step_seconds)},
       {"exposed_stream_fraction", NumberOrNull(facts.exposed_stream_fraction)},
       {"profile_step_seconds", job.profile_step_seconds()},
       {"sram_planned_bytes", job.sram_planned_bytes()},
       {"sram_peak_bytes", job.sram_peak_bytes()},
       {"parameters", job.parameters()},
       {"seconds", job.seconds()},
       {"seconds_left", NumberOrNull(facts.seconds_left)},
       {"checkpoint", job.checkpoint()},
       {"checkpoint_step", job.checkpoint_step()},
       {"best_val_loss", NumberOrNull(facts.best_val_loss)},
       {"best_step", job.best_step()},
       {"best_checkpoint", job.best_checkpoint()},
       {"stopped_early", job.stopped_early()},
       {"kernel_isa", job.kernel_isa()},
       {"build", job.build()},
       {"numerics", NumericsSaid(job.numerics())},
       {"epoch", job.epoch()},
       {"wafers", job.wafers()},
       {"redone_steps", job.redone_steps()},
       {"submitted_unix_s", job.submitted_unix_s()},
       {"micro_batch", job.job().training().micro_batch()},
       {"tile_elements", job.job().training().tile_elements()},
       {"precision", absl::AsciiStrToLower(Precision_Name(job.job().training().precision()))},
       {"first_step", job.first_step()},
       {"losses", job.losses()}});
  if (!job.generated().empty()) out["generated"] = job.generated();
  out["ancestors"] = Json::array();
  for (const std::string& id : job.ancestors()) {
    if (!id.empty()) out["ancestors"].push_back(id);
  }
  out["traffic"] = Json::array();
  for (const NodeTraffic& node : job.traffic()) out["traffic"].push_back(TrafficJson(node));
  return out;
}

std::string JobTable(const JobStatus& job) {
  std::vector<std::pair<std::string, std::string>> rows = {
      {"job", job.job_id()}, {"name", job.name()}, {"state", JobState_Name(job.state())}};
  auto add = [&rows](bool present, const char* name, std::string value) {
    if (present) rows.emplace_back(name, std::move(value));
  };
  const JobFacts facts = FactsOf(job);
  const bool measured = facts.step_seconds.has_value();
  add(!job.user().empty(), "user", job.user());
  add(!job.reason().empty(), "reason", job.reason());
  add(true, "step", absl::StrCat(StepText(job), job.stopped_early() ? ", stopped early" : ""));
  add(job.wafers() > 0, "wafers", absl::StrCat(job.wafers()));
  add(job.epoch() > 1, "epoch",
      absl::StrCat(job.epoch(), ", ", job.redone_steps(), " steps redone"));
  add(facts.loss.has_value(), "loss", LossText(facts.loss));
  add(facts.val_loss.has_value(), "validation loss", LossText(facts.val_loss));
  add(facts.best_val_loss.has_value(), "best validation loss",
      absl::StrCat(LossText(facts.best_val_loss), " after ", job.best_step(), " steps"));
  add(job.parameters() > 0, "parameters", HumanCount(job.parameters()));
  add(measured, "speed",
      absl::StrFormat("%s tokens/s, %s a step", HumanCount(job.tokens_per_second()),
                      HumanSeconds(job.step_seconds())));
  add(measured, "waiting for tiles",
      absl::StrFormat("%.1f%% of a step", 100 * job.exposed_stream_fraction()));
  add(job.profile_step_seconds() > 0, "step on the profile",
      absl::StrFormat("%.3g s (simulated)", job.profile_step_seconds()));
  add(job.sram_planned_bytes() > 0, "SRAM",
      absl::StrFormat("%s planned, %s peak", HumanBytes(job.sram_planned_bytes()),
                      HumanBytes(job.sram_peak_bytes())));
  add(job.seconds() > 0, "time", HumanSeconds(job.seconds()));
  add(!job.checkpoint().empty(), "checkpoint", job.checkpoint());
  add(!job.best_checkpoint().empty(), "best checkpoint", job.best_checkpoint());
  add(!job.weights_hash().empty(), "weights_hash", job.weights_hash());
  add(!job.optimizer_hash().empty(), "optimizer_hash", job.optimizer_hash());
  const std::vector<double> losses(job.losses().begin(), job.losses().end());
  const std::string curve = LossCurve(losses, job.first_step());
  return absl::StrCat(RenderPairs(rows), curve.empty() ? "" : "\n", curve);
}

Json JobListJson(const JobList& jobs) {
  Json out = Json::array();
  for (const JobStatus& job : jobs.jobs()) out.push_back(HeadJson(job));
  return out;
}

std::string JobListTable(const JobList& jobs) {
  // Where nobody is told apart there is no column of users.
  const bool users = std::any_of(jobs.jobs().begin(), jobs.jobs().end(),
                                 [](const JobStatus& job) { return !job.user().empty(); });
  std::vector<Column> columns = {{"JOB"},
                                 {"NAME"},
                                 {"STATE"},
                                 {"STEP", Align::kRight},
                                 {"LOSS", Align::kRight},
                                 {"VAL", Align::kRight},
                                 {"SUBMITTED"},
                                 {"REASON"}};
  if (users) columns.insert(columns.begin() + 1, {"USER"});
  Table table(std::move(columns));
  for (const JobStatus& job : jobs.jobs()) {
    const JobFacts facts = FactsOf(job);
    std::vector<std::string> row = {job.job_id(),
                                    job.name(),
                                    JobState_Name(job.state()),
                                    StepText(job),
                                    LossText(facts.loss),
                                    LossText(facts.val_loss),
                                    HumanTime(job.submitted_unix_s()),
                                    job.reason()};
    if (users) row.insert(row.begin() + 1, job.user());
    table.Add(std::move(row));
  }
  return table.Render();
}

Json NodeListJson(const NodeList& nodes) {
  Json out = Json::array();
  for (const NodeStatus& node : nodes.nodes()) {
    out.push_back({{"node", node.node_id()},
                   {"role", absl::AsciiStrToLower(Role_Name(node.role()))},
                   {"state", NodeState_Name(node.state())},
                   {"address", node.address()},
                   {"job", node.job_id()},
                   {"seconds_since_heard", node.seconds_since_heard()},
                   {"kernel_isa", node.kernel_isa()},
                   {"cordoned", node.cordoned()},
                   {"draining", node.draining()},
                   {"version", node.version()},
                   {"protocol", node.protocol()},
                   {"numerics", node.numerics()},
                   {"note", node.note()}});
  }
  return out;
}

std::string NodeListTable(const NodeList& nodes) {
  Table table({{"NODE"},
               {"ROLE"},
               {"STATE"},
               {"ADDRESS"},
               {"HEARD", Align::kRight},
               {"VERSION"},
               {"ISA"},
               {"JOB"},
               {"NOTE"}});
  for (const NodeStatus& node : nodes.nodes()) {
    table.Add({node.node_id(), absl::AsciiStrToLower(Role_Name(node.role())), NodeStateText(node),
               node.address(), absl::StrCat(HumanSeconds(node.seconds_since_heard()), " ago"),
               node.version(), node.kernel_isa(), node.job_id(), node.note()});
  }
  return table.Render();
}

Json EventListJson(const EventList& events) {
  Json out = Json::array();
  for (const Event& event : events.events()) {
    out.push_back({{"unix_s", event.unix_s()}, {"text", event.text()}});
  }
  return out;
}

std::string EventListLines(const EventList& events) {
  std::string out;
  for (const Event& event : events.events()) {
    absl::StrAppend(&out, HumanTime(event.unix_s()), "  ", OneLine(event.text()), "\n");
  }
  return out;
}

}  // namespace waferstream
