// For tests: somebody who does not know the cluster's secret.
#pragma once

#include <string>
#include <vector>

namespace waferstream {

// Calls every method of a service, with an empty message, and answers with the names of those that
// do not refuse it (UNAUTHENTICATED), so that none is forgotten. `service`: its full name, of a
// proto file that is linked in.
std::vector<std::string> MethodsOpenToStrangers(const std::string& address,
                                                const std::string& service);

}  // namespace waferstream
