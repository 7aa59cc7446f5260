// A column of text of a Parquet file, row by row.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/text/text.h"

namespace waferstream {

// Used from one thread. Memory: some pages.
class ParquetRows {
 public:
  // INVALID_ARGUMENT, without the path: no Parquet file, no such column, or one of something else.
  static absl::StatusOr<std::unique_ptr<ParquetRows>> Open(const std::string& path,
                                                           const std::string& field);

  uint64_t count() const { return ws_rows_count(handle_.get()); }
  // The next rows, until they have `bytes_min` bytes; none: there are no more. INVALID_ARGUMENT:
  // one has no text, or the file is damaged.
  absl::StatusOr<std::vector<std::string>> Next(size_t bytes_min);

 private:
  struct Close {
    void operator()(WsRows* rows) const { ws_rows_close(rows); }
  };
  explicit ParquetRows(WsRows* handle) : handle_(handle) {}

  const std::unique_ptr<WsRows, Close> handle_;
};

}  // namespace waferstream
