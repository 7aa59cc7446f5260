// Checkpoints that nobody promised to be whole: a folder of files is refused, or every number in it
// can be read. The input is the files, each after a line "@name"; for a name in .safetensors the
// eight bytes of the header's length are put in front, the length of its first line.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/config.h"
#include "checkpoint/layout.h"
#include "checkpoint/memory_disk.h"
#include "plan/optimizer_state.h"

namespace waferstream {
namespace {

constexpr char kFolder[] = "/checkpoint";
// Reading more would be slow, and no different.
constexpr int64_t kElementsRead = 1 << 16;

std::string WithLength(std::string_view content) {
  const uint64_t length = std::min(content.find('\n'), content.size());
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += content.substr(0, length);
  return bytes += content.substr(std::min<size_t>(length + 1, content.size()));
}

void WriteFile(Disk& disk, std::string_view file) {
  const size_t name_end = std::min(file.find('\n'), file.size());
  const std::string name(file.substr(0, name_end));
  const std::string_view content = file.substr(std::min(name_end + 1, file.size()));
  if (name.empty() || absl::StrContains(name, '/')) return;
  const bool tensors = absl::EndsWith(name, ".safetensors");
  (void)WriteSmallFile(disk, absl::StrCat(kFolder, "/", name),
                       tensors ? WithLength(content) : std::string(content));
}

void WriteFiles(Disk& disk, std::string_view input) {
  WS_CHECK(disk.CreateFolder(kFolder).ok());
  while (!input.empty()) {
    const size_t end = std::min(input.find("\n@"), input.size());
    std::string_view file = input.substr(0, end);
    if (file.substr(0, 1) == "@") file.remove_prefix(1);
    WriteFile(disk, file);
    input.remove_prefix(std::min(end + 1, input.size()));
  }
}

// As `waferctl checkpoint export` and a resumed job do.
void ReadAll(Disk& disk) {
  const auto model = ReadConfig(disk, kFolder);
  if (!model.ok()) return;
  const auto parameters = BuildParameters(*model);
  if (!parameters.ok()) return;
  Optimizer optimizer;
  optimizer.mutable_adamw();
  const StateTable states = StatesOf(optimizer, *parameters);
  auto reader = CheckpointReader::Open(disk, kFolder, *model, *parameters, states);
  const bool with_states = reader.ok();
  if (!with_states) reader = CheckpointReader::Open(disk, kFolder, *model, *parameters, {});
  if (!reader.ok()) return;
  (void)reader->Verify();
  for (size_t i = 0; i < parameters->size(); ++i) {
    const Parameter& p = (*parameters)[i];
    if (p.rows * p.cols > kElementsRead) continue;
    std::vector<float> values(p.rows * p.cols);
    const int index = static_cast<int>(i);
    WS_CHECK(reader->ReadWeights(index, {0, p.rows}, values.data()).ok());
    if (!with_states) continue;
    auto* const bytes = reinterpret_cast<std::byte*>(values.data());
    WS_CHECK(reader->ReadState(index, 1, {0, p.rows}, bytes).ok());
  }
}

}  // namespace
}  // namespace waferstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  MemoryDisk tree(0);
  MemoryDisk::View disk(tree);
  WriteFiles(disk, {reinterpret_cast<const char*>(data), size});
  (void)ReadManifest(disk, kFolder);
  for (const char* name : {kModelFile, kOptimizerFile}) {
    (void)DigestTensorFile(disk, absl::StrCat(kFolder, "/", name));
  }
  ReadAll(disk);
  return 0;
}
