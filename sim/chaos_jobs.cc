#include "sim/chaos_jobs.h"

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
#include "plan/family_names.h"
#include "plan/model.h"
#include "sim/inproc_cluster.h"

namespace waferstream {
namespace {

constexpr uint32_t kVocab = 24;
constexpr uint32_t kContext = 8;
constexpr uint32_t kValidationSequences = 128;  // eight of the largest global batches

constexpr char kTrain[] = "/data/train.bin";
constexpr char kValidation[] = "/data/validation.bin";

// Tokens with something to learn in them: each is its predecessor plus a little noise.
std::string Tokens(uint32_t samples) {
  std::string bytes;
  uint32_t token = 0;
  for (uint32_t i = 0; i <= kContext * samples; ++i) {
    token = (token + 1 + Philox(7, Purpose::kSample, 0, i)[0] % 3) % kVocab;
    bytes.push_back(static_cast<char>(token));
    bytes.push_back('\0');
  }
  return bytes;
}

// What is in the token files, once a process.
const DataSpec& RecordedData() {
  static const DataSpec data = [] {
    MemoryDisk tree(1);
    MemoryDisk::View disk(tree);
    WriteChaosData(disk);
    JobSpec job;
    job.mutable_model()->set_vocab(kVocab);
    job.mutable_model()->set_context(kContext);
    job.mutable_data()->add_train(kTrain);
    job.mutable_data()->set_validation(kValidation);
    WS_CHECK(RecordContent(disk, job).ok());
    return job.data();
  }();
  return data;
}

// What only some families take, where this one does, so that its heads are few and narrow and see
// little. What it cannot do without is set, too.
void SetOwnKeys(ModelSpec& model) {
  constexpr void (*kKeys[])(ModelSpec&) = {
      // First: without them there is no such model. Some have no token of a micro-batch.
      [](ModelSpec& m) {
        m.set_experts(9);
        m.set_experts_per_token(2);
        m.set_router_aux_loss(0.02);
      },
      [](ModelSpec& m) { m.set_kv_heads(1); },
      [](ModelSpec& m) { m.set_head_dim(6); },
      [](ModelSpec& m) { m.set_window(5); },
      [](ModelSpec& m) { m.set_rope_fraction(0.5); },
  };
  for (const auto& set : kKeys) {
    ModelSpec with = model;
    set(with);
    if (BuildParameters(with).ok() || !BuildParameters(model).ok()) model = with;
  }
  const auto built = BuildParameters(model);
  WS_CHECK(built.ok());  // or the family needs a key that is not here
}

void SetModel(int variant, absl::string_view family, ModelSpec* model) {
  model->set_family(std::string(family));
  model->set_layers(variant % 4 == 3 ? 1 : 2);
  model->set_hidden(16);
  model->set_heads(2);
  model->set_vocab(kVocab);
  model->set_context(kContext);
  model->set_ffn(variant % 2 == 0 ? 32 : 40);
  model->set_tied(variant % 4 < 2);
  model->set_norm_eps(1e-5);
  SetOwnKeys(*model);
}

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

// One job in six: another optimizer and schedule each, or an early stop. Matrices that are needed
// whole are larger than other jobs' tiles.
void SetRareTraining(int variant, TrainingSpec& training) {
  constexpr uint64_t kWhole = 1024;
  const AdamW adamw = training.optimizer().adamw();
  switch (variant) {
    case 4: {
      Lion* lion = training.mutable_optimizer()->mutable_lion();
      lion->set_lr(2e-3);
      lion->set_beta1(0.9);
      lion->set_beta2(0.99);
      training.mutable_schedule()->Clear();
      training.mutable_schedule()->mutable_wsd()->set_decay(2);
      return;
    }
    case 10: {
      Adafactor* adafactor = training.mutable_optimizer()->mutable_adafactor();
      adafactor->set_lr(3e-2);
      adafactor->set_beta2_decay(-0.8);
      adafactor->set_eps(1e-3);
      adafactor->set_clip_threshold(1);
      training.mutable_schedule()->Clear();
      training.mutable_schedule()->mutable_linear()->set_warmup(1);
      training.set_tile_elements(kWhole);
      return;
    }
    case 16: {
      Muon* muon = training.mutable_optimizer()->mutable_muon();
      muon->set_lr(2e-2);
      muon->set_momentum(0.9);
      *muon->mutable_rest() = adamw;
      training.mutable_schedule()->Clear();
      training.mutable_schedule()->mutable_constant()->set_warmup(2);
      training.set_tile_elements(kWhole);
      return;
    }
    default:
      // Nothing is better by so much: it stops after its second validation.
      training.mutable_early_stop()->set_patience(1);
      training.mutable_early_stop()->set_min_delta(1e6);
      training.add_freeze("*.0.*");
      training.mutable_rewarm()->set_from(1);
      training.mutable_rewarm()->set_steps(2);
  }
}

// It finds out by itself where it stops early.
JobSpec AmendedJob(int variant, const TrainingSpec& trained) {
  JobSpec job = ChaosJob(variant);
  for (const Amendment& amendment : trained.amendments()) {
    if (!amendment.end()) *job.mutable_training()->add_amendments() = amendment;
  }
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
  WriteChaosData(disk);
  return NumbersOf(MustRun(AmendedJob(variant, trained), disk));
}

ChaosNumbers Generate(int variant, const TrainingSpec& trained) {
  MemoryDisk tree(1);
  MemoryDisk::View disk(tree);
  WriteChaosData(disk);
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
    if (amendment.end()) continue;
    absl::StrAppend(&key, " ", amendment.from_step(), " ", amendment.lr(), " ",
                    amendment.skip_batch());
  }
  absl::MutexLock lock(&mutex);
  const auto it = known.find(key);
  return it != known.end() ? it->second : known.emplace(key, run(variant, trained)).first->second;
}

}  // namespace

void WriteChaosData(Disk& disk) {
  WS_CHECK(CreateFolders(disk, "/data").ok());
  WS_CHECK(WriteSmallFile(disk, kTrain, Tokens(60)).ok());
  WS_CHECK(WriteSmallFile(disk, kValidation, Tokens(kValidationSequences)).ok());
}

JobSpec ChaosJob(int variant) {
  JobSpec job;
  job.set_name(absl::StrCat("chaos-", variant));
  SetModel(variant % kChaosJobs, FamilyNames()[variant / kChaosJobs], job.mutable_model());
  variant %= kChaosJobs;
  *job.mutable_data() = RecordedData();
  job.mutable_data()->set_shuffle(variant % 2 == 0 ? SHUFFLE_EPOCH : SHUFFLE_NONE);
  TrainingSpec* training = job.mutable_training();
  constexpr uint32_t kMicroBatches[] = {2, 3, 4, 5, 7, 8};
  constexpr uint64_t kTileElements[] = {256, 160, 100};
  training->set_steps(3 + static_cast<uint64_t>(variant) % 4);
  training->set_micro_batch(1 + static_cast<uint32_t>(variant) / 12);
  training->set_global_batch(training->micro_batch() * kMicroBatches[variant % 6]);
  job.mutable_data()->set_validation_sequences(uint64_t{8} * training->global_batch());
  training->set_precision(variant % 5 < 3 ? F32 : BF16);
  training->set_seed(static_cast<uint64_t>(variant) + 1);
  training->set_clip(variant % 3 == 0 ? 0.0 : 1.0);
  training->set_validate_every(variant % 3 == 1 ? 2 : 0);
  training->set_tile_elements(kTileElements[variant % 3]);
  SetOptimizer(variant, *training);
  if (variant % 6 == 4) SetRareTraining(variant, *training);
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
  job.mutable_checkpoint()->set_keep_best(training->has_early_stop());
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
