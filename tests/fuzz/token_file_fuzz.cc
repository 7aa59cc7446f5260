// Token files: the first byte says .bin (even) or .txt (odd), the rest is the file.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/posix_disk.h"
#include "data/token_file.h"

namespace waferstream {
namespace {

// One file for all inputs, in memory where the system has such a folder.
std::string PathOf(bool text) {
  static const char* const folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  return absl::StrCat(folder, "/token_file_fuzz.", getpid(), text ? ".txt" : ".bin");
}

void ReadAll(const TokenFile& file) {
  std::vector<uint32_t> tokens(file.size());
  WS_CHECK(file.CopyTokens(0, tokens).ok());
  WS_CHECK(file.content().tokens() == tokens.size() && file.IsAsOpened());
  const auto samples = file.Samples(4);
  WS_CHECK(!samples.ok() || *samples * 4 < file.size());
  const bool fits = file.CheckVocabulary(200).ok();
  for (const uint32_t token : tokens) WS_CHECK(!fits || token < 200);
}

}  // namespace
}  // namespace waferstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace waferstream;
  if (size == 0) return 0;
  const std::string path = PathOf(data[0] % 2 == 1);
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto file = TokenFile::Open(PosixDisk(), path);
  if (file.ok()) ReadAll(**file);
  unlink(path.c_str());
  return 0;
}
