#include "checkpoint/torch_file.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace waferstream {
namespace {

using Kind = PickleValue::Kind;

constexpr absl::string_view kPickleName = "/data.pkl";
constexpr uint64_t kPickleBytesMax = 64 << 20;
constexpr int kWrappersMax = 4;  // of one tensor; there is one, Parameter

struct StorageType {
  absl::string_view global;
  const char* dtype;  // as safetensors has it
  uint64_t element_bytes;
};
constexpr StorageType kStorageTypes[] = {
    {"torch FloatStorage", "F32", 4}, {"torch BFloat16Storage", "BF16", 2},
    {"torch HalfStorage", "F16", 2},  {"torch DoubleStorage", "F64", 8},
    {"torch LongStorage", "I64", 8},  {"torch IntStorage", "I32", 4},
    {"torch ShortStorage", "I16", 2}, {"torch CharStorage", "I8", 1},
    {"torch ByteStorage", "U8", 1},   {"torch BoolStorage", "BOOL", 1},
};

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::StatusOr<std::string> ReadRange(const File& file, const FileRange& range, uint64_t max) {
  if (range.bytes > max) {
    return absl::ResourceExhaustedError(absl::StrCat(file.path(), ": a part has ", range.bytes,
                                                     " bytes, more than the ", max, " allowed"));
  }
  std::string text(range.bytes, '\0');
  RETURN_IF_ERROR(file.ReadAt(range.offset, text.data(), text.size()));
  return text;
}

// One tensor of a dictionary.
class TensorReader {
 public:
  TensorReader(const TorchFile& file, const std::string& name) : file_(file), name_(name) {}

  absl::StatusOr<TensorInfo> Read(const PickleValue& value) {
    const PickleValue* tensor = &value;
    for (int i = 0; i < kWrappersMax && IsCall(*tensor, "torch._utils _rebuild_parameter"); ++i) {
      if (Arguments(*tensor).items.empty()) return Malformed();
      tensor = &file_.content.Item(Arguments(*tensor), 0);
    }
    if (!IsCall(*tensor, "torch._utils _rebuild_tensor_v2")) {
      return absl::InvalidArgumentError(
          absl::StrCat(file_.path, ": '", name_, "' is ", NameOf(tensor->kind), ", not a tensor"));
    }
    return ReadTensor(Arguments(*tensor));
  }

 private:
  bool IsCall(const PickleValue& value, absl::string_view global) const {
    return value.kind == Kind::kCall && file_.content.Item(value, 0).text == global;
  }
  const PickleValue& Arguments(const PickleValue& call) const {
    return file_.content.Item(call, 1);
  }
  absl::Status Malformed() const { return Corrupt("is malformed"); }
  absl::Status Corrupt(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(file_.path, ": tensor '", name_, "' ", what));
  }

  // (storage, offset, size, stride, requires_grad, hooks, ...)
  absl::StatusOr<TensorInfo> ReadTensor(const PickleValue& arguments) {
    const Pickle& content = file_.content;
    if (arguments.items.size() < 4) return Malformed();
    const PickleValue& offset = content.Item(arguments, 1);
    TensorInfo tensor;
    tensor.name = name_;
    std::vector<int64_t> strides;
    if (offset.kind != Kind::kWhole || offset.whole < 0 ||
        !ReadSizes(content.Item(arguments, 2), tensor.shape) ||
        !ReadSizes(content.Item(arguments, 3), strides) || strides.size() != tensor.shape.size()) {
      return Malformed();
    }
    ASSIGN_OR_RETURN(const uint64_t elements, Elements(tensor.shape));
    if (elements > 0 && !IsContiguous(tensor.shape, strides)) {
      return absl::InvalidArgumentError(absl::StrCat(
          file_.path, ": tensor '", name_, "' is a view of another one, with gaps or in another ",
          "order; save .contiguous() tensors"));
    }
    RETURN_IF_ERROR(Place(content.Item(arguments, 0), offset.whole, elements, tensor));
    return tensor;
  }

  // ("storage", type, key, where it was, elements)
  absl::Status Place(const PickleValue& persistent, uint64_t first, uint64_t elements,
                     TensorInfo& tensor) {
    const Pickle& content = file_.content;
    if (persistent.kind != Kind::kPersistent) return Malformed();
    const PickleValue& id = content.Item(persistent, 0);
    if (id.kind != Kind::kTuple || id.items.size() != 5 || content.Item(id, 0).text != "storage" ||
        content.Item(id, 2).kind != Kind::kText) {
      return Malformed();
    }
    const auto* type =
        std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                     [&](const StorageType& t) { return t.global == content.Item(id, 1).text; });
    if (type == std::end(kStorageTypes)) return Malformed();
    const auto storage = file_.storages.find(content.Item(id, 2).text);
    if (storage == file_.storages.end()) return Corrupt("has no numbers in the file");
    const uint64_t there = storage->second.bytes / type->element_bytes;
    if (first > there || elements > there - first) return Corrupt("is larger than its storage");
    tensor.dtype = type->dtype;
    tensor.offset = storage->second.offset + first * type->element_bytes;
    tensor.bytes = elements * type->element_bytes;
    return absl::OkStatus();
  }

  bool ReadSizes(const PickleValue& tuple, std::vector<int64_t>& sizes) const {
    if (tuple.kind != Kind::kTuple) return false;
    for (const int index : tuple.items) {
      const PickleValue& size = file_.content.At(index);
      if (size.kind != Kind::kWhole || size.whole < 0) return false;
      sizes.push_back(size.whole);
    }
    return true;
  }

  absl::StatusOr<uint64_t> Elements(const std::vector<int64_t>& shape) const {
    uint64_t elements = 1;
    for (const int64_t n : shape) {
      if (__builtin_mul_overflow(elements, static_cast<uint64_t>(n), &elements)) {
        return Corrupt("is larger than its storage");
      }
    }
    return elements;
  }

  // Row-major without gaps. The step of a dimension of one does not matter. No product overflows:
  // that of all sizes does not.
  static bool IsContiguous(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    uint64_t step = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      if (shape[i] != 1 && static_cast<uint64_t>(strides[i]) != step) return false;
      step *= static_cast<uint64_t>(shape[i]);
    }
    return true;
  }

  const TorchFile& file_;
  const std::string& name_;
};

}  // namespace

absl::StatusOr<TorchFile> OpenTorchFile(const File& file) {
  ASSIGN_OR_RETURN(const bool is_zip, IsZip(file));
  if (!is_zip) {
    return absl::DataLossError(absl::StrCat(
        file.path(), " is not a file of torch.save, or one of a PyTorch before 1.6, which is not",
        " read"));
  }
  ASSIGN_OR_RETURN(const auto entries, ReadStoredZip(file));
  const auto pickle = std::find_if(entries.begin(), entries.end(), [](const auto& entry) {
    return absl::EndsWith(entry.first, kPickleName);
  });
  if (pickle == entries.end()) {
    return absl::DataLossError(absl::StrCat(file.path(), ": has no data.pkl in it"));
  }
  const std::string folder(absl::StripSuffix(pickle->first, "data.pkl"));
  if (const auto order = entries.find(folder + "byteorder"); order != entries.end()) {
    ASSIGN_OR_RETURN(const std::string text, ReadRange(file, order->second, 16));
    if (text != "little") {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": was saved on a big-endian machine"));
    }
  }
  TorchFile torch;
  torch.path = file.path();
  for (const auto& [name, range] : entries) {
    absl::string_view key = name;
    if (absl::ConsumePrefix(&key, folder + "data/")) torch.storages[std::string(key)] = range;
  }
  ASSIGN_OR_RETURN(const std::string text, ReadRange(file, pickle->second, kPickleBytesMax));
  auto content = ParsePickle(text);
  if (!content.ok()) return At(file.path(), content.status());
  torch.content = *std::move(content);
  return torch;
}

absl::StatusOr<std::vector<TensorInfo>> TensorsOf(const TorchFile& file, const PickleValue& dict,
                                                  absl::string_view what) {
  if (dict.kind != Kind::kDict) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path, ": ", what, " is ", NameOf(dict.kind), ", not a dictionary"));
  }
  std::vector<TensorInfo> tensors;
  std::set<absl::string_view> names;
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& name = file.content.Item(dict, i);
    if (name.kind != Kind::kText) {
      return absl::DataLossError(
          absl::StrCat(file.path, ": ", what, " has ", NameOf(name.kind), " for a name"));
    }
    if (!names.insert(name.text).second) {
      return absl::DataLossError(
          absl::StrCat(file.path, ": tensor '", name.text, "' is there a second time"));
    }
    ASSIGN_OR_RETURN(TensorInfo tensor,
                     TensorReader(file, name.text).Read(file.content.Item(dict, i + 1)));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

absl::StatusOr<std::vector<TensorInfo>> ReadTorchTable(const File& file) {
  ASSIGN_OR_RETURN(const TorchFile torch, OpenTorchFile(file));
  return TensorsOf(torch, torch.root(), "what was saved");
}

}  // namespace waferstream
