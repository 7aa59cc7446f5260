#include "checkpoint/manifest.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/status.h"
#include "checkpoint/layout.h"

namespace waferstream {
namespace {

using Json = nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr uint64_t kManifestBytesMax = 16 << 20;
constexpr size_t kReadBytes = 4 << 20;

Json JobJson(const JobSpec& job) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  WS_CHECK(google::protobuf::util::MessageToJsonString(job, &text, options).ok());
  return Json::parse(text);
}

bool IsHash(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().size() == 32;
}

Json WriterJson(const Manifest& manifest) {
  if (manifest.written_by.job_id.empty()) return nullptr;
  return {{"job", manifest.written_by.job_id},
          {"epoch", manifest.written_by.epoch},
          {"ancestors", manifest.ancestors}};
}

// "j-000012-e3", as older versions wrote it.
WriterEpoch WriterNamed(absl::string_view name) {
  const size_t at = name.rfind("-e");
  WriterEpoch writer;
  if (at == absl::string_view::npos || !absl::SimpleAtoi(name.substr(at + 2), &writer.epoch)) {
    return {};
  }
  writer.job_id = std::string(name.substr(0, at));
  return writer;
}

// False: it is malformed. A manifest without one is of no job.
bool ReadWriter(const Json& json, Manifest& manifest) {
  if (json.is_null()) return true;
  if (json.is_string()) {
    manifest.written_by = WriterNamed(json.get_ref<const std::string&>());
    return true;
  }
  if (!json.is_object() || !json.value("job", Json()).is_string() ||
      !json.value("epoch", Json()).is_number_unsigned() ||
      !json.value("ancestors", Json()).is_array()) {
    return false;
  }
  manifest.written_by = {json["job"], json["epoch"]};
  for (const Json& ancestor : json["ancestors"]) {
    if (!ancestor.is_string()) return false;
    manifest.ancestors.push_back(ancestor);
  }
  return true;
}

absl::Status ReadFields(const Json& json, Manifest& manifest) {
  const auto bad = [](absl::string_view what) { return absl::DataLossError(what); };
  if (!json.is_object()) return bad("is not a JSON object");
  if (json.value("format", Json()) != kFormatVersion) return bad("has another format version");
  if (!json.value("steps_done", Json()).is_number_unsigned()) return bad("has no steps_done");
  if (!IsHash(json.value("weights_hash", Json()))) return bad("has no weights_hash");
  if (!IsHash(json.value("optimizer_hash", Json()))) return bad("has no optimizer_hash");
  if (!json.value("files", Json()).is_object()) return bad("has no files");
  manifest.steps_done = json["steps_done"];
  const Json loss = json.value("loss", Json());
  manifest.loss = loss.is_number() ? loss.get<double>() : std::nan("");
  if (!ReadWriter(json.value("written_by", Json()), manifest)) {
    return bad("has a malformed written_by");
  }
  const auto text = [&](const char* key) {
    const Json value = json.value(key, Json());
    return value.is_string() ? value.get<std::string>() : "";
  };
  manifest.kernel_isa = text("kernel_isa");
  manifest.build = text("build");
  const Json numerics = json.value("numerics", Json(1U));
  if (!numerics.is_number_unsigned() || numerics > UINT32_MAX) return bad("has malformed numerics");
  manifest.numerics = numerics;
  manifest.weights_hash = json["weights_hash"];
  manifest.optimizer_hash = json["optimizer_hash"];
  for (const auto& [name, file] : json["files"].items()) {
    if (!file.is_object() || !file.value("bytes", Json()).is_number_unsigned() ||
        !IsHash(file.value("xxh3_128", Json()))) {
      return bad(absl::StrCat("has a malformed entry for ", name));
    }
    manifest.files[name] = {file["bytes"], file["xxh3_128"]};
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer release may have added some
  const std::string job = json.value("job", Json::object()).dump();
  if (!google::protobuf::util::JsonStringToMessage(job, &manifest.job, options).ok()) {
    return bad("has a malformed job");
  }
  return absl::OkStatus();
}

// Feeds [from, to) of the file to the hash.
absl::Status HashRange(const File& file, uint64_t from, uint64_t to,
                       const std::vector<Hash128*>& hashes) {
  std::vector<char> buffer(std::min<uint64_t>(kReadBytes, to - from));
  while (from < to) {
    const size_t n = std::min<uint64_t>(buffer.size(), to - from);
    RETURN_IF_ERROR(file.ReadAt(from, buffer.data(), n));
    for (Hash128* hash : hashes) hash->Update(buffer.data(), n);
    from += n;
  }
  return absl::OkStatus();
}

}  // namespace

std::string WriterEpoch::Name() const {
  // The id comes from outside; it must stay one name.
  return absl::StrCat(absl::StrReplaceAll(job_id, {{"/", "_"}}), "-e", epoch);
}

std::string ManifestJson(const Manifest& manifest) {
  Json files = Json::object();
  for (const auto& [name, file] : manifest.files) {
    files[name] = {{"bytes", file.bytes}, {"xxh3_128", file.hash}};
  }
  const Json json = {{"format", kFormatVersion},
                     {"steps_done", manifest.steps_done},
                     {"loss", manifest.loss},  // not a number becomes null
                     {"written_by", WriterJson(manifest)},
                     {"kernel_isa", manifest.kernel_isa},
                     {"build", manifest.build},
                     {"numerics", manifest.numerics},
                     {"weights_hash", manifest.weights_hash},
                     {"optimizer_hash", manifest.optimizer_hash},
                     {"files", files},
                     {"job", JobJson(manifest.job)}};
  return json.dump(2) + "\n";
}

absl::StatusOr<Manifest> ReadManifest(Disk& disk, const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifestFile);
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(disk, path, kManifestBytesMax));
  Manifest manifest;
  const absl::StatusOr<Json> json = ParseJson(text);
  const absl::Status status = json.ok() ? ReadFields(*json, manifest) : json.status();
  if (!status.ok()) return absl::DataLossError(absl::StrCat(path, " ", status.message()));
  return manifest;
}

absl::StatusOr<TensorFileDigest> DigestTensorFile(Disk& disk, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.OpenForReading(path));
  ASSIGN_OR_RETURN(const std::vector<TensorInfo> tensors, ReadTensorTable(*file));
  TensorFileDigest digest;
  ASSIGN_OR_RETURN(digest.file.bytes, file->Size());
  const uint64_t data_begin = tensors.empty() ? digest.file.bytes : tensors.front().offset;
  Hash128 whole, data;
  RETURN_IF_ERROR(HashRange(*file, 0, data_begin, {&whole}));
  RETURN_IF_ERROR(HashRange(*file, data_begin, digest.file.bytes, {&whole, &data}));
  digest.file.hash = whole.Hex();
  digest.data_hash = data.Hex();
  return digest;
}

absl::StatusOr<FileDigest> DigestFile(Disk& disk, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.OpenForReading(path));
  FileDigest digest;
  ASSIGN_OR_RETURN(digest.bytes, file->Size());
  Hash128 hash;
  RETURN_IF_ERROR(HashRange(*file, 0, digest.bytes, {&hash}));
  digest.hash = hash.Hex();
  return digest;
}

}  // namespace waferstream
