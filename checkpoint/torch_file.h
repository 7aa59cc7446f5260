// Files of torch.save: a zip with a pickle of what was saved, in which a tensor is a name, and the
// tensors' numbers beside it. Nothing is executed (pickle.h), and no tensor is read: each turns out
// to be a range of the file, like one of a safetensors file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/pickle.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/stored_zip.h"

namespace waferstream {

struct TorchFile {
  std::string path;
  Pickle content;
  std::map<std::string, FileRange> storages;  // by key: where the numbers lie

  const PickleValue& root() const { return content.At(content.root); }
};

// DATA_LOSS: damaged, or no such file. INVALID_ARGUMENT: it holds more than tensors and numbers, or
// is of a kind that is not read: before PyTorch 1.6, or big-endian. One line, naming the file.
absl::StatusOr<TorchFile> OpenTorchFile(const File& file);

// The tensors of a dictionary in it, which is called `what` in messages; in its order. Several may
// lie in the same bytes. DATA_LOSS: malformed, the same name twice, or outside its storage;
// INVALID_ARGUMENT: something in it is no tensor, or is a view with gaps or of another order.
absl::StatusOr<std::vector<TensorInfo>> TensorsOf(const TorchFile& file, const PickleValue& dict,
                                                  absl::string_view what);

// The tensors of a state dict, which is all of the file.
absl::StatusOr<std::vector<TensorInfo>> ReadTorchTable(const File& file);

}  // namespace waferstream
