// `waferctl plan`: a plan and what it costs, for people and for programs. Pure rendering.
#pragma once

#include <string>

#include "nlohmann/json.hpp"
#include "plan/plan.h"

namespace waferstream {

// Keys end in their unit. All numbers of plan/plan_costs.h are in it.
nlohmann::ordered_json PlanAsJson(const Plan& plan);

// Tables, with the formulas beside the numbers. Ends in a newline.
std::string PlanAsText(const Plan& plan);

}  // namespace waferstream
