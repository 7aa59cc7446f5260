#include "data/r_archive.h"

#include <zlib.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

// A length field beyond this is damage, not text; bounds what a damaged file makes us allocate.
constexpr uint32_t kRecordBytesMax = 64u << 20;

// R's SEXP types and the flag bits around them (R Internals 1.8).
constexpr uint32_t kTypeMask = 0xFF;
constexpr uint32_t kCharacterVector = 16;
constexpr uint32_t kString = 9;
constexpr uint32_t kLevelShift = 12;
constexpr uint32_t kUtf8 = 1 << 3;
constexpr uint32_t kAscii = 1 << 6;

uint32_t BigEndian32(std::string_view at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(at[i]);
  return value;
}

// Takes fixed-size pieces off the front of a record.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<std::string_view> Take(size_t count) {
    if (count > bytes_.size()) return absl::InvalidArgumentError("is cut off");
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  absl::StatusOr<uint32_t> Int() {
    ASSIGN_OR_RETURN(const std::string_view four, Take(4));
    return BigEndian32(four);
  }

 private:
  std::string_view bytes_;
};

absl::Status SkipHeader(Reader& reader) {
  ASSIGN_OR_RETURN(const std::string_view format, reader.Take(2));
  if (format != "X\n") return absl::InvalidArgumentError("is not in R's XDR format");
  ASSIGN_OR_RETURN(const uint32_t version, reader.Int());
  RETURN_IF_ERROR(reader.Take(8).status());  // the R that wrote it, the oldest that can read it
  if (version == 2) return absl::OkStatus();
  if (version != 3) {
    return absl::InvalidArgumentError(absl::StrCat("serialisation version ", version));
  }
  ASSIGN_OR_RETURN(const uint32_t encoding_bytes, reader.Int());
  return reader.Take(encoding_bytes).status();
}

absl::StatusOr<std::string> TakeString(Reader& reader) {
  ASSIGN_OR_RETURN(const uint32_t flags, reader.Int());
  if ((flags & kTypeMask) != kString) {
    return absl::InvalidArgumentError(
        absl::StrCat("holds an element of R type ", flags & kTypeMask, " instead of a string"));
  }
  ASSIGN_OR_RETURN(const uint32_t bytes, reader.Int());
  if (bytes == 0xFFFFFFFFu) return absl::InvalidArgumentError("holds a missing value");
  if (bytes > 0 && ((flags >> kLevelShift) & (kUtf8 | kAscii)) == 0) {
    return absl::InvalidArgumentError("holds a string that is neither ASCII nor UTF-8");
  }
  ASSIGN_OR_RETURN(const std::string_view text, reader.Take(bytes));
  return std::string(text);
}

// Unpacks one zlib stream of exactly `bytes` from the front of `packed`, which then begins after
// it.
absl::StatusOr<std::string> Inflate(std::string_view& packed, uint32_t bytes) {
  std::string out(bytes, '\0');
  z_stream stream = {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = bytes;
  WS_CHECK(inflateInit(&stream) == Z_OK);
  const int result = inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.total_out == bytes;
  packed.remove_prefix(stream.total_in);
  inflateEnd(&stream);
  if (!whole) return absl::InvalidArgumentError("does not unpack to its length");
  return out;
}

absl::Status InRecord(size_t index, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat("record ", index, " ", status.message()));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> UnpackRecords(std::string_view file) {
  std::vector<std::string> records;
  while (!file.empty()) {
    Reader reader(file);
    const absl::StatusOr<uint32_t> bytes = reader.Int();
    if (!bytes.ok()) return InRecord(records.size(), bytes.status());
    if (*bytes > kRecordBytesMax) {
      return InRecord(records.size(), absl::InvalidArgumentError("has an impossible length"));
    }
    file.remove_prefix(4);
    absl::StatusOr<std::string> record = Inflate(file, *bytes);
    if (!record.ok()) return InRecord(records.size(), record.status());
    records.push_back(*std::move(record));
  }
  return records;
}

absl::StatusOr<std::vector<std::string>> ParseStrings(std::string_view record) {
  Reader reader(record);
  RETURN_IF_ERROR(SkipHeader(reader));
  ASSIGN_OR_RETURN(const uint32_t flags, reader.Int());
  if ((flags & kTypeMask) != kCharacterVector) {
    return absl::InvalidArgumentError(
        absl::StrCat("is of R type ", flags & kTypeMask, ", not a character vector"));
  }
  ASSIGN_OR_RETURN(const uint32_t count, reader.Int());
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::string text, TakeString(reader));
    strings.push_back(std::move(text));
  }
  return strings;  // attributes, if any, come last
}

}  // namespace waferstream
