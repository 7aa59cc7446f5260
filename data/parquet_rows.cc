#include "data/parquet_rows.h"

#include "base/status.h"
#include "data/text/rust_call.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<ParquetRows>> ParquetRows::Open(const std::string& path,
                                                               const std::string& field) {
  WsRows* handle = nullptr;
  std::string error;
  RETURN_IF_ERROR(
      RustStatus(ws_rows_open(BytesOf(path), BytesOf(field), &handle, SinkInto(error)), error));
  return std::unique_ptr<ParquetRows>(new ParquetRows(handle));
}

absl::StatusOr<std::vector<std::string>> ParquetRows::Next(size_t bytes_min) {
  std::vector<std::string> rows;
  std::function<void(absl::string_view)> take = [&](absl::string_view row) {
    rows.emplace_back(row);
  };
  std::string error;
  RETURN_IF_ERROR(
      RustStatus(ws_rows_next(handle_.get(), bytes_min, SinkInto(take), SinkInto(error)), error));
  return rows;
}

}  // namespace waferstream
