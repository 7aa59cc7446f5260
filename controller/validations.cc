#include "controller/validations.h"

namespace waferstream {

void NoteValidation(uint64_t steps, double loss, JobStatus& status,
                    JobMemory::Validations& memory) {
  if (steps <= memory.counted_steps()) return;
  const bool first = memory.counted_steps() == 0;
  memory.set_counted_steps(steps);
  if (status.best_step() == 0 || loss < status.best_val_loss()) {
    status.set_best_val_loss(loss);
    status.set_best_step(steps);
  }
  const double min_delta = status.job().training().early_stop().min_delta();
  if (first || loss < memory.to_beat() - min_delta) {
    memory.set_to_beat(loss);
    memory.set_in_vain(0);
  } else {
    memory.set_in_vain(memory.in_vain() + 1);
  }
}

void NoteBestCheckpoint(JobStatus& status) {
  if (!status.job().checkpoint().keep_best() || status.best_step() == 0) return;
  if (status.checkpoint_step() != status.best_step()) return;
  status.set_best_checkpoint(status.checkpoint());
  status.set_best_checkpoint_step(status.checkpoint_step());
}

bool StopsEarly(const JobStatus& status, const JobMemory::Validations& memory) {
  const TrainingSpec& training = status.job().training();
  return training.has_early_stop() && memory.in_vain() >= training.early_stop().patience() &&
         memory.counted_steps() < status.steps();
}

void StopEarly(JobStatus& status, const JobMemory::Validations& memory) {
  Amendment* amendment = status.mutable_job()->mutable_training()->add_amendments();
  amendment->set_from_step(memory.counted_steps());
  amendment->set_end(true);
  status.set_steps(memory.counted_steps());
  status.set_stopped_early(true);
}

void ForgetValidationsAfter(uint64_t step, JobStatus& status, JobMemory::Validations& memory) {
  if (memory.counted_steps() <= step) return;
  // What came before is not on record: the next validation is the first again.
  memory.Clear();
  status.clear_best_val_loss();
  status.clear_best_step();
  if (status.best_checkpoint_step() <= step) return;
  status.clear_best_checkpoint();
  status.clear_best_checkpoint_step();
}

}  // namespace waferstream
