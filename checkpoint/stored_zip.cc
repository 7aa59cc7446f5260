#include "checkpoint/stored_zip.h"

#include <minizip/unzip.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr char kFirstEntry[] = {'P', 'K', 3, 4};
constexpr size_t kNameBytesMax = 1 << 16;  // its length has 16 bits

// The library's view of a file: it reads on from a position.
struct Stream {
  const File& file;
  uint64_t bytes = 0;
  uint64_t at = 0;
  absl::Status status = {};  // of the disk
};

Stream* StreamOf(void* opaque) { return static_cast<Stream*>(opaque); }

void* OpenStream(void* opaque, const void*, int) { return opaque; }

uLong ReadStream(void* opaque, void*, void* to, uLong bytes) {
  Stream* stream = StreamOf(opaque);
  const uint64_t n = std::min<uint64_t>(bytes, stream->bytes - stream->at);
  const absl::Status status = stream->file.ReadAt(stream->at, to, n);
  stream->status.Update(status);
  if (!status.ok()) return 0;
  stream->at += n;
  return n;
}

uLong WriteStream(void*, void*, const void*, uLong) { return 0; }

ZPOS64_T TellStream(void* opaque, void*) { return StreamOf(opaque)->at; }

long SeekStream(void* opaque, void*, ZPOS64_T offset, int origin) {
  Stream* stream = StreamOf(opaque);
  const uint64_t base = origin == ZLIB_FILEFUNC_SEEK_SET   ? 0
                        : origin == ZLIB_FILEFUNC_SEEK_CUR ? stream->at
                                                           : stream->bytes;
  const uint64_t to = base + offset;  // backwards it wraps around
  if (to > stream->bytes) return -1;
  stream->at = to;
  return 0;
}

int CloseStream(void*, void*) { return 0; }

int ErrorOfStream(void* opaque, void*) { return StreamOf(opaque)->status.ok() ? 0 : 1; }

struct CloseZip {
  void operator()(void* zip) const { unzClose(zip); }
};

absl::Status Corrupt(const Stream& stream, absl::string_view what) {
  if (!stream.status.ok()) return stream.status;
  return absl::DataLossError(absl::StrCat(stream.file.path(), ": ", what));
}

// The entry that the library is at; `name` becomes its name.
absl::StatusOr<FileRange> ReadEntry(const Stream& stream, void* zip, std::string& name) {
  std::vector<char> buffer(kNameBytesMax);
  unz_file_info64 info;
  if (unzGetCurrentFileInfo64(zip, &info, buffer.data(), buffer.size(), nullptr, 0, nullptr, 0) !=
      UNZ_OK) {
    return Corrupt(stream, "is no whole zip");
  }
  name = buffer.data();
  if (info.compression_method != 0 || info.compressed_size != info.uncompressed_size ||
      (info.flag & 1) != 0) {
    return Corrupt(stream, absl::StrCat("'", name, "' is compressed or encrypted"));
  }
  if (unzOpenCurrentFile2(zip, nullptr, nullptr, /*raw=*/1) != UNZ_OK) {
    return Corrupt(stream, absl::StrCat("'", name, "' is not what the zip's directory says"));
  }
  const FileRange range = {unzGetCurrentFileZStreamPos64(zip), info.uncompressed_size};
  unzCloseCurrentFile(zip);
  if (range.offset > stream.bytes || range.bytes > stream.bytes - range.offset) {
    return Corrupt(stream, absl::StrCat("'", name, "' ends behind the file's end (truncated?)"));
  }
  return range;
}

}  // namespace

absl::StatusOr<bool> IsZip(const File& file) {
  ASSIGN_OR_RETURN(const uint64_t bytes, file.Size());
  char first[sizeof(kFirstEntry)];
  if (bytes < sizeof(first)) return false;
  RETURN_IF_ERROR(file.ReadAt(0, first, sizeof(first)));
  return std::memcmp(first, kFirstEntry, sizeof(first)) == 0;
}

absl::StatusOr<std::map<std::string, FileRange>> ReadStoredZip(const File& file) {
  Stream stream{.file = file};
  ASSIGN_OR_RETURN(stream.bytes, file.Size());
  zlib_filefunc64_def calls = {OpenStream, ReadStream,  WriteStream,   TellStream,
                               SeekStream, CloseStream, ErrorOfStream, &stream};
  const std::unique_ptr<void, CloseZip> zip(unzOpen2_64(file.path().c_str(), &calls));
  if (zip == nullptr) return Corrupt(stream, "is no whole zip (truncated?)");
  std::map<std::string, FileRange> entries;
  int more = unzGoToFirstFile(zip.get());
  for (; more == UNZ_OK; more = unzGoToNextFile(zip.get())) {
    std::string name;
    ASSIGN_OR_RETURN(const FileRange range, ReadEntry(stream, zip.get(), name));
    if (entries.emplace(name, range).second) continue;
    return Corrupt(stream, absl::StrCat("'", name, "' is there a second time"));
  }
  if (more != UNZ_END_OF_LIST_OF_FILE) return Corrupt(stream, "is no whole zip");
  return entries;
}

}  // namespace waferstream
