#include "base/metrics.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Family(const std::string& name, const std::string& help, MetricType type) {
  return {absl::StrCat("waferstream_", name), help, type, {}};
}

}  // namespace

MetricFamily GaugeFamily(const std::string& name, const std::string& help) {
  return Family(name, help, MetricType::Gauge);
}

MetricFamily CounterFamily(const std::string& name, const std::string& help) {
  return Family(name, help, MetricType::Counter);
}

void AddSample(MetricFamily& family, double value, MetricLabels labels) {
  prometheus::ClientMetric sample;
  sample.label = std::move(labels);
  (family.type == MetricType::Counter ? sample.counter.value : sample.gauge.value) = value;
  family.metric.push_back(std::move(sample));
}

MetricFamily GaugeOf(const std::string& name, const std::string& help, double value) {
  MetricFamily family = GaugeFamily(name, help);
  AddSample(family, value);
  return family;
}

MetricFamily CounterOf(const std::string& name, const std::string& help, double value) {
  MetricFamily family = CounterFamily(name, help);
  AddSample(family, value);
  return family;
}

}  // namespace waferstream
