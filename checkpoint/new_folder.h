// A checkpoint that is made without a cluster, from its first file to its name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/disk.h"

namespace waferstream {

// How far a copy is, in bytes. May be empty. Called on the copying thread, often.
using OnProgress = std::function<void(uint64_t done, uint64_t total)>;

// A folder of this call's own beside the one asked for, whatever others write there. Removed by the
// destructor unless it has got its name.
class NewFolder {
 public:
  // Makes the folders on the way to `path`, too. `disk` must outlive this. ALREADY_EXISTS: `path`
  // is there.
  static absl::StatusOr<std::unique_ptr<NewFolder>> Create(Disk& disk, const std::string& path);
  ~NewFolder() { disk_.Remove(partial_).IgnoreError(); }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  // Where to write meanwhile.
  const std::string& partial() const { return partial_; }
  std::string PathOf(const std::string& name) const { return partial_ + "/" + name; }

  // Gives it its name, durably. ALREADY_EXISTS: somebody was there before.
  absl::Status Publish();

 private:
  NewFolder(Disk& disk, std::string folder, std::string partial)
      : disk_(disk), folder_(std::move(folder)), partial_(std::move(partial)) {}

  Disk& disk_;
  const std::string folder_;
  const std::string partial_;
};

}  // namespace waferstream
