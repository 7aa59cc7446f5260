// `waferctl plan --kubernetes`: what a job takes of a Kubernetes cluster. Pure rendering.
#pragma once

#include <string>

#include "plan/plan.h"

namespace waferstream {

// Beside what the plan counts: the program, its libraries and threads, gRPC's and the kernel's
// buffers. Four times what was measured (docs/PERFORMANCE.md), because a pod that has too little is
// killed.
inline constexpr uint64_t kPodOverheadBytes = uint64_t{128} << 20;
// Of a wafer's pod: the size of its /dev/shm (deploy/kubernetes/base/wafer.yaml), which counts as
// memory.
inline constexpr uint64_t kSharedMemoryBytes = uint64_t{64} << 20;

// A Kustomize patch in YAML for the StatefulSets of deploy/kubernetes/base, one document a role:
// the replicas that the job asks for, and the memory of each pod, in whole MiB: of the process that
// needs most, by plan/plan_costs.h and the SRAM layout, and what is beside it. Request and limit
// are the same, because the plan's bytes are what is touched. Of a wafer that the job gives threads
// the CPUs as well: those, and one for its loop. What is not said stays as the base has it.
std::string PlanAsKubernetes(const Plan& plan);

}  // namespace waferstream
