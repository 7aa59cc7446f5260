// What a process tells an administrator's Prometheus, as families of samples: made when it asks,
// of what is counted anyway. Names have the prefix waferstream_, base units, and _total if they
// count.
#pragma once

#include <string>
#include <vector>

#include "prometheus/metric_family.h"

namespace waferstream {

using MetricFamilies = std::vector<prometheus::MetricFamily>;
using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// A value that goes up and down; a count that only grows, but for a restart. `name` without the
// prefix. No sample yet.
prometheus::MetricFamily GaugeFamily(const std::string& name, const std::string& help);
prometheus::MetricFamily CounterFamily(const std::string& name, const std::string& help);

// One more sample of the family; no other one has these labels.
void AddSample(prometheus::MetricFamily& family, double value, MetricLabels labels = {});

// A family of one sample without labels.
prometheus::MetricFamily GaugeOf(const std::string& name, const std::string& help, double value);
prometheus::MetricFamily CounterOf(const std::string& name, const std::string& help, double value);

}  // namespace waferstream
