#include "plan/job_fields.h"

#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"

namespace waferstream {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor* FieldOf(const Message& message, const std::string& name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  WS_CHECK(field != nullptr);
  return field;
}

// The message that holds the last component of a dotted name.
const Message& HolderOf(const JobSpec& job, const std::vector<std::string>& names) {
  const Message* at = &job;
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    at = &at->GetReflection()->GetMessage(*at, FieldOf(*at, names[i]));
  }
  return *at;
}

Message& MutableHolderOf(JobSpec& job, const std::vector<std::string>& names) {
  Message* at = &job;
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    at = at->GetReflection()->MutableMessage(at, FieldOf(*at, names[i]));
  }
  return *at;
}

std::vector<std::string> Names(absl::string_view field) { return absl::StrSplit(field, '.'); }

}  // namespace

bool HasSection(const JobSpec& job, absl::string_view section) {
  const Message* at = &job;
  for (const std::string& name : Names(section)) {
    const FieldDescriptor* field = FieldOf(*at, name);
    if (!at->GetReflection()->HasField(*at, field)) return false;
    at = &at->GetReflection()->GetMessage(*at, field);
  }
  return true;
}

void AddSection(JobSpec& job, absl::string_view section) {
  const std::vector<std::string> names = Names(section);
  Message& holder = MutableHolderOf(job, names);
  holder.GetReflection()->MutableMessage(&holder, FieldOf(holder, names.back()));
}

double NumberIn(const JobSpec& job, absl::string_view field) {
  const std::vector<std::string> names = Names(field);
  const Message& holder = HolderOf(job, names);
  const FieldDescriptor* descriptor = FieldOf(holder, names.back());
  if (descriptor->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    return holder.GetReflection()->GetDouble(holder, descriptor);
  }
  return static_cast<double>(WholeIn(job, field));
}

uint64_t WholeIn(const JobSpec& job, absl::string_view field) {
  const std::vector<std::string> names = Names(field);
  const Message& holder = HolderOf(job, names);
  const FieldDescriptor* descriptor = FieldOf(holder, names.back());
  const auto* reflection = holder.GetReflection();
  switch (descriptor->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->GetUInt32(holder, descriptor);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->GetUInt64(holder, descriptor);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(holder, descriptor);
    case FieldDescriptor::CPPTYPE_ENUM:
      return static_cast<uint64_t>(reflection->GetEnumValue(holder, descriptor));
    default:
      WS_CHECK(false && "not a whole number");
  }
}

std::string TextIn(const JobSpec& job, absl::string_view field) {
  const std::vector<std::string> names = Names(field);
  const Message& holder = HolderOf(job, names);
  return holder.GetReflection()->GetString(holder, FieldOf(holder, names.back()));
}

std::vector<std::string> TextsIn(const JobSpec& job, absl::string_view field) {
  const std::vector<std::string> names = Names(field);
  const Message& holder = HolderOf(job, names);
  const auto texts = holder.GetReflection()->GetRepeatedFieldRef<std::string>(
      holder, FieldOf(holder, names.back()));
  return {texts.begin(), texts.end()};
}

std::vector<double> RealsIn(const JobSpec& job, absl::string_view field) {
  const std::vector<std::string> names = Names(field);
  const Message& holder = HolderOf(job, names);
  const auto reals =
      holder.GetReflection()->GetRepeatedFieldRef<double>(holder, FieldOf(holder, names.back()));
  return {reals.begin(), reals.end()};
}

void SetReal(JobSpec& job, absl::string_view field, double value) {
  const std::vector<std::string> names = Names(field);
  Message& holder = MutableHolderOf(job, names);
  holder.GetReflection()->SetDouble(&holder, FieldOf(holder, names.back()), value);
}

void SetWhole(JobSpec& job, absl::string_view field, uint64_t value) {
  const std::vector<std::string> names = Names(field);
  Message& holder = MutableHolderOf(job, names);
  const FieldDescriptor* descriptor = FieldOf(holder, names.back());
  const auto* reflection = holder.GetReflection();
  switch (descriptor->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(&holder, descriptor, static_cast<uint32_t>(value));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(&holder, descriptor, value);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(&holder, descriptor, value != 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(&holder, descriptor, static_cast<int>(value));
    default:
      WS_CHECK(false && "not a whole number");
  }
}

void SetText(JobSpec& job, absl::string_view field, std::string value) {
  const std::vector<std::string> names = Names(field);
  Message& holder = MutableHolderOf(job, names);
  holder.GetReflection()->SetString(&holder, FieldOf(holder, names.back()), std::move(value));
}

void SetTexts(JobSpec& job, absl::string_view field, const std::vector<std::string>& values) {
  const std::vector<std::string> names = Names(field);
  Message& holder = MutableHolderOf(job, names);
  const auto texts = holder.GetReflection()->GetMutableRepeatedFieldRef<std::string>(
      &holder, FieldOf(holder, names.back()));
  texts.Clear();
  for (const std::string& value : values) texts.Add(value);
}

void SetReals(JobSpec& job, absl::string_view field, const std::vector<double>& values) {
  const std::vector<std::string> names = Names(field);
  Message& holder = MutableHolderOf(job, names);
  const auto reals = holder.GetReflection()->GetMutableRepeatedFieldRef<double>(
      &holder, FieldOf(holder, names.back()));
  reals.Clear();
  for (const double value : values) reals.Add(value);
}

}  // namespace waferstream
