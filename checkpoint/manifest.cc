#include "checkpoint/manifest.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
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
  const Json written_by = json.value("written_by", Json());
  if (written_by.is_string()) manifest.written_by = written_by;
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

std::string ManifestJson(const Manifest& manifest) {
  Json files = Json::object();
  for (const auto& [name, file] : manifest.files) {
    files[name] = {{"bytes", file.bytes}, {"xxh3_128", file.hash}};
  }
  const Json json = {{"format", kFormatVersion},
                     {"steps_done", manifest.steps_done},
                     {"loss", manifest.loss},  // not a number becomes null
                     {"written_by", manifest.written_by},
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
