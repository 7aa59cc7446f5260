#include "client/job_facts.h"

#include "proto/job_state.h"

namespace waferstream {

JobFacts FactsOf(const JobStatus& job) {
  JobFacts facts;
  if (job.has_loss()) facts.loss = job.loss();
  if (job.has_val_loss()) facts.val_loss = job.val_loss();
  if (job.best_step() > 0) facts.best_val_loss = job.best_val_loss();
  if (job.step_seconds() > 0) {
    facts.step_seconds = job.step_seconds();
    facts.tokens_per_second = job.tokens_per_second();
    facts.exposed_stream_fraction = job.exposed_stream_fraction();
    facts.seconds_left = job.seconds_left();
  }
  if (IsFinal(job.state())) facts.seconds_left = 0;
  return facts;
}

}  // namespace waferstream
