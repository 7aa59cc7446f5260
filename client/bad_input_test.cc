// Everything that can be wrong with what the user gives: one line on stderr, an exit code, and
// nothing left behind.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fd.h"
#include "client/ctl_harness.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

struct BadInput {
  const char* name;
  std::vector<std::string> args;  // after "run -f job.yaml", or, if they begin with a word, all
  int exit_code;
  const char* message;  // somewhere in the line
  std::function<void(const fs::path& dir)> prepare = [](const fs::path&) {};
};

void PrintTo(const BadInput& bad, std::ostream* out) { *out << bad.name; }

void Truncate(const fs::path& path, uint64_t bytes) { fs::resize_file(path, bytes); }

void FlipByte(const fs::path& path, int64_t from_end) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-from_end, std::ios::end);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(-from_end, std::ios::end);
  file.put(byte);
}

void Append(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::app) << text;
}

void MakeFifo(const fs::path& path) {
  fs::remove_all(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
}

// The checkpoint "initial" as another program might have written it: without a manifest.
void MakeForeign(const fs::path& dir) { fs::remove(dir / "initial/waferstream.json"); }

void Rename(const fs::path& dir, const std::string& from, const std::string& to) {
  fs::rename(dir / "initial" / from, dir / "initial" / to);
}

const BadInput kBadInputs[] = {
    {"unknown_key", {"--set", "training.micro_bach=4"}, 2, "micro_bach"},
    {"not_a_number", {"--set", "training.steps=many"}, 2, "training.steps"},
    {"hidden_not_divisible", {"--set", "model.hidden=33"}, 2, "model.hidden"},
    {"micro_batch_not_dividing", {"--set", "training.micro_batch=3"}, 2, "micro_batch"},
    {"no_wafers", {"--wafers", "0"}, 2, "wafers"},
    {"wafers_not_a_number", {"--wafers", "two"}, 2, "wafers"},
    {"unknown_kernel_isa", {"--kernel-isa", "sse9"}, 2, "--kernel-isa: sse9: not one of sse4"},
    {"empty_kernel_isa", {"--kernel-isa", ""}, 2, "--kernel-isa"},
    {"kernel_isa_of_up", {"up", "--kernel-isa", "sse9"}, 2, "--kernel-isa: sse9: not one of"},
    {"unknown_family", {"--set", "model.family=bert"}, 2, "model.family"},
    {"does_not_fit", {"--set", "cluster.wafer.sram=1KiB"}, 1, "cluster.wafer.sram"},
    {"plan_that_does_not_fit",
     {"plan", "-f", "job.yaml", "--set", "cluster.wafer.sram=1KiB"},
     1,
     "cluster.wafer.sram"},
    {"token_beyond_vocabulary", {"--set", "model.vocab=100"}, 2, "train.bin"},
    {"no_data", {"--set", "data.train=nowhere.bin"}, 2, "nowhere.bin"},
    {"empty_data", {}, 2, "train.bin", [](const fs::path& dir) { Truncate(dir / "train.bin", 0); }},
    {"odd_data",
     {},
     2,
     "train.bin",
     [](const fs::path& dir) { Truncate(dir / "train.bin", 2001); }},
    {"data_shorter_than_a_sample",
     {},
     2,
     "val.bin",
     [](const fs::path& dir) { Truncate(dir / "val.bin", 32); }},
    {"no_job_file", {"run", "-f", "nowhere.yaml"}, 2, "nowhere.yaml"},
    {"not_yaml",
     {},
     2,
     "job.yaml",
     [](const fs::path& dir) { std::ofstream(dir / "job.yaml") << "name: [\n"; }},
    {"too_few_to_validate", {"--set", "data.validation_sequences=63"}, 2, "has 62 sequences"},
    {"accepts_nothing_known", {"--accept", "training.clipp"}, 2, "training.clipp"},
    {"accepts_what_does_not_matter",
     {"--set", "checkpoint.accept=[name]"},
     2,
     "checkpoint.accept: \"name\""},
    {"no_checkpoint", {"--resume", "nowhere"}, 2, "nowhere"},
    {"resume_from_nothing", {"--resume", ""}, 2, "--resume: is empty"},
    {"resume_from_an_unset_variable",
     {"--set", "checkpoint.from="},
     2,
     "checkpoint.from: is empty"},
    {"checkpoints_to_nowhere", {"--set", "checkpoint.dir=''"}, 2, "checkpoint.dir: is empty"},
    {"resume_from_an_empty_line",
     {},
     2,
     "checkpoint.from",
     [](const fs::path& dir) {
       std::ostringstream job;
       job << std::ifstream(dir / "job.yaml").rdbuf();
       std::string text = job.str();
       text.insert(text.find("checkpoint: {") + 13, "from: , ");
       std::ofstream(dir / "job.yaml") << text;
     }},
    {"run_dir_empty", {"--run-dir", ""}, 2, "--run-dir: is empty"},
    {"request_id_empty",
     {"submit", "-f", "job.yaml", "--request-id", "", "--controller", "127.0.0.1:1"},
     2,
     "--request-id"},
    {"resume_without_a_manifest",
     {"--resume", "initial"},
     2,
     "has no waferstream.json",
     [](const fs::path& dir) { fs::remove(dir / "initial/waferstream.json"); }},
    {"resume_with_an_empty_manifest",
     {"--resume", "initial"},
     2,
     "initial/waferstream.json",
     [](const fs::path& dir) { Truncate(dir / "initial/waferstream.json", 0); }},
    {"start_from_a_lost_manifest",
     {"--set", "checkpoint.from=initial"},
     2,
     "is damaged",
     [](const fs::path& dir) {
       fs::remove(dir / "initial/waferstream.json");
       std::ofstream(dir / "initial/optimizer.safetensors") << "state";
     }},
    {"resume_from_damaged_ones",
     {"--resume", "."},
     2,
     "step-000002 is damaged",
     [](const fs::path& dir) {
       fs::rename(dir / "initial", dir / "step-000002");
       Truncate(dir / "step-000002/model.safetensors", 9);
     }},
    {"folder_of_an_unknown_job",
     {"--set", "checkpoint.dir=."},
     2,
     "holds step-000002 of job",
     [](const fs::path& dir) { fs::rename(dir / "initial", dir / "step-000002"); }},
    {"folder_with_a_damaged_one",
     {"--set", "checkpoint.dir=."},
     2,
     "step-000002 of an unknown job",
     [](const fs::path& dir) {
       fs::rename(dir / "initial", dir / "step-000002");
       fs::remove(dir / "step-000002/waferstream.json");
     }},
    {"checkpoint_of_another_model",
     {"--resume", "initial", "--set", "model.layers=3"},
     2,
     "initial"},
    {"truncated_checkpoint",
     {"--resume", "initial"},
     2,
     "initial",
     [](const fs::path& dir) { Truncate(dir / "initial/model.safetensors", 5000); }},
    {"corrupt_checkpoint",
     {"--resume", "initial"},
     2,
     "initial",
     [](const fs::path& dir) { FlipByte(dir / "initial/model.safetensors", 100); }},
    {"corrupt_config",
     {"--resume", "initial"},
     2,
     "config.json",
     [](const fs::path& dir) { Truncate(dir / "initial/config.json", 10); }},
    {"run_dir_below_a_file", {"--run-dir", "job.yaml/run"}, 2, "--run-dir"},
    {"run_dir_where_nothing_can_be", {"--run-dir", "/proc/waferstream"}, 2, "/proc/waferstream"},
    {"run_dir_in_use", {"--run-dir", "initial"}, 2, "not empty"},
    {"no_command", {"frobnicate"}, 2, "frobnicate"},
    {"no_flag", {"list", "--frobnicate"}, 2, "frobnicate"},
    {"bad_format", {"list", "-o", "xml"}, 2, "xml"},
    {"bad_address", {"list", "--controller", "nonsense"}, 2, "nonsense"},
    {"nobody_there", {"list", "--controller", "127.0.0.1:1"}, 4, "127.0.0.1:1"},
    {"no_cluster", {"nodes"}, 4, "waferctl up"},
    {"nothing_to_take_down", {"down"}, 3, "no cluster is up"},
    {"no_checkpoints_to_list", {"checkpoint", "list", "nowhere"}, 3, "nowhere"},
    {"checkpoint_there_already",
     {"checkpoint", "init", "-f", "job.yaml", "--out", "initial"},
     1,
     "initial"},
    {"generate_without_prompt", {"generate", "--checkpoint", "initial"}, 2, "--prompt"},
    {"generate_from_nothing",
     {"generate", "--checkpoint", "nowhere", "--prompt", "a"},
     2,
     "nowhere"},
    {"prompt_beyond_vocabulary",
     {"generate", "--checkpoint", "initial", "--prompt-tokens", "256"},
     2,
     "256"},
};

// Job files that are none, and values of the wrong kind in them.
const BadInput kBadJobs[] = {
    {"job_is_a_folder", {"plan", "-f", "initial"}, 2, "is a folder"},
    {"job_is_a_device", {"plan", "-f", "/dev/zero"}, 2, "/dev/zero: is a device"},
    {"job_is_a_fifo",
     {"plan", "-f", "fifo"},
     2,
     "is a FIFO",
     [](const fs::path& dir) { MakeFifo(dir / "fifo"); }},
    {"job_is_a_dangling_link",
     {"plan", "-f", "link"},
     2,
     "link: No such file",
     [](const fs::path& dir) { fs::create_symlink("nowhere", dir / "link"); }},
    {"job_is_empty",
     {},
     2,
     "there are no keys",
     [](const fs::path& dir) { Truncate(dir / "job.yaml", 0); }},
    {"job_is_binary", {"plan", "-f", "train.bin"}, 2, "train.bin:1: "},
    {"job_is_huge",
     {},
     2,
     "holds more than",
     [](const fs::path& dir) { Append(dir / "job.yaml", std::string(2 << 20, '#')); }},
    {"two_documents",
     {},
     2,
     "a second document",
     [](const fs::path& dir) { Append(dir / "job.yaml", "---\nno_such_key: 1\n"); }},
    {"key_twice",
     {},
     2,
     "given twice",
     [](const fs::path& dir) { Append(dir / "job.yaml", "name: other\n"); }},
    {"key_without_value", {"--set", "data.validation=~"}, 2, "leave the key out"},
    {"name_is_a_path", {"--set", "name=../../../escaped"}, 2, "a name and no path"},
    {"name_is_empty", {"--set", "name="}, 2, "name: has no value"},
    {"name_moves_the_cursor", {"--set", "name=\"a\\e[2J\""}, 2, "\"a\\x1b[2J\""},
    {"name_in_two_lines", {"--set", "name=\"a\\nb\""}, 2, "\"a\\nb\""},
    {"name_too_long", {"--set", "name=" + std::string(300, 'x')}, 2, "128 bytes"},
    {"set_in_two_lines", {"--set", "a\nb=1"}, 2, "a\\nb"},
    {"set_without_key", {"--set", "=1"}, 2, "--set: unknown key"},
    {"set_nothing", {"--set", ""}, 2, "--set: want key.path=value"},
    {"no_replicas", {"--set", "cluster.memoryx.replicas=0"}, 2, "replicas: 0 must be at least 1"},
    {"unknown_profile", {"--set", "cluster.wafer.profile=wse33"}, 2, "one of wse2|wse3"},
    {"rate_not_a_number", {"--set", "training.clip=nan"}, 2, "training.clip: \"nan\""},
    {"rate_too_large", {"--set", "training.clip=1e400"}, 2, "training.clip: \"1e400\""},
    {"steps_in_hex", {"--set", "training.steps=0x10"}, 2, "training.steps: \"0x10\""},
    {"checkpoints_in_a_zero", {"--set", "checkpoint.dir=\"a\\0b\""}, 2, "checkpoint.dir: "},
    {"folder_not_utf8", {"--resume", "caf\xE9"}, 2, "--resume: is not UTF-8"},
};

// Flags, by kind.
const BadInput kBadFlags[] = {
    {"empty_file", {"plan", "-f", ""}, 2, "--file: is empty"},
    {"empty_resume", {"--resume", ""}, 2, "--resume: is empty"},
    {"empty_run_dir", {"--run-dir", ""}, 2, "--run-dir: is empty"},
    {"empty_after_equals", {"--run-dir=", "-q"}, 2, "--run-dir: is empty"},
    {"empty_list", {"checkpoint", "list", ""}, 2, "DIR: is empty"},
    {"empty_export", {"checkpoint", "export", "", "--out", "x"}, 2, "DIR: is empty"},
    {"empty_export_out", {"checkpoint", "export", "initial", "--out", ""}, 2, "--out: is empty"},
    {"empty_init", {"checkpoint", "init", "-f", "job.yaml", "--out", ""}, 2, "--out: is empty"},
    {"empty_checkpoint", {"generate", "--checkpoint", "", "--prompt", "a"}, 2, "--checkpoint: "},
    {"empty_dir_up", {"up", "--dir", ""}, 2, "--dir: is empty"},
    {"empty_dir_down", {"down", "--dir", ""}, 2, "--dir: is empty"},
    {"empty_job", {"get", ""}, 2, "JOB: is empty"},
    {"job_is_a_path", {"get", "a/b"}, 2, "JOB: \"a/b\" must be a name"},
    {"empty_node", {"nodes", "drain", ""}, 2, "NODE: is empty"},
    {"empty_log_node", {"logs", "--node", ""}, 2, "--node: is empty"},
    {"empty_request", {"submit", "-f", "job.yaml", "--request-id", ""}, 2, "--request-id: "},
    {"path_in_two_lines", {"checkpoint", "list", "a\nb"}, 2, "DIR: \"a\\nb\""},
    {"path_too_long", {"checkpoint", "list", std::string(5000, 'x')}, 2, "4095 bytes"},
    {"wafers_in_hex", {"--wafers", "0x2"}, 2, "--wafers: \"0x2\""},
    {"wafers_in_octal", {"--wafers", "010"}, 2, "--wafers: \"010\""},
    {"wafers_empty", {"--wafers", ""}, 2, "--wafers: \"\""},
    {"wafers_in_part", {"--wafers", "1.5"}, 2, "--wafers: \"1.5\""},
    {"wafers_too_many", {"--wafers", "99999999999"}, 2, "--wafers: "},
    {"memoryx_negative", {"--memoryx", "-1"}, 2, "--memoryx"},
    {"up_without_wafers", {"up", "--wafers", "0"}, 2, "--wafers: 0"},
    {"port_too_large", {"up", "--port", "65536"}, 2, "--port: 65536"},
    {"address_without_port", {"list", "--controller", "host"}, 2, "must be host:port"},
    {"address_with_scheme", {"list", "--controller", "http://a:1"}, 2, "must be host:port"},
    {"address_with_a_path", {"watch", "j", "--controller", "a:1/x"}, 2, "must be host:port"},
    {"rate_of_nothing", {"resume", "j", "--lr", "0"}, 2, "--lr: 0"},
    {"rate_nan", {"resume", "j", "--lr", "nan"}, 2, "--lr: \"nan\""},
    {"patience_real", {"watch", "j", "--patience", "1e9"}, 2, "--patience: \"1e9\""},
    {"unknown_dtype",
     {"checkpoint", "export", "initial", "--out", "x", "--dtype", "f64"},
     2,
     "f32|bf16|f16"},
    {"shard_without_a_size",
     {"checkpoint", "export", "initial", "--out", "x", "--shard-size", "5 GB"},
     2,
     "--shard-size: \"5 GB\" must be a whole number of bytes"},
    {"shard_of_nothing",
     {"checkpoint", "export", "initial", "--out", "x", "--shard-size", "999"},
     2,
     "--shard-size: 999 must be at least 1000"},
    {"empty_import", {"checkpoint", "import", "", "--out", "x"}, 2, "PATH: is empty"},
    {"empty_import_out", {"checkpoint", "import", "initial", "--out", ""}, 2, "--out: is empty"},
    {"import_of_a_file", {"checkpoint", "import", "job.yaml", "--out", "x"}, 2, "job.yaml: is no"},
    {"import_of_nothing", {"checkpoint", "import", "none", "--out", "x"}, 3, "none/config.json"},
};

// What follows "generate --checkpoint initial".
const BadInput kBadGenerations[] = {
    {"no_tokens", {"--prompt", "a", "--tokens", "0"}, 2, "--tokens: 0"},
    {"too_many_tokens", {"--prompt", "a", "--tokens", "99999999"}, 2, "--tokens: "},
    {"overflowing_tokens", {"--prompt", "a", "--tokens", "99999999999999999999"}, 2, "--tokens: "},
    {"temperature_nan", {"--prompt", "a", "--temperature", "nan"}, 2, "--temperature: \"nan\""},
    {"temperature_inf", {"--prompt", "a", "--temperature", "inf"}, 2, "--temperature: \"inf\""},
    {"temperature_below", {"--prompt", "a", "--temperature=-1"}, 2, "--temperature: -1"},
    {"temperature_empty", {"--prompt", "a", "--temperature", ""}, 2, "--temperature: \"\""},
    {"top_p_above", {"--prompt", "a", "--top-p", "1.5"}, 2, "--top-p: 1.5"},
    {"tokenizer_nowhere", {"--prompt", "a", "--tokenizer", "none.json"}, 2, "none.json: "},
    {"tokenizer_of_none",
     {"--prompt", "a", "--tokenizer", "."},
     2,
     ".: holds no tokenizer.json and no tokenizer.model"},
    {"top_k_below", {"--prompt", "a", "--top-k=-1"}, 2, "--top-k: -1"},
    {"seed_in_part", {"--prompt", "a", "--seed", "1.5"}, 2, "--seed: \"1.5\""},
    {"prompt_empty", {"--prompt", ""}, 2, "--prompt: is empty"},
    {"tokens_empty", {"--prompt-tokens", ""}, 2, "--prompt-tokens: \"\""},
    {"tokens_with_a_gap", {"--prompt-tokens", "1,,2"}, 2, "--prompt-tokens: \"\""},
    {"tokens_below", {"--prompt-tokens=-1"}, 2, "--prompt-tokens: -1"},
    {"two_prompts", {"--prompt", "a", "--prompt-tokens", "1"}, 2, "--prompt"},
};

void PutText(const fs::path& dir, const std::string& name, const std::string& text) {
  std::ofstream(dir / name, std::ios::binary) << text;
}

// What follows "data prepare -o x.bin".
const BadInput kBadData[] = {
    {"data_without_input", {}, 2, "INPUT"},
    {"data_from_nowhere", {"nowhere.txt", "--tokenizer", "bytes"}, 2, "nowhere.txt: No such file"},
    {"data_of_no_kind", {"job.yaml", "--tokenizer", "bytes"}, 2, "job.yaml: what it holds"},
    {"data_without_tokenizer",
     {"a.txt"},
     2,
     "--tokenizer: text needs one",
     [](const fs::path& dir) { PutText(dir, "a.txt", "a"); }},
    {"data_no_field",
     {"a.jsonl", "--tokenizer", "bytes", "--field", "body"},
     2,
     "a.jsonl:2: no field \"body\"",
     [](const fs::path& dir) { PutText(dir, "a.jsonl", "{\"body\": \"a\"}\n{\"text\": \"a\"}"); }},
    {"data_learn_from_bad_utf8",
     {"a.txt", "--learn", "300", "--save-tokenizer", "t"},
     2,
     "a.txt:3: is not UTF-8",
     [](const fs::path& dir) { PutText(dir, "a.txt", "a\nb\n\xFF"); }},
    {"data_learn_nowhere",
     {"a.txt", "--learn", "300"},
     2,
     "--learn: say where",
     [](const fs::path& dir) { PutText(dir, "a.txt", "a"); }},
    {"data_learn_too_few", {"a.txt", "--learn", "257"}, 2, "--learn: 257 must be at least 258"},
    {"data_chat_of_bytes",
     {"a.jsonl", "--tokenizer", "bytes", "--chat"},
     2,
     "--chat: bytes: is no tokenizer.json",
     [](const fs::path& dir) { PutText(dir, "a.jsonl", "{}"); }},
    {"data_vocab_too_small",
     {"t.bin", "--vocab", "5"},
     2,
     "t.bin: token 1 is 6; the vocabulary is 5",
     [](const fs::path& dir) { PutText(dir, "t.bin", std::string("\x04\0\x06\0", 4)); }},
    {"data_end_of_text_of_bytes",
     {"a.txt", "--tokenizer", "bytes", "--end-of-text", "<eos>"},
     2,
     "--end-of-text: bytes has no token \"<eos>\"",
     [](const fs::path& dir) { PutText(dir, "a.txt", "a"); }},
};

// What follows "evaluate --checkpoint initial".
const BadInput kBadEvaluations[] = {
    {"evaluate_without_data", {}, 2, "--data"},
    {"evaluate_nothing", {"--data", "nothing.bin"}, 2, "--data: "},
    {"evaluate_too_little",
     {"--data", "short.txt"},
     2,
     "--data: ",
     [](const fs::path& dir) { std::ofstream(dir / "short.txt") << "sixteen, and one"; }},
    {"evaluate_beyond_the_vocabulary",
     {"--data", "wide.bin"},
     2,
     "--data: ",
     [](const fs::path& dir) { std::ofstream(dir / "wide.bin") << std::string(100, 'x'); }},
    {"evaluate_in_batches_of_nothing", {"--data", "val.bin", "--micro-batch", "0"}, 2, "--micro-"},
    {"evaluate_without_context", {"--data", "val.bin", "--context", "0"}, 2, "--context: 0"},
    {"evaluate_beyond_the_positions", {"--data", "val.bin", "--context", "8"}, 2, "context is 16"},
    {"evaluate_in_fp8", {"--data", "val.bin", "--precision", "fp8"}, 2, "--precision: "},
};

// Data and checkpoints that are not what their names say.
const BadInput kBadFiles[] = {
    {"data_is_a_fifo",
     {},
     2,
     "train.bin: is a FIFO",
     [](const fs::path& dir) { MakeFifo(dir / "train.bin"); }},
    {"data_is_a_device",
     {},
     2,
     "val.bin: is a device",
     [](const fs::path& dir) {
       fs::remove(dir / "val.bin");
       fs::create_symlink("/dev/zero", dir / "val.bin");
     }},
    {"data_is_a_folder",
     {},
     2,
     "train.bin: is a folder",
     [](const fs::path& dir) {
       fs::remove(dir / "train.bin");
       fs::create_directory(dir / "train.bin");
     }},
    {"data_has_one_byte",
     {},
     2,
     "train.bin: ",
     [](const fs::path& dir) { Truncate(dir / "train.bin", 1); }},
    {"config_is_a_fifo",
     {"--resume", "initial"},
     2,
     "config.json: is a FIFO",
     [](const fs::path& dir) { MakeFifo(dir / "initial/config.json"); }},
    {"model_is_a_fifo",
     {"--resume", "initial"},
     2,
     "model.safetensors: is a FIFO",
     [](const fs::path& dir) { MakeFifo(dir / "initial/model.safetensors"); }},
    {"manifest_is_a_fifo",
     {"--resume", "initial"},
     2,
     "waferstream.json: is a FIFO",
     [](const fs::path& dir) { MakeFifo(dir / "initial/waferstream.json"); }},
    {"variants_only",
     {"--set", "checkpoint.from=initial"},
     2,
     "to choose among model.bf16.safetensors, model.fp16.safetensors",
     [](const fs::path& dir) {
       MakeForeign(dir);
       Rename(dir, "model.safetensors", "model.fp16.safetensors");
       fs::copy(dir / "initial/model.fp16.safetensors", dir / "initial/model.bf16.safetensors");
     }},
    {"not_of_torch",
     {"--set", "checkpoint.from=initial"},
     2,
     "pytorch_model.bin is not a file of torch.save",
     [](const fs::path& dir) {
       MakeForeign(dir);
       Rename(dir, "model.safetensors", "pytorch_model.bin");
     }},
    {"shard_is_missing",
     {"--set", "checkpoint.from=initial"},
     2,
     "names b.safetensors, which is not there",
     [](const fs::path& dir) {
       MakeForeign(dir);
       Rename(dir, "model.safetensors", "a.safetensors");
       Append(dir / "initial/model.safetensors.index.json",
              R"({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})");
     }},
    {"another_architecture",
     {"--resume", "initial"},
     2,
     "model_type is \"bert\"",
     [](const fs::path& dir) {
       std::ofstream(dir / "initial/config.json") << R"({"model_type": "bert"})";
     }},
    {"weights_not_finite",
     {"--set", "checkpoint.from=initial"},
     2,
     "holds nan",
     [](const fs::path& dir) {
       MakeForeign(dir);
       std::fstream file(dir / "initial/model.safetensors",
                         std::ios::in | std::ios::out | std::ios::binary);
       file.seekp(-4, std::ios::end);
       file.write("\0\0\xc0\x7f", 4);
     }},
};

class BadInputTest : public testing::TestWithParam<BadInput> {};

std::vector<std::string> Arguments(const BadInput& bad) {
  const bool whole = !bad.args.empty() && bad.args[0][0] != '-';
  std::vector<std::string> args = bad.args;
  if (!whole) args.insert(args.begin(), {"run", "-f", "job.yaml"});
  return args;
}

// Everything below the folder but the outputs of the calls themselves.
std::vector<std::string> Listing(const fs::path& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    const std::string name = fs::relative(entry.path(), dir).string();
    if (!absl::StartsWith(name, "out.") && !absl::StartsWith(name, "err.")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void ExpectRefusal(CtlHarness& harness, const BadInput& bad) {
  const std::vector<std::string> before = Listing(harness.dir());
  const auto call = harness.Run(Arguments(bad), bad.exit_code);
  const std::string err = call->err();
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  EXPECT_TRUE(absl::StartsWith(err, "waferctl: ")) << err;
  EXPECT_TRUE(absl::StrContains(err, bad.message)) << err;
  EXPECT_EQ(call->out(), "");
  EXPECT_EQ(Listing(harness.dir()), before) << "something was left behind";
}

TEST_P(BadInputTest, OneLineAndNothingLeft) {
  CtlHarness harness("bad_input");
  harness.WriteJob(2);
  harness.Run({"checkpoint", "init", "-f", "job.yaml", "--out", "initial"});
  GetParam().prepare(harness.dir());
  ExpectRefusal(harness, GetParam());
}

std::string NameOf(const testing::TestParamInfo<BadInput>& info) { return info.param.name; }

std::vector<BadInput> Generations() {
  std::vector<BadInput> all(std::begin(kBadGenerations), std::end(kBadGenerations));
  for (BadInput& bad : all) {
    bad.args.insert(bad.args.begin(), {"generate", "--checkpoint", "initial"});
  }
  return all;
}

std::vector<BadInput> Evaluations() {
  std::vector<BadInput> all(std::begin(kBadEvaluations), std::end(kBadEvaluations));
  for (BadInput& bad : all) {
    bad.args.insert(bad.args.begin(), {"evaluate", "--checkpoint", "initial"});
  }
  return all;
}

std::vector<BadInput> Data() {
  std::vector<BadInput> all(std::begin(kBadData), std::end(kBadData));
  for (BadInput& bad : all) {
    bad.args.insert(bad.args.begin(), {"data", "prepare", "-o", "x.bin"});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, BadInputTest, testing::ValuesIn(kBadInputs), NameOf);
INSTANTIATE_TEST_SUITE_P(Jobs, BadInputTest, testing::ValuesIn(kBadJobs), NameOf);
INSTANTIATE_TEST_SUITE_P(Flags, BadInputTest, testing::ValuesIn(kBadFlags), NameOf);
INSTANTIATE_TEST_SUITE_P(Generations, BadInputTest, testing::ValuesIn(Generations()), NameOf);
INSTANTIATE_TEST_SUITE_P(Data, BadInputTest, testing::ValuesIn(Data()), NameOf);
INSTANTIATE_TEST_SUITE_P(Evaluations, BadInputTest, testing::ValuesIn(Evaluations()), NameOf);
INSTANTIATE_TEST_SUITE_P(Files, BadInputTest, testing::ValuesIn(kBadFiles), NameOf);

// Whoever starts it may have removed the folder in which it is.
TEST(NoCurrentFolderTest, RelativePathsAreRefusedAbsoluteOnesAreNot) {
  CtlHarness harness("no_current_folder");
  harness.WriteJob(2);
  const std::string program = harness.program();
  const std::string job = harness.dir() / "job.yaml";
  harness.SetProgram("/bin/sh");
  const auto run = [&](const std::string& arguments, int exit_code) {
    return harness.Run(
        {"-c", absl::StrCat("mkdir gone; cd gone; rmdir ../gone; exec ", program, " ", arguments)},
        exit_code);
  };
  for (const char* arguments :
       {"checkpoint list x", "checkpoint export x --out y", "checkpoint import x --out y",
        "plan -f x", "down --dir x", "generate --checkpoint x --prompt a"}) {
    const std::string err = run(arguments, 2)->err();
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
    EXPECT_TRUE(absl::StartsWith(err, "waferctl: ")) << err;
  }
  const std::string err = run(absl::StrCat("run -q -f ", job), 2)->err();
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  EXPECT_NE(run(absl::StrCat("plan -f ", job), 0)->out(), "");
}

TEST(PortInUseTest, IsNamed) {
  const Fd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  const std::string port = absl::StrCat(ntohs(address.sin_port));

  CtlHarness harness("port");
  ExpectRefusal(harness, {"port_in_use", {"up", "--port", port}, 2, "Address already in use"});
}

}  // namespace
}  // namespace waferstream
