#include "client/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/text.h"

namespace waferstream {
namespace {

size_t Width(const std::string& text) {
  // Continuation bytes of UTF-8 (10xxxxxx) take no place of their own.
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string Padded(const std::string& text, size_t width, Align align) {
  const std::string space(width - Width(text), ' ');
  return align == Align::kLeft ? absl::StrCat(text, space) : absl::StrCat(space, text);
}

void AppendLine(std::string& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  absl::StrAppend(&out, line, "\n");
}

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  WS_CHECK(cells.size() == columns_.size());
  // Names and reasons come from elsewhere; a cell must not leave its line.
  for (std::string& cell : cells) cell = OneLine(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Render() const {
  std::vector<std::string> titles;
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    titles.push_back(columns_[c].title);
    size_t width = Width(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, Width(row[c]));
    widths.push_back(width);
  }
  std::string out;
  auto append_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      absl::StrAppend(&line, c ? "  " : "", Padded(row[c], widths[c], columns_[c].align));
    }
    AppendLine(out, std::move(line));
  };
  append_row(titles);
  for (const auto& row : rows_) append_row(row);
  return out;
}

std::string RenderPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  size_t width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, Width(name));
  std::string out;
  for (const auto& [name, value] : pairs) {
    AppendLine(out, absl::StrCat(Padded(name, width, Align::kLeft), "  ", OneLine(value)));
  }
  return out;
}

}  // namespace waferstream
