// The fields of a JobSpec by dotted name, through protobuf's reflection. An unknown name is a bug.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/job.pb.h"

namespace waferstream {

// Whether the message at `section` is set.
bool HasSection(const JobSpec& job, absl::string_view section);
// Sets the message at `section`, empty if it was not there.
void AddSection(JobSpec& job, absl::string_view section);

// A number, flag (0, 1) or enum.
double NumberIn(const JobSpec& job, absl::string_view field);
// A whole-number field exactly.
uint64_t WholeIn(const JobSpec& job, absl::string_view field);
std::string TextIn(const JobSpec& job, absl::string_view field);

std::vector<std::string> TextsIn(const JobSpec& job, absl::string_view field);

std::vector<double> RealsIn(const JobSpec& job, absl::string_view field);

// Set* create the messages on the way. The value must fit the field's type.
void SetReal(JobSpec& job, absl::string_view field, double value);
// A whole number, flag or enum.
void SetWhole(JobSpec& job, absl::string_view field, uint64_t value);
void SetText(JobSpec& job, absl::string_view field, std::string value);
void SetTexts(JobSpec& job, absl::string_view field, const std::vector<std::string>& values);
void SetReals(JobSpec& job, absl::string_view field, const std::vector<double>& values);

}  // namespace waferstream
