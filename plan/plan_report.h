// `waferctl plan`: a plan and what it costs, for people and for programs. Pure rendering.
#pragma once

#include <string>

#include "nlohmann/json.hpp"
#include "plan/plan.h"

namespace waferstream {

// Keys end in their unit. All numbers of plan/plan_costs.h and plan/links.h are in it; what a step
// takes on links of `link_mbit` (10^6 bits a second in each direction), unless that is 0.
nlohmann::ordered_json PlanAsJson(const Plan& plan, double link_mbit = 0);

// Tables, with the formulas beside the numbers. Ends in a newline.
std::string PlanAsText(const Plan& plan, double link_mbit = 0);

}  // namespace waferstream
