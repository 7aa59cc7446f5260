#include "sim/chaos_jobs.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "base/philox.h"
#include "base/status.h"
#include "checkpoint/memory_disk.h"
#include "data/job_data.h"
#include "sim/inproc_cluster.h"

namespace waferstream {
namespace {

constexpr uint32_t kVocab = 24;
constexpr uint32_t kContext = 8;
constexpr uint32_t kValidationSequences = 128;  // eight of the largest global batches

// A folder that goes with the process.
class DataFolder {
 public:
  DataFolder() {
    std::error_code error;
    std::filesystem::path base = std::filesystem::temp_directory_path(error);
    if (error) base = "/tmp";
    std::string name = (base / "chaos-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      std::fprintf(stderr, "chaos: %s: %s\n", name.c_str(), std::strerror(errno));
      std::exit(1);
    }
    path_ = name;
    Write("train.bin", 60);
    Write("validation.bin", kValidationSequences);
  }
  ~DataFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string File(const char* name) const { return absl::StrCat(path_, "/", name); }

 private:
  // Tokens with something to learn in them: each is its predecessor plus a little noise.
  void Write(const char* name, uint32_t samples) const {
    std::ofstream out(File(name), std::ios::binary);
    uint32_t token = 0;
    for (uint32_t i = 0; i <= kContext * samples; ++i) {
      token = (token + 1 + Philox(7, Purpose::kSample, 0, i)[0] % 3) % kVocab;
      out.put(static_cast<char>(token)).put('\0');
    }
  }
  std::string path_;
};

void SetOptimizer(int variant, TrainingSpec& training) {
  if (variant % 3 == 2) {
    Sgd* sgd = training.mutable_optimizer()->mutable_sgd();
    sgd->set_lr(0.3);
    sgd->set_momentum(0.9);
    sgd->set_weight_decay(0.01);
    return;
  }
  AdamW* adamw = training.mutable_optimizer()->mutable_adamw();
  adamw->set_lr(1e-2);
  adamw->set_beta1(0.9);
  adamw->set_beta2(0.95);
  adamw->set_eps(1e-8);
  adamw->set_weight_decay(0.1);
  Cosine* cosine = training.mutable_schedule()->mutable_cosine();
  cosine->set_warmup(1);
  cosine->set_min_lr(1e-3);
}

JobSpec AmendedJob(int variant, const TrainingSpec& trained) {
  JobSpec job = ChaosJob(variant);
  *job.mutable_training()->mutable_amendments() = trained.amendments();
  job.mutable_checkpoint()->set_dir("/checkpoints");
  return job;
}

InprocResult MustRun(const JobSpec& job, Disk& disk) {
  absl::StatusOr<InprocResult> run = RunInproc(job, {.shape = {}, .disk = &disk});
  WS_CHECK(run.ok());
  return *std::move(run);
}

ChaosNumbers NumbersOf(const InprocResult& run) {
  return {run.weights_hash, run.optimizer_hash, run.losses,
          run.validation_losses.empty() ? 0 : run.validation_losses.back(), run.generated};
}

ChaosNumbers Train(int variant, const TrainingSpec& trained) {
  MemoryDisk tree(1);
  MemoryDisk::View disk(tree);
  return NumbersOf(MustRun(AmendedJob(variant, trained), disk));
}

ChaosNumbers Generate(int variant, const TrainingSpec& trained) {
  MemoryDisk tree(1);
  MemoryDisk::View disk(tree);
  JobSpec job = ChaosGeneration(variant);
  job.mutable_checkpoint()->set_from(MustRun(AmendedJob(variant, trained), disk).checkpoint);
  return NumbersOf(MustRun(job, disk));
}

// Remembers what `run` returned.
const ChaosNumbers& Known(const char* what, int variant, const TrainingSpec& trained,
                          ChaosNumbers (*run)(int, const TrainingSpec&)) {
  static absl::Mutex mutex;
  static std::map<std::string, ChaosNumbers> known;
  std::string key = absl::StrCat(what, " ", variant);
  for (const Amendment& amendment : trained.amendments()) {
    absl::StrAppend(&key, " ", amendment.from_step(), " ", amendment.lr(), " ",
                    amendment.skip_batch());
  }
  absl::MutexLock lock(&mutex);
  const auto it = known.find(key);
  return it != known.end() ? it->second : known.emplace(key, run(variant, trained)).first->second;
}

}  // namespace

JobSpec ChaosJob(int variant) {
  static const DataFolder data;
  JobSpec job;
  job.set_name(absl::StrCat("chaos-", variant));
  ModelSpec* model = job.mutable_model();
  model->set_family("gpt2");
  model->set_layers(variant % 4 == 3 ? 1 : 2);
  model->set_hidden(16);
  model->set_heads(2);
  model->set_vocab(kVocab);
  model->set_context(kContext);
  model->set_ffn(variant % 2 == 0 ? 32 : 40);
  model->set_tied(variant % 4 < 2);
  model->set_norm_eps(1e-5);
  job.mutable_data()->set_train(data.File("train.bin"));
  job.mutable_data()->set_validation(data.File("validation.bin"));
  job.mutable_data()->set_shuffle(variant % 2 == 0 ? SHUFFLE_EPOCH : SHUFFLE_NONE);
  TrainingSpec* training = job.mutable_training();
  constexpr uint32_t kMicroBatches[] = {2, 3, 4, 5, 7, 8};
  constexpr uint64_t kTileElements[] = {256, 160, 100};
  training->set_steps(3 + static_cast<uint64_t>(variant) % 4);
  training->set_micro_batch(1 + static_cast<uint32_t>(variant) / 12);
  training->set_global_batch(training->micro_batch() * kMicroBatches[variant % 6]);
  job.mutable_data()->set_validation_sequences(8 * training->global_batch());
  training->set_precision(variant % 5 < 3 ? F32 : BF16);
  training->set_seed(static_cast<uint64_t>(variant) + 1);
  training->set_clip(variant % 3 == 0 ? 0.0 : 1.0);
  training->set_validate_every(variant % 3 == 1 ? 2 : 0);
  training->set_tile_elements(kTileElements[variant % 3]);
  SetOptimizer(variant, *training);
  ClusterSpec* cluster = job.mutable_cluster();
  cluster->set_wafers(1);
  cluster->set_memoryx(1);
  cluster->set_swarmx(1);
  cluster->set_fanout(4);
  cluster->set_planes(1);
  cluster->mutable_wafer()->set_profile("wse3");
  cluster->mutable_wafer()->set_sram_bytes(1 << 20);
  cluster->mutable_wafer()->set_kernel_threads(1);
  job.mutable_checkpoint()->set_keep(1);
  WS_CHECK(RecordContent(job).ok());
  return job;
}

JobSpec ChaosGeneration(int variant) {
  JobSpec job = ChaosJob(variant);
  GenerateSpec* generate = job.mutable_generate();
  for (const uint32_t token : {1, 5, 2}) generate->add_prompt(token);
  generate->set_tokens(2 + static_cast<uint32_t>(variant) % 3);
  generate->set_temperature(variant % 2 == 0 ? 0 : 0.8);
  generate->set_top_k(variant % 3 == 0 ? 5 : 0);
  generate->set_seed(static_cast<uint64_t>(variant));
  return job;
}

std::string Describe(const ChaosNumbers& n) {
  return absl::StrCat("weights ", n.weights_hash, ", optimizer ", n.optimizer_hash, ", losses ",
                      absl::StrJoin(n.losses, " "), ", validation ", n.validation_loss,
                      ", generated ", absl::StrJoin(n.generated, " "));
}

const ChaosNumbers& ExpectedNumbers(int variant, const TrainingSpec& trained) {
  return Known("training", variant, trained, Train);
}

const ChaosNumbers& ExpectedTokens(int variant, const TrainingSpec& trained) {
  return Known("generation", variant, trained, Generate);
}

}  // namespace waferstream
