// Reads R's lazy-load data files (Rdata.rdb), as far as they hold vectors of strings.
//
// Such a file is a run of records, one an R object: a 4-byte big-endian length, then a zlib stream
// that unpacks to so many bytes, which are an object in R's XDR serialisation ("R Internals",
// section 1.8). The index file beside it (Rdata.rdx) is not needed: records follow one another in
// the order of the objects' names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace waferstream {

// The bytes of every record, unpacked. INVALID_ARGUMENT names the record that is damaged.
absl::StatusOr<std::vector<std::string>> UnpackRecords(std::string_view file);

// The elements of one serialised character vector; its attributes are ignored.
// INVALID_ARGUMENT: it is something else, is cut off, or holds a missing value or a string that is
// neither ASCII nor UTF-8.
absl::StatusOr<std::vector<std::string>> ParseStrings(std::string_view record);

}  // namespace waferstream
