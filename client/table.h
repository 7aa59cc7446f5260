// A table for people: columns as wide as their widest cell, two spaces between them.
#pragma once

#include <string>
#include <vector>

namespace waferstream {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void Add(std::vector<std::string> cells);

  // One line a row, the titles first; no trailing spaces. Width counts UTF-8 characters, not bytes.
  std::string Render() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "name  value" lines, names padded to the longest.
std::string RenderPairs(const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace waferstream
