#include "checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/json.h"
#include "base/status.h"

namespace waferstream {
namespace {

static_assert(std::endian::native == std::endian::little);

using Json = nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
// The limit that the format's own library has; a larger header is not read at all.
constexpr uint64_t kHeaderBytesMax = 100'000'000;

absl::Status Corrupt(const File& file, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(file.path(), ": ", what));
}

absl::Status Corrupt(const File& file, absl::string_view tensor, absl::string_view what) {
  return Corrupt(file, absl::StrCat("tensor '", tensor, "' ", what));
}

// Nullopt: a type that this reader does not know, and never needs.
std::optional<uint64_t> ElementBytes(absl::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL") return 1;
  return std::nullopt;
}

// Nullopt when the product does not fit.
std::optional<uint64_t> Product(const std::vector<int64_t>& shape, uint64_t element_bytes) {
  uint64_t product = element_bytes;
  for (const int64_t n : shape) {
    if (__builtin_mul_overflow(product, static_cast<uint64_t>(n), &product)) return std::nullopt;
  }
  return product;
}

bool IsSize(const Json& value) {
  return value.is_number_unsigned() &&
         value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
}

bool IsListOfSizes(const Json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), IsSize);
}

absl::StatusOr<TensorInfo> ReadEntry(const File& file, const std::string& name, const Json& entry,
                                     uint64_t data_begin, uint64_t file_bytes) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
      !entry.contains("shape") || !IsListOfSizes(entry["shape"]) ||
      !entry.contains("data_offsets") || !IsListOfSizes(entry["data_offsets"]) ||
      entry["data_offsets"].size() != 2) {
    return Corrupt(file, name, "has a malformed header entry");
  }
  TensorInfo tensor;
  tensor.name = name;
  tensor.dtype = entry["dtype"];
  tensor.shape = entry["shape"].get<std::vector<int64_t>>();
  const uint64_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
  if (begin > end) return Corrupt(file, name, "ends before it begins");
  if (end > file_bytes - data_begin) {
    return Corrupt(file, name,
                   absl::StrCat("ends at byte ", data_begin + end, ", but the file has only ",
                                file_bytes, " (truncated?)"));
  }
  tensor.offset = data_begin + begin;
  tensor.bytes = end - begin;
  const auto element_bytes = ElementBytes(tensor.dtype);
  if (element_bytes && Product(tensor.shape, *element_bytes) != tensor.bytes) {
    return Corrupt(file, name,
                   absl::StrCat("is ", tensor.dtype, " ", ShapeText(tensor.shape), " but has ",
                                tensor.bytes, " bytes"));
  }
  return tensor;
}

// The tensors must fill the rest of the file, one after the other.
absl::Status CheckContiguous(const File& file, const std::vector<TensorInfo>& tensors,
                             uint64_t data_begin, uint64_t file_bytes) {
  uint64_t at = data_begin;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset < at) return Corrupt(file, tensor.name, "overlaps another tensor");
    if (tensor.offset > at) return Corrupt(file, tensor.name, "leaves a gap before it");
    at += tensor.bytes;
  }
  if (at != file_bytes) {
    return Corrupt(file, absl::StrCat(file_bytes - at, " bytes follow the last tensor"));
  }
  return absl::OkStatus();
}

// "pt" tells Hugging Face's loader that the tensors are as PyTorch has them.
std::string SortedHeader(const std::vector<TensorInfo>& tensors) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  for (const TensorInfo& t : tensors) {
    header[t.name] = {
        {"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {t.offset, t.offset + t.bytes}}};
  }
  return header.dump();
}

// One object of the library that keeps the order would look for each name among all before it.
std::string TheirHeader(const std::vector<TensorInfo>& tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  for (const TensorInfo& t : tensors) {
    nlohmann::ordered_json entry;
    entry["dtype"] = t.dtype;
    entry["shape"] = t.shape;
    entry["data_offsets"] = {t.offset, t.offset + t.bytes};
    absl::StrAppend(&header, ",", Json(t.name).dump(), ":", entry.dump());
  }
  return header + "}";
}

}  // namespace

absl::StatusOr<std::vector<TensorInfo>> ReadTensorTable(const File& file) {
  ASSIGN_OR_RETURN(const uint64_t file_bytes, file.Size());
  uint64_t header_bytes = 0;
  if (file_bytes < kLengthBytes) return Corrupt(file, "is too short for a safetensors file");
  RETURN_IF_ERROR(file.ReadAt(0, &header_bytes, kLengthBytes));
  if (header_bytes > kHeaderBytesMax || header_bytes > file_bytes - kLengthBytes) {
    return Corrupt(file, absl::StrCat("header length ", header_bytes, " in a file of ", file_bytes,
                                      " bytes (truncated, or not a safetensors file)"));
  }
  std::string text(header_bytes, '\0');
  RETURN_IF_ERROR(file.ReadAt(kLengthBytes, text.data(), header_bytes));
  const absl::StatusOr<Json> header = ParseJson(text);
  if (!header.ok()) return Corrupt(file, absl::StrCat("the header ", header.status().message()));
  if (!header->is_object()) return Corrupt(file, "the header is not a JSON object");
  const uint64_t data_begin = kLengthBytes + header_bytes;
  std::vector<TensorInfo> tensors;
  for (const auto& [name, entry] : header->items()) {
    if (name == "__metadata__") continue;
    ASSIGN_OR_RETURN(TensorInfo tensor, ReadEntry(file, name, entry, data_begin, file_bytes));
    tensors.push_back(std::move(tensor));
  }
  // An empty tensor lies before whatever begins at the same byte.
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  RETURN_IF_ERROR(CheckContiguous(file, tensors, data_begin, file_bytes));
  return tensors;
}

std::string LayOutTensors(std::vector<TensorInfo>& tensors, KeyOrder keys) {
  uint64_t at = 0;
  for (TensorInfo& tensor : tensors) {
    tensor.offset = at;
    at += tensor.bytes;
  }
  std::string text = keys == KeyOrder::kSorted ? SortedHeader(tensors) : TheirHeader(tensors);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  bytes += text;
  for (TensorInfo& tensor : tensors) tensor.offset += bytes.size();
  return bytes;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace waferstream
