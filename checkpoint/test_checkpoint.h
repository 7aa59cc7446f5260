// Small checkpoints for tests: every size is odd, so that a mixed-up row and column shows.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/folder.h"
#include "checkpoint/ownership.h"
#include "checkpoint/posix_disk.h"
#include "checkpoint/seal.h"
#include "plan/model.h"
#include "plan/optimizer_state.h"

namespace waferstream {

// An empty folder of this test's own.
inline std::string FreshFolder() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = absl::StrCat(test->test_suite_name(), ".", test->name());
  for (char& c : name) c = c == '/' ? '_' : c;
  std::string folder = absl::StrCat(testing::TempDir(), "/", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

inline JobSpec OddJob(const std::string& dir, bool tied = true) {
  JobSpec job;
  job.set_name("odd");
  ModelSpec* model = job.mutable_model();
  model->set_family("gpt2");
  model->set_layers(2);
  model->set_hidden(10);
  model->set_heads(2);
  model->set_vocab(37);
  model->set_context(5);
  model->set_ffn(23);
  model->set_tied(tied);
  model->set_norm_eps(1e-5);
  job.mutable_training()->set_seed(3);
  job.mutable_training()->mutable_optimizer()->mutable_adamw()->set_lr(1e-3);
  job.mutable_checkpoint()->set_dir(dir);
  job.mutable_checkpoint()->set_keep(2);
  return job;
}

inline CheckpointFormat FormatOf(const JobSpec& job) {
  const std::vector<Parameter> parameters = *BuildParameters(job.model());
  return {parameters, StatesOf(job.training().optimizer(), parameters)};
}

// Element `index` of array `kind` (0: weights, then states) of a parameter: all distinct.
inline float TestValue(int kind, int parameter, int64_t index, int salt = 0) {
  return static_cast<float>(salt * 0.5 + kind * 100000 + parameter * 1000) +
         static_cast<float>(index) / 1024;
}

inline std::vector<float> TestRows(int kind, int parameter, const Parameter& shape, RowSpan rows,
                                   int salt = 0) {
  std::vector<float> values(rows.count * shape.cols);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = TestValue(kind, parameter, rows.first * shape.cols + i, salt);
  }
  return values;
}

// Writes the tiles of at most `tile_elements` whose index is `part` modulo `parts`.
inline absl::Status WriteTestTiles(Disk& disk, const CheckpointFormat& format,
                                   const std::string& folder, uint64_t tile_elements, int part = 0,
                                   int parts = 1, int salt = 0) {
  std::vector<Parameter> parameters = format.parameters;
  const std::vector<Tile> tiles = CutTiles(parameters, tile_elements);
  ASSIGN_OR_RETURN(CheckpointWriter writer, CheckpointWriter::Open(disk, format, folder));
  for (size_t t = part; t < tiles.size(); t += parts) {
    const Tile& tile = tiles[t];
    const RowSpan rows = {tile.first_row, tile.rows};
    std::vector<std::vector<float>> arrays;
    for (size_t kind = 0; kind <= format.states[tile.parameter].size(); ++kind) {
      arrays.push_back(
          TestRows(static_cast<int>(kind), tile.parameter, parameters[tile.parameter], rows, salt));
    }
    std::vector<std::byte*> states;
    for (size_t s = 1; s < arrays.size(); ++s) {
      states.push_back(reinterpret_cast<std::byte*>(arrays[s].data()));
    }
    RETURN_IF_ERROR(writer.Write(tile, arrays[0].data(), states));
  }
  return writer.Finish();
}

// Where an epoch of OddJob writes a step.
inline std::string PartialOf(const JobSpec& job, uint64_t steps_done, const WriterEpoch& epoch) {
  return StepFolder(EpochFolder(job.checkpoint().dir(), epoch), steps_done);
}

inline absl::StatusOr<CheckpointEntry> SealStep(Disk& disk, const JobSpec& job, uint64_t steps_done,
                                                const WriterEpoch& epoch,
                                                const std::vector<uint64_t>& staying = {}) {
  Manifest manifest;
  manifest.steps_done = steps_done;
  manifest.loss = 2.5;
  manifest.job = job;
  ASSIGN_OR_RETURN(SealedCheckpoint sealed,
                   SealCheckpoint(disk, FormatOf(job), epoch, manifest, staying));
  return std::move(sealed.entry);
}

// As the first MemoryX process does, whose claim ends with the epoch.
inline absl::Status BeginTestEpoch(Disk& disk, const std::string& dir, const WriterEpoch& epoch) {
  RETURN_IF_ERROR(ClaimFolder(disk, dir, {.job_id = epoch.job_id, .name = "odd"}).status());
  return BeginEpoch(disk, dir, epoch);
}

// A whole checkpoint, by an epoch that has begun.
inline absl::StatusOr<CheckpointEntry> WriteAndSeal(Disk& disk, const JobSpec& job,
                                                    uint64_t steps_done, const WriterEpoch& epoch,
                                                    int salt = 0) {
  const std::string partial = PartialOf(job, steps_done, epoch);
  RETURN_IF_ERROR(WriteTestTiles(disk, FormatOf(job), partial, 64, 0, 1, salt));
  return SealStep(disk, job, steps_done, epoch);
}

inline absl::StatusOr<CheckpointReader> OpenAll(Disk& disk, const JobSpec& job,
                                                const std::string& folder) {
  const CheckpointFormat format = FormatOf(job);
  return CheckpointReader::Open(disk, folder, job.model(), format.parameters, format.states);
}

}  // namespace waferstream
