#include "sim/inproc_cluster.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/worker_pool.h"
#include "checkpoint/posix_disk.h"
#include "proto/job_state.h"
#include "sim/sim_cluster.h"

namespace waferstream {
namespace {

constexpr char kRequest[] = "the job";

// The job's cluster, and who watches it from outside.
class Run final : StatusWatcher {
 public:
  Run(const JobSpec& job, const InprocOptions& options)
      : job_(job),
        pool_(static_cast<int>(job.cluster().wafer().kernel_threads())),
        world_(options.seed, QuickPace(), Weather{}, pool_, nullptr),
        cluster_(world_, {.memoryx = options.shape.memoryx,
                          .swarmx = options.shape.swarmx,
                          .wafers = options.shape.wafers,
                          .disk = options.disk != nullptr ? options.disk : &PosixDisk()}) {
    result_.sram_peak_bytes.resize(options.shape.wafers);
    result_.memoryx.resize(options.shape.memoryx);
    result_.swarmx.resize(options.shape.swarmx);
    result_.wafers.resize(options.shape.wafers);
    world_.on_report = [this](const auto&... what) { OnReport(what...); };
  }

  absl::StatusOr<InprocResult> Execute() {
    cluster_.Boot();
    cluster_.controller().Submit(kRequest, job_, [this](const absl::StatusOr<JobStatus>& answer) {
      if (!answer.ok()) return End(answer.status());
      job_id_ = answer->job_id();
      WS_CHECK(cluster_.controller().board().Watch(job_id_, this));
      OnStatus();
    });
    Watch(0);
    while (!over_ && world_.violation.empty() && world_.queue.RunNext()) {
    }
    if (!world_.violation.empty()) return absl::InternalError(world_.violation);
    RETURN_IF_ERROR(end_);
    return Result();
  }

 private:
  void End(const absl::Status& why) {
    over_ = true;
    end_ = why;
  }

  // Ends a job that does not move.
  void Watch(uint64_t moves) {
    world_.queue.After(10 * world_.pace.lease_ns, [this, moves] {
      if (moves_ != moves) return Watch(moves_);
      End(absl::InternalError(absl::StrCat("the cluster stands still after ", status_.step(),
                                           " steps: ", JobState_Name(status_.state()), " ",
                                           status_.reason())));
    });
  }

  // StatusWatcher
  void OnStatus() override {
    ++moves_;
    const JobStatus& now = *cluster_.controller().board().Find(job_id_);
    if (now.has_val_loss() && !(status_.has_val_loss() && now.val_loss() == status_.val_loss())) {
      result_.validation_losses.push_back(now.val_loss());
    }
    status_ = now;
    if (!IsFinal(now.state())) return;
    End(now.state() == DONE ? absl::OkStatus() : absl::FailedPreconditionError(now.reason()));
  }

  void OnReport(const PrepareRequest& who, const PrepareReply& prepared, const NodeReport& report) {
    if (report.has_gradients_ready()) {
      result_.memoryx[who.index()] = report.gradients_ready().traffic();
    } else if (report.has_swarmx_step()) {
      result_.swarmx[who.index()] = report.swarmx_step().traffic();
    } else if (report.has_wafer_step()) {
      const WaferStep& step = report.wafer_step();
      result_.wafers[who.index()] = step.traffic();
      result_.sram_peak_bytes[who.index()] = step.sram_peak_bytes();
      result_.sram_planned_bytes = prepared.sram_planned_bytes();
      for (const MicroBatchHash& hash : step.hashes()) {
        result_.hashes[{step.step(), hash.micro_batch()}].push_back(hash.hash());
      }
    }
  }

  InprocResult Result() {
    for (const CommitRecord& commit : cluster_.controller().Commits(job_id_)) {
      result_.losses.push_back(commit.loss);
      result_.norms.push_back(commit.norm);
    }
    result_.status = status_;
    result_.checkpoint = status_.checkpoint();
    result_.weights_hash = status_.weights_hash();
    result_.optimizer_hash = status_.optimizer_hash();
    result_.generated.assign(status_.generated().begin(), status_.generated().end());
    result_.logits.assign(status_.logits().begin(), status_.logits().end());
    result_.trace_hash = world_.trace.Hash();
    return std::move(result_);
  }

  const JobSpec& job_;
  WorkerPool pool_;
  SimWorld world_;
  SimCluster cluster_;
  std::string job_id_;
  JobStatus status_;    // the last that was seen
  uint64_t moves_ = 0;  // changes of it
  InprocResult result_;
  bool over_ = false;
  absl::Status end_;
};

}  // namespace

absl::StatusOr<InprocResult> RunInproc(JobSpec job, const InprocOptions& options) {
  RETURN_IF_ERROR(Compile(job, options.shape).status());
  job.mutable_cluster()->set_wafers(options.shape.wafers);
  job.mutable_cluster()->set_memoryx(options.shape.memoryx);
  job.mutable_cluster()->set_swarmx(options.shape.swarmx);
  return Run(job, options).Execute();
}

}  // namespace waferstream
