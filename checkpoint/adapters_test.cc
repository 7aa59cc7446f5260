// Adapters on their way out: merged into the plain model, and alone as PEFT has them.
#include "checkpoint/adapters.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/config.h"
#include "checkpoint/export.h"
#include "checkpoint/layout.h"
#include "checkpoint/new_checkpoint.h"
#include "checkpoint/posix_disk.h"
#include "checkpoint/safetensors.h"

namespace waferstream {
namespace {

// Values that name where they are, small enough to be exact.
float ValueAt(int parameter, int64_t row, int64_t col) {
  return static_cast<float>((parameter * 7 + row * 3 + col) % 32) / 16;
}

class AdaptersTest : public testing::Test {
 protected:
  AdaptersTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    ModelSpec& m = *job_.mutable_model();
    m.set_family("gpt2");
    m.set_layers(1);
    m.set_hidden(8);
    m.set_heads(2);
    m.set_vocab(11);
    m.set_context(4);
    m.set_ffn(12);
    m.set_tied(true);
    m.set_norm_eps(1e-5);
    plain_ = m;
    Lora& lora = *m.mutable_lora();
    lora.set_rank(2);
    lora.set_alpha(6);
    lora.add_targets("c_attn");
    lora.add_targets("h.0.mlp.c_fc.weight");
    all_ = *BuildParameters(m);
    Manifest manifest;
    manifest.job = job_;
    const auto fill = [&](int p, RowSpan rows, float* values) {
      for (int64_t r = 0; r < rows.count; ++r) {
        for (int64_t c = 0; c < all_[p].cols; ++c) {
          *values++ = ValueAt(p, rows.first + r, c);
        }
      }
      return absl::OkStatus();
    };
    const auto written = WriteNewCheckpoint(PosixDisk(), from_, all_, manifest, fill);
    EXPECT_TRUE(written.ok()) << written.status();
  }

  int IndexOf(const std::string& name) const {
    for (size_t i = 0; i < all_.size(); ++i) {
      if (all_[i].name == name) return static_cast<int>(i);
    }
    ADD_FAILURE() << name;
    return 0;
  }
  // What row and column of the merged matrix must be.
  double Merged(const std::string& module, int64_t row, int64_t col) const {
    const int w = IndexOf(module + ".weight");
    const int a = IndexOf(module + ".lora_A.weight"), b = IndexOf(module + ".lora_B.weight");
    double sum = 0;
    for (int k = 0; k < 2; ++k) sum += double{ValueAt(b, row, k)} * ValueAt(a, k, col);
    return ValueAt(w, row, col) + 3 * sum;
  }

  const std::string folder_ = testing::TempDir() + "/adapters";
  const std::string from_ = folder_ + "/from", to_ = folder_ + "/to";
  JobSpec job_;
  ModelSpec plain_;
  std::vector<Parameter> all_;
};

TEST_F(AdaptersTest, MergedTheyAreThePlainModel) {
  const absl::Status exported = ExportCheckpoint(PosixDisk(), from_, to_, {});
  ASSERT_TRUE(exported.ok()) << exported;
  const auto model = ReadConfig(PosixDisk(), to_);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_FALSE(model->has_lora());
  const auto parameters = *BuildParameters(plain_);
  const auto reader = CheckpointReader::Open(PosixDisk(), to_, plain_, parameters, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (size_t p = 0; p < parameters.size(); ++p) {
    const Parameter& parameter = parameters[p];
    std::vector<float> values(parameter.rows * parameter.cols);
    ASSERT_TRUE(reader->ReadWeights(p, {0, parameter.rows}, values.data()).ok());
    const std::string module = parameter.name.substr(0, parameter.name.rfind('.'));
    const bool adapted =
        parameter.name == "h.0.attn.c_attn.weight" || parameter.name == "h.0.mlp.c_fc.weight";
    for (int64_t r = 0; r < parameter.rows; ++r) {
      for (int64_t c = 0; c < parameter.cols; ++c) {
        const double want =
            adapted ? Merged(module, r, c) : double{ValueAt(IndexOf(parameter.name), r, c)};
        ASSERT_EQ(values[r * parameter.cols + c], want) << parameter.name << " " << r << " " << c;
      }
    }
  }
}

TEST_F(AdaptersTest, AloneTheyArePefts) {
  const absl::Status exported =
      ExportCheckpoint(PosixDisk(), from_, to_, {.adapters = AdapterExport::kAlone});
  ASSERT_TRUE(exported.ok()) << exported;
  const auto text = ReadSmallFile(PosixDisk(), to_ + "/adapter_config.json", 1 << 20);
  const auto config = nlohmann::json::parse(*text);
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["r"], 2);
  EXPECT_EQ(config["lora_alpha"], 6);
  EXPECT_EQ(config["fan_in_fan_out"], true);
  EXPECT_EQ(config["target_modules"],
            (nlohmann::json{"transformer.h.0.attn.c_attn", "transformer.h.0.mlp.c_fc"}));
  const auto file = PosixDisk().OpenForReading(to_ + "/adapter_model.safetensors");
  ASSERT_TRUE(file.ok());
  const auto tensors = ReadTensorTable(**file);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 4u);
  EXPECT_EQ((*tensors)[0].name, "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight");
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{2, 8}));
  EXPECT_EQ((*tensors)[1].name, "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight");
  EXPECT_EQ((*tensors)[1].shape, (std::vector<int64_t>{24, 2}));
  EXPECT_FALSE(std::filesystem::exists(to_ + "/model.safetensors"));
}

TEST_F(AdaptersTest, AModelWithoutAnyHasNoneToExport) {
  ASSERT_TRUE(ExportCheckpoint(PosixDisk(), from_, to_, {}).ok());
  const absl::Status none =
      ExportCheckpoint(PosixDisk(), to_, folder_ + "/none", {.adapters = AdapterExport::kAlone});
  EXPECT_EQ(none.message(), "checkpoint " + to_ + ": has no adapters");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/none"));
}

// What the job says of its adapters goes with the weights, and must fit them.
TEST_F(AdaptersTest, AreOfTheCheckpointsModel) {
  const auto model = ReadConfig(PosixDisk(), from_);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->lora().rank(), 2u);
  EXPECT_EQ(model->lora().alpha(), 6);
  EXPECT_EQ(model->lora().targets_size(), 2);
  EXPECT_TRUE(CheckSameModel(from_, *model, job_.model()).ok());
  ModelSpec other = job_.model();
  other.mutable_lora()->set_rank(3);
  EXPECT_FALSE(CheckSameModel(from_, *model, other).ok());
  EXPECT_FALSE(CheckSameModel(from_, *model, plain_).ok());
  EXPECT_TRUE(CheckSameModel(from_, plain_, job_.model()).ok());
}

TEST_F(AdaptersTest, APlainCheckpointHasNoneYet) {
  ASSERT_TRUE(ExportCheckpoint(PosixDisk(), from_, to_, {}).ok());
  const auto reader = CheckpointReader::Open(PosixDisk(), to_, job_.model(), all_, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (size_t p = 0; p < all_.size(); ++p) EXPECT_EQ(reader->Has(p), !all_[p].adapter);
}

}  // namespace
}  // namespace waferstream
