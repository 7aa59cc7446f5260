// Models out and in: export and import.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "checkpoint/config.h"
#include "checkpoint/export.h"
#include "checkpoint/import.h"
#include "checkpoint/initial_checkpoint.h"
#include "checkpoint/inspect.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr StoredDtype kDtypes[] = {StoredDtype::kF32, StoredDtype::kBf16, StoredDtype::kF16};

std::string Contents(const std::string& path) {
  return *ReadSmallFile(PosixDisk(), path, 64 << 20);
}

void Put(const std::string& path, const std::string& text) {
  ASSERT_TRUE(WriteSmallFile(PosixDisk(), path, text).ok());
}

// The weights of a checkpoint, by parameter.
absl::StatusOr<std::vector<std::vector<float>>> Weights(const std::string& folder,
                                                        const ModelSpec& model) {
  ASSIGN_OR_RETURN(const std::vector<Parameter> parameters, BuildParameters(model));
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(PosixDisk(), folder, model, parameters, {}));
  std::vector<std::vector<float>> weights;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    weights.emplace_back(p.rows * p.cols);
    RETURN_IF_ERROR(reader.ReadWeights(static_cast<int>(i), {0, p.rows}, weights.back().data()));
  }
  return weights;
}

// A checkpoint `root`/init of OddJob.
class TransferTest : public testing::Test {
 protected:
  TransferTest() : root_(FreshFolder()), job_(OddJob(root_)) { Init(); }

  void Init() {
    fs::remove_all(In("init"));
    Serial serial;
    const auto manifest = WriteInitialCheckpoint(PosixDisk(), job_, In("init"), serial);
    ASSERT_TRUE(manifest.ok()) << manifest.status();
    hash_ = manifest->weights_hash;
  }
  std::string In(const std::string& name) const { return root_ + "/" + name; }
  absl::Status Export(const std::string& from, const std::string& to,
                      const ExportOptions& options = {}) {
    return ExportCheckpoint(PosixDisk(), In(from), In(to), options);
  }
  absl::StatusOr<Manifest> Import(const std::string& from, const std::string& to) {
    return ImportCheckpoint(PosixDisk(), In(from), In(to));
  }

  const std::string root_;
  JobSpec job_;
  std::string hash_;
};

TEST_F(TransferTest, ExportRoundsToWhatIsAskedFor) {
  const auto exact = Weights(In("init"), job_.model());
  for (const StoredDtype dtype : kDtypes) {
    const std::string name = TorchNameOf(dtype);
    ASSERT_TRUE(Export("init", name, {.dtype = dtype}).ok());
    EXPECT_THAT(Contents(In(name + "/config.json")), HasSubstr("\"torch_dtype\": \"" + name));
    EXPECT_FALSE(fs::exists(In(name + "/waferstream.json")));
    const auto read = Weights(In(name), job_.model());
    ASSERT_TRUE(read.ok()) << read.status();
    const float step = dtype == StoredDtype::kF32   ? 0
                       : dtype == StoredDtype::kF16 ? 0x1p-11
                                                    : 0x1p-8;
    for (size_t p = 0; p < exact->size(); ++p) {
      for (size_t i = 0; i < (*exact)[p].size(); ++i) {
        const float x = (*exact)[p][i];
        ASSERT_LE(std::abs((*read)[p][i] - x), step * std::abs(x) + (step == 0 ? 0 : 0x1p-25f));
      }
    }
  }
  EXPECT_EQ(DigestTensorFile(PosixDisk(), In("float32/model.safetensors"))->data_hash, hash_);
}

// safetensors' own library writes type, shape and place in this order, without spaces.
TEST_F(TransferTest, ExportedHeadersAreTheirLibrarys) {
  ASSERT_TRUE(Export("init", "out").ok());
  EXPECT_THAT(
      Contents(In("out/model.safetensors")).substr(8),
      testing::StartsWith(
          R"({"__metadata__":{"format":"pt"},)"
          R"("transformer.h.0.attn.c_attn.bias":{"dtype":"F32","shape":[30],"data_offsets":[0,120]},)"
          R"("transformer.h.0.attn.c_attn.weight":{"dtype":"F32","shape":[10,30],)"
          R"("data_offsets":[120,1320]})"));
}

TEST_F(TransferTest, AModelThatIsLargerThanAFileIsShards) {
  constexpr uint64_t kShardBytes = 2000;
  ASSERT_TRUE(Export("init", "out", {.shard_bytes_max = kShardBytes}).ok());
  const auto index = nlohmann::json::parse(Contents(In("out/model.safetensors.index.json")));
  uint64_t bytes = 0, elements = 0;
  for (const Parameter& p : FormatOf(job_).parameters) elements += p.rows * p.cols;
  std::set<std::string> named;
  for (const auto& [tensor, file] : index["weight_map"].items()) named.insert(file);
  ASSERT_GT(named.size(), 3u);
  size_t number = 0;
  for (const std::string& name : named) {
    EXPECT_EQ(name, absl::StrFormat("model-%05d-of-%05d.safetensors", ++number, named.size()));
    const auto file = PosixDisk().OpenForReading(In("out/" + name));
    const auto tensors = ReadTensorTable(**file);
    ASSERT_TRUE(tensors.ok()) << tensors.status();
    uint64_t in_file = 0;
    for (const TensorInfo& tensor : *tensors) {
      EXPECT_EQ(index["weight_map"][tensor.name], name);
      in_file += tensor.bytes;
    }
    EXPECT_TRUE(in_file <= kShardBytes || tensors->size() == 1) << name;
    bytes += in_file;
  }
  EXPECT_EQ(index["metadata"]["total_size"], bytes);
  EXPECT_EQ(index["metadata"]["total_size"], 4 * elements);
  EXPECT_EQ(index["metadata"]["total_parameters"], elements);
  EXPECT_FALSE(fs::exists(In("out/model.safetensors")));
  EXPECT_EQ(*Weights(In("out"), job_.model()), *Weights(In("init"), job_.model()));
}

// Every file of the weights, whatever its type and however many there are.
TEST_F(TransferTest, ThereAndBackIsByteForByte) {
  for (const StoredDtype dtype : kDtypes) {
    for (const uint64_t shard_bytes : {uint64_t{1} << 40, uint64_t{2000}}) {
      const ExportOptions options = {.dtype = dtype, .shard_bytes_max = shard_bytes};
      const std::string tag = absl::StrCat(TorchNameOf(dtype), shard_bytes);
      ASSERT_TRUE(Export("init", tag, options).ok());
      const auto manifest = Import(tag, tag + "-own");
      ASSERT_TRUE(manifest.ok()) << manifest.status();
      ASSERT_TRUE(Export(tag + "-own", tag + "-back", options).ok());
      const auto names = PosixDisk().List(In(tag));
      EXPECT_EQ(*names, *PosixDisk().List(In(tag + "-back")));
      for (const std::string& name : *names) {
        EXPECT_EQ(Contents(In(tag + "/" + name)), Contents(In(tag + "-back/" + name))) << name;
      }
    }
  }
}

TEST_F(TransferTest, AnImportIsACheckpointAfterNoSteps) {
  ASSERT_TRUE(Export("init", "out", {.shard_bytes_max = 2000}).ok());
  const auto manifest = Import("out", "own/deeper/");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->steps_done, 0u);
  EXPECT_EQ(manifest->weights_hash, hash_);
  EXPECT_TRUE(InspectCheckpoint(PosixDisk(), In("own/deeper"), Depth::kBytes).ok());
  EXPECT_EQ(Import("out", "own/deeper").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Export("out", "own/deeper").code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(TransferTest, ProgressCountsToTheEnd) {
  std::vector<uint64_t> done;
  const auto count = [&](uint64_t now, uint64_t total) {
    done.push_back(now);
    EXPECT_LE(now, total);
    if (now == total) done.push_back(0);
  };
  ASSERT_TRUE(ExportCheckpoint(PosixDisk(), In("init"), In("out"), {}, count).ok());
  ASSERT_TRUE(ImportCheckpoint(PosixDisk(), In("out"), In("own"), count).ok());
  EXPECT_EQ(std::count(done.begin(), done.end(), 0u), 2);
  EXPECT_EQ(done.back(), 0u);
}

TEST_F(TransferTest, TokenizersGoWithTheModel) {
  ASSERT_TRUE(Export("init", "hf").ok());
  const std::string large(3'000'001, 'x');
  Put(In("hf/tokenizer.json"), large);
  Put(In("hf/generation_config.json"), "{}");
  Put(In("hf/README.md"), "not a part of it");
  const auto manifest = Import("hf", "own");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->files.count("tokenizer.json"), 1u);
  EXPECT_TRUE(InspectCheckpoint(PosixDisk(), In("own"), Depth::kBytes).ok());

  // A job starts there, and one goes on from that.
  std::string from = In("own");
  for (const std::string dir : {"first", "second"}) {
    job_.mutable_checkpoint()->set_dir(In(dir));
    job_.mutable_checkpoint()->set_from(from);
    const WriterEpoch epoch = {"j-" + dir, 1};
    ASSERT_TRUE(BeginTestEpoch(PosixDisk(), In(dir), epoch).ok());
    const auto sealed = WriteAndSeal(PosixDisk(), job_, 1, epoch);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    from = sealed->path;
  }
  fs::remove_all(In("hf"));
  fs::remove_all(In("own"));
  fs::remove_all(In("first"));
  ASSERT_TRUE(InspectCheckpoint(PosixDisk(), from, Depth::kBytes).ok());
  ASSERT_TRUE(ExportCheckpoint(PosixDisk(), from, In("out"), {}).ok());
  EXPECT_EQ(Contents(In("out/tokenizer.json")), large);
  EXPECT_THAT(*PosixDisk().List(In("out")), ElementsAre("config.json", "generation_config.json",
                                                        "model.safetensors", "tokenizer.json"));
}

// A job that has trained for days does not end for a tokenizer.
TEST_F(TransferTest, ATokenizerThatCannotBeReadIsNamedAndLeftOut) {
  ASSERT_TRUE(Export("init", "hf").ok());
  fs::create_directory(In("hf/tokenizer.json"));
  EXPECT_THAT(std::string(Import("hf", "own").status().message()), HasSubstr("hf/tokenizer.json"));
  EXPECT_THAT(std::string(Export("hf", "own").message()), HasSubstr("hf/tokenizer.json"));
  job_.mutable_checkpoint()->set_dir(In("dir"));
  job_.mutable_checkpoint()->set_from(In("hf"));
  const WriterEpoch epoch = {"j-1", 1};
  ASSERT_TRUE(BeginTestEpoch(PosixDisk(), In("dir"), epoch).ok());
  ASSERT_TRUE(WriteTestTiles(PosixDisk(), FormatOf(job_), PartialOf(job_, 1, epoch), 64).ok());
  Manifest manifest;
  manifest.steps_done = 1;
  manifest.job = job_;
  const auto sealed = SealCheckpoint(PosixDisk(), FormatOf(job_), epoch, manifest, {});
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  ASSERT_EQ(sealed->notes.size(), 1u);
  EXPECT_THAT(sealed->notes[0], HasSubstr("hf/tokenizer.json"));
  EXPECT_TRUE(InspectCheckpoint(PosixDisk(), sealed->entry.path, Depth::kBytes).ok());
}

TEST_F(TransferTest, NothingBecomesInfinityInSilence) {
  ASSERT_TRUE(Export("init", "hf").ok());
  std::string bytes = Contents(In("hf/model.safetensors"));
  const float large = 65520;
  bytes.replace(bytes.size() - 4, 4, reinterpret_cast<const char*>(&large), 4);
  Put(In("hf/model.safetensors"), bytes);
  EXPECT_THAT(std::string(Export("hf", "f16", {.dtype = StoredDtype::kF16}).message()),
              HasSubstr("'transformer.wte.weight' holds 65520, more than an f16 can be"));
  EXPECT_TRUE(Export("hf", "bf16", {.dtype = StoredDtype::kBf16}).ok());
}

// A folder hf, spoilt in one way, is refused in one line, by both, and nothing is left behind.
class SpoiltTest : public TransferTest {
 protected:
  // The bytes of a file: header text and numbers, replaced.
  void Edit(const std::string& name, const std::string& from, const std::string& to) {
    std::string text = Contents(In(name));
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    Put(In(name), text);
  }
  void ExpectRefused(const std::string& message) {
    const auto before = PosixDisk().List(root_);
    for (const absl::Status& status : {Import("hf", "own").status(), Export("hf", "out")}) {
      EXPECT_THAT(std::string(status.message()), HasSubstr(message));
      EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
    }
    EXPECT_EQ(*PosixDisk().List(root_), *before);
  }
};

TEST_F(SpoiltTest, Tensors) {
  const struct {
    const char* from;
    const char* to;
    const char* message;
  } cases[] = {
      {"transformer.ln_f.bias", "transformer.ln_g.bias", "has no tensor 'ln_f.bias'"},
      {"\"shape\":[10,30]", "\"shape\":[30,10]", "is [30, 10], the model needs [10, 30]"},
      {"{\"__metadata__\"", "{ \"_metadata__\"", "'_metadata__' has a malformed header entry"},
      {"\"transformer.ln_f.bias\"", "\"transformer.ln_f.bia\" ", "has no tensor 'ln_f.bias'"},
      {"h.1.ln_1.bias", "h.0.ln_1.bias", "twice"},
  };
  ASSERT_TRUE(Export("init", "good").ok());
  for (const auto& c : cases) {
    fs::remove_all(In("hf"));
    fs::copy(In("good"), In("hf"));
    Edit("hf/model.safetensors", c.from, c.to);
    ExpectRefused(c.message);
  }
}

TEST_F(SpoiltTest, ATensorThatNobodyKnows) {
  ASSERT_TRUE(Export("init", "hf").ok());
  Edit("hf/config.json", "\"n_layer\": 2", "\"n_layer\": 1");
  ExpectRefused("tensor 'transformer.h.1.attn.c_attn.bias' is none of the model's parameters");
}

TEST_F(SpoiltTest, AnOutputProjectionThatIsSaidToBeTheEmbedding) {
  job_ = OddJob(root_, /*tied=*/false);
  Init();
  ASSERT_TRUE(Export("init", "hf").ok());
  Edit("hf/config.json", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true ");
  EXPECT_THAT(std::string(Import("hf", "own").status().message()),
              HasSubstr("tensor 'lm_head.weight' differs from 'transformer.wte.weight'"));
  // And one that is.
  std::string bytes = Contents(In("hf/model.safetensors"));
  const size_t table = 37 * 10 * 4;
  const auto file = PosixDisk().OpenForReading(In("hf/model.safetensors"));
  size_t head = 0, embedding = 0;
  const auto tensors = ReadTensorTable(**file);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  for (const TensorInfo& tensor : *tensors) {
    if (tensor.name == "lm_head.weight") head = tensor.offset;
    if (tensor.name == "transformer.wte.weight") embedding = tensor.offset;
  }
  bytes.replace(head, table, bytes.substr(embedding, table));
  Put(In("hf/model.safetensors"), bytes);
  const auto manifest = Import("hf", "own");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_TRUE(manifest->job.model().tied());
}

TEST_F(SpoiltTest, NumbersThatAreNone) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    fs::remove_all(In("hf"));
    ASSERT_TRUE(Export("init", "hf").ok());
    std::string bytes = Contents(In("hf/model.safetensors"));
    bytes.replace(bytes.size() - 4, 4, reinterpret_cast<const char*>(&bad), 4);
    Put(In("hf/model.safetensors"), bytes);
    EXPECT_THAT(std::string(Import("hf", "own").status().message()),
                HasSubstr("tensor 'transformer.wte.weight' holds "));
    EXPECT_THAT(*PosixDisk().List(root_), ElementsAre("hf", "init"));
  }
}

TEST_F(SpoiltTest, Files) {
  ASSERT_TRUE(Export("init", "hf", {.shard_bytes_max = 2000}).ok());
  Edit("hf/config.json", "\"gpt2\"", "\"gptx\"");
  ExpectRefused("model_type is \"gptx\"; only one of ");
  Edit("hf/config.json", "\"gptx\"", "\"gpt2\"");
  std::string second;
  const auto names = PosixDisk().List(In("hf"));
  for (const std::string& name : *names) {
    if (absl::StrContains(name, "model-00002-of-")) second = In("hf/" + name);
  }
  const std::string bytes = Contents(second);
  Put(second, bytes.substr(0, bytes.size() - 1));
  ExpectRefused("(truncated?)");
  fs::remove(second);
  ExpectRefused("names model-00002-of-");
  fs::remove(In("hf/config.json"));
  ExpectRefused("hf/config.json");
}

}  // namespace
}  // namespace waferstream
