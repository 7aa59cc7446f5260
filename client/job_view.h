// Jobs, nodes and events as tables and as JSON. Field names are part of the interface
// (docs/CLI.md).
#pragma once

#include <string>

#include "client/output.h"
#include "proto/controller.pb.h"

namespace waferstream {

// Everything about one job; `losses` is there only if the status carries them.
Json JobJson(const JobStatus& job);
std::string JobTable(const JobStatus& job);

Json JobListJson(const JobList& jobs);
std::string JobListTable(const JobList& jobs);

Json NodeListJson(const NodeList& nodes);
std::string NodeListTable(const NodeList& nodes);

Json EventListJson(const EventList& events);
std::string EventListLines(const EventList& events);

}  // namespace waferstream
