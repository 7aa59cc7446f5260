#include "client/job_view.h"

#include "client/progress.h"
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

TEST(JobViewTest, ShowsTheBestValidation) {
  JobStatus job = Running();
  EXPECT_TRUE(JobJson(job)["best_val_loss"].is_null());
  EXPECT_EQ(JobJson(job)["stopped_early"], false);
  job.set_has_val_loss(true);
  job.set_best_val_loss(2.5);
  job.set_best_step(40);
  job.set_best_checkpoint("/c/step-40");
  job.set_stopped_early(true);
  const Json json = JobJson(job);
  EXPECT_EQ(json["best_val_loss"], 2.5);
  EXPECT_EQ(json["best_step"], 40);
  EXPECT_EQ(json["best_checkpoint"], "/c/step-40");
  EXPECT_EQ(json["stopped_early"], true);
  const std::string table = JobTable(job);
  EXPECT_NE(table.find("2.5000 after 40 steps"), std::string::npos) << table;
  EXPECT_NE(table.find("/c/step-40"), std::string::npos) << table;
  EXPECT_NE(table.find("stopped early"), std::string::npos) << table;
}

// docs/CLI.md's table of what is known in which state: JSON, table and progress say the same.
TEST(JobViewTest, WhatIsNotKnownIsNullInEveryState) {
  JobStatus queued;
  queued.set_steps(10);
  JobStatus resumed = queued;  // at step 5, where its checkpoint is
  resumed.set_first_step(5);
  resumed.set_step(5);
  JobStatus stepped = Running();
  stepped.set_seconds_left(4);
  struct Case {
    const char* what;
    JobStatus job;
    JobState state;
    Json loss, rate, left;
  };
  const Json null = nullptr;
  const Case cases[] = {
      {"before it began", queued, QUEUED, null, null, null},
      {"before its first step", queued, PREPARING, null, null, null},
      {"before its first step", queued, RUNNING, null, null, null},
      {"before its first step", queued, PAUSED, null, null, null},
      {"before its first step", queued, FAILED, null, null, 0.0},
      {"before its first step", queued, CANCELLED, null, null, 0.0},
      {"before its first step after a resume", resumed, PREPARING, null, null, null},
      {"before its first step after a resume", resumed, RUNNING, null, null, null},
      {"after a loss", stepped, PREPARING, 5.25, 12345.0, 4.0},
      {"under way", stepped, RUNNING, 5.25, 12345.0, 4.0},
      {"under way", stepped, PAUSED, 5.25, 12345.0, 4.0},
      {"at its end", stepped, DONE, 5.25, 12345.0, 0.0},
      {"at its end", stepped, FAILED, 5.25, 12345.0, 0.0},
      {"at its end", stepped, CANCELLED, 5.25, 12345.0, 0.0},
  };
  for (Case c : cases) {
    c.job.set_state(c.state);
    SCOPED_TRACE(testing::Message() << JobState_Name(c.state) << " " << c.what);
    const Json json = JobJson(c.job);
    EXPECT_EQ(json["loss"], c.loss);
    EXPECT_EQ(json["tokens_per_second"], c.rate);
    EXPECT_EQ(json["step_seconds"].is_null(), c.rate.is_null());
    EXPECT_EQ(json["exposed_stream_fraction"].is_null(), c.rate.is_null());
    EXPECT_EQ(json["seconds_left"], c.left);
    EXPECT_EQ(json["first_step"], c.job.first_step());
    const auto says = [](const std::string& text, const char* what) {
      return text.find(what) != std::string::npos;
    };
    EXPECT_EQ(says(JobTable(c.job), "5.2500"), !c.loss.is_null());
    EXPECT_EQ(says(JobTable(c.job), "tokens/s"), !c.rate.is_null());
    if (c.state != RUNNING) continue;
    EXPECT_EQ(says(FormatProgress(c.job), "5.2500"), !c.loss.is_null());
    EXPECT_EQ(says(FormatProgress(c.job), "tok/s"), !c.rate.is_null());
    EXPECT_EQ(says(FormatProgress(c.job), "left"), !c.left.is_null());
  }
}

TEST(JobViewTest, AGenerationHasNoLoss) {
  JobStatus job;
  job.mutable_job()->mutable_generate()->set_tokens(3);
  job.set_step(2);
  EXPECT_TRUE(JobJson(job)["loss"].is_null());
  EXPECT_EQ(JobTable(job).find("loss"), std::string::npos);
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
