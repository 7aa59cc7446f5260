"""`faults`: recovery time by role, and goodput under faults; real processes, killed."""
import json

from common import run


def rows(_work, size, progress):
    progress(f"faults: {size.faults} kills of every role")
    results = json.loads(run(["bazel-bin/bench/faults", size.faults, size.goodput_rounds]))
    table = {f"{role} killed": row for role, row in results["recovery"].items()}
    goodput = results["goodput"]
    table[f"goodput, a fault every {goodput['fault_every_s']} s"] = {
        "steps/s": goodput["steps_per_s"],
        "fault-free steps/s": goodput["fault_free_steps_per_s"],
        "share": goodput["steps_per_s"] / goodput["fault_free_steps_per_s"]}
    return table
