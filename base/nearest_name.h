// What an unknown name was probably meant to be.
#pragma once

#include "absl/strings/string_view.h"

namespace waferstream {

// Takes one known name after another.
class NearestName {
 public:
  // `name` must outlive this object, as must every known name its result.
  explicit NearestName(absl::string_view name);

  void Consider(absl::string_view known);
  // The nearest one so far, the first of several; empty: none is near enough to be meant.
  absl::string_view found() const { return found_; }

 private:
  const absl::string_view name_;
  size_t least_;  // distance that is too far
  absl::string_view found_;
};

}  // namespace waferstream
