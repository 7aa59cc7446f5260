#include "client/job_view.h"

#include "gtest/gtest.h"

namespace waferstream {
namespace {

JobStatus Running() {
  JobStatus job;
  job.set_job_id("austen-1");
  job.set_name("austen");
  job.set_state(RUNNING);
  job.set_step(2);
  job.set_steps(10);
  job.set_loss(5.25);
  job.add_losses(5.5);
  job.add_losses(5.25);
  job.set_step_seconds(0.5);
  job.set_tokens_per_second(12345);
  job.set_exposed_stream_fraction(0.125);
  job.set_sram_planned_bytes(1 << 20);
  job.set_sram_peak_bytes(1 << 20);
  return job;
}

TEST(JobViewTest, JsonHasEveryPromisedField) {
  const Json json = JobJson(Running());
  for (const char* field :
       {"job", "state", "step", "loss", "val_loss", "weights_hash", "optimizer_hash",
        "tokens_per_second", "step_seconds", "exposed_stream_fraction", "sram_planned_bytes",
        "sram_peak_bytes", "parameters", "losses", "epoch", "wafers", "redone_steps"}) {
    EXPECT_TRUE(json.contains(field)) << field;
  }
  EXPECT_EQ(json["state"], "RUNNING");
  EXPECT_EQ(json["losses"], Json({5.5, 5.25}));
  EXPECT_TRUE(json["val_loss"].is_null()) << "not validated yet is not 0";
}

TEST(JobViewTest, NoLossBeforeTheFirstStep) {
  EXPECT_TRUE(JobJson(JobStatus())["loss"].is_null());
  EXPECT_EQ(JobTable(JobStatus()).find("loss"), std::string::npos);
}

TEST(JobViewTest, TableSaysWhatIsKnownOnly) {
  const std::string table = JobTable(Running());
  EXPECT_NE(table.find("12.3k tokens/s, 0.50s a step"), std::string::npos) << table;
  EXPECT_NE(table.find("12.5% of a step"), std::string::npos) << table;
  EXPECT_EQ(table.find("weights_hash"), std::string::npos) << table;
}

TEST(JobViewTest, Lists) {
  JobList jobs;
  *jobs.add_jobs() = Running();
  EXPECT_EQ(JobListJson(jobs)[0]["job"], "austen-1");
  EXPECT_NE(JobListTable(jobs).find("2/10"), std::string::npos);

  NodeList nodes;
  nodes.add_nodes()->set_node_id("wafer-0");
  nodes.mutable_nodes(0)->set_role(WAFER);
  EXPECT_EQ(NodeListJson(nodes)[0]["role"], "wafer");
  EXPECT_NE(NodeListTable(nodes).find("wafer-0"), std::string::npos);
  EXPECT_EQ(NodeListJson(nodes)[0]["cordoned"], false);
  nodes.mutable_nodes(0)->set_cordoned(true);
  nodes.mutable_nodes(0)->set_note("computed another gradient than two others");
  EXPECT_EQ(NodeListJson(nodes)[0]["cordoned"], true);
  EXPECT_NE(NodeListTable(nodes).find("IDLE, cordoned"), std::string::npos);
  EXPECT_NE(NodeListTable(nodes).find("another gradient"), std::string::npos);
  nodes.mutable_nodes(0)->set_draining(true);
  EXPECT_NE(NodeListTable(nodes).find("IDLE, draining"), std::string::npos);

  EventList events;
  events.add_events()->set_text("epoch 1 starts");
  EXPECT_EQ(EventListLines(events), "1970-01-01 00:00:00  epoch 1 starts\n");
}

}  // namespace
}  // namespace waferstream
