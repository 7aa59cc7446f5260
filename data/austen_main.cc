// austen: real text to train on, from Debian's package r-cran-janeaustenr.
//
//   austen PATH OUT    PATH: Rdata.rdb, or a folder below which it lies (the unpacked package)
//
// Writes OUT/austen.train.txt and OUT/austen.val.txt: the six novels in the archive's order (that
// of their names), lines and novels joined by '\n'; the last tenth of the bytes is for validation.
// Prints one line a file. Exit codes: 0 ok, 1 failed, 2 usage.
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "data/r_archive.h"

namespace waferstream {
namespace {

constexpr std::array<const char*, 6> kTitles = {
    "EMMA",       "MANSFIELD PARK",      "NORTHANGER ABBEY",
    "PERSUASION", "PRIDE AND PREJUDICE", "SENSE AND SENSIBILITY"};
constexpr size_t kArchiveBytesMax = 256 << 20;  // it has 2 MB
constexpr size_t kNovelBytesMin = 300 << 10;    // the shortest, Persuasion, has 455 KiB

absl::StatusOr<std::string> FindArchive(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) return path;
  std::filesystem::recursive_directory_iterator file(path, error), end;
  for (; !error && file != end; file.increment(error)) {
    if (file->path().filename() == "Rdata.rdb") return file->path().string();
  }
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  return absl::NotFoundError(absl::StrCat(path, ": no Rdata.rdb below"));
}

// All six novels as one text.
absl::StatusOr<std::string> ReadNovels(std::string_view archive) {
  ASSIGN_OR_RETURN(const std::vector<std::string> records, UnpackRecords(archive));
  if (records.size() != kTitles.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("holds ", records.size(), " objects, not ", kTitles.size(), " novels"));
  }
  std::vector<std::string> novels;
  for (size_t i = 0; i < records.size(); ++i) {
    absl::StatusOr<std::vector<std::string>> lines = ParseStrings(records[i]);
    if (!lines.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("record ", i, " ", lines.status().message()));
    }
    std::string novel = absl::StrJoin(*lines, "\n");
    if (lines->empty() || absl::AsciiStrToUpper(lines->front()) != kTitles[i] ||
        novel.size() < kNovelBytesMin) {
      return absl::InvalidArgumentError(absl::StrCat("record ", i, " is not ", kTitles[i]));
    }
    novels.push_back(std::move(novel));
  }
  return absl::StrCat(absl::StrJoin(novels, "\n"), "\n");
}

// Writes beside the target and renames, so that a file of that name is always whole.
absl::Status WriteText(const std::string& path, std::string_view text) {
  const std::string partial = path + ".partial";
  std::ofstream out(partial, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(partial, path, error);
  if (!out || error) return absl::InternalError(absl::StrCat(path, ": cannot be written"));
  std::cout << path << ": " << text.size() << " bytes\n";
  return absl::OkStatus();
}

absl::Status Extract(const std::string& path, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string file, FindArchive(path));
  ASSIGN_OR_RETURN(const std::string archive, ReadRegularFile(file, kArchiveBytesMax));
  absl::StatusOr<std::string> text = ReadNovels(archive);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", text.status().message()));
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(folder, ": ", error.message()));
  const std::string_view view = *text;
  const size_t train = view.size() - view.size() / 10;
  RETURN_IF_ERROR(WriteText(folder + "/austen.train.txt", view.substr(0, train)));
  return WriteText(folder + "/austen.val.txt", view.substr(train));
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: austen PATH_OF_RDATA_RDB OUTPUT_FOLDER\n";
    return 2;
  }
  const absl::Status status = waferstream::Extract(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::cerr << "austen: " << status.message() << "\n";
  return 1;
}
