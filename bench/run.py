"""Runs the measurements behind docs/PERFORMANCE.md; called by run.sh from the repository's root.

Every figure of one table comes from one run on one machine. The peer (the PyTorch reference script)
is run between ours, so that a slow phase of a shared machine meets both.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile

from tokens import tokens

WAFERCTL = "bazel-bin/client/waferctl"
TOKENS, VOCAB = 40_000, 256  # ids below 256 suit every job that is measured
CONTEXT = 1024  # of gpt2_124m.yaml


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of gpt2_124m.yaml is run: the shapes of the products are the same."""
    global_batch: int
    micro_batch: int
    steps: int
    wafers: tuple  # rows, by number of wafers; two threads in all


FULL = Size(global_batch=8, micro_batch=2, steps=5, wafers=(1, 2))
QUICK = Size(global_batch=2, micro_batch=1, steps=3, wafers=(1,))


def run(command, **kwargs):
    print("+ " + " ".join(map(str, command)), file=sys.stderr, flush=True)
    return subprocess.run(command, check=True, capture_output=True, text=True, **kwargs).stdout


def train(work, job, *flags):
    folder = tempfile.mkdtemp(dir=work)
    return json.loads(run([WAFERCTL, "run", "-f", f"{work}/{job}", "--run-dir", folder + "/run",
                           "-o", "json", *flags]))


def write_inputs(work):
    draw = random.Random(1)
    tokens = (draw.randrange(VOCAB).to_bytes(2, "little") for _ in range(TOKENS))
    (work / "tokens.bin").write_bytes(b"".join(tokens))
    for job in ("gpt2_124m.yaml", "wide_stream.yaml"):
        (work / job).write_text(pathlib.Path("bench", job).read_text())


def kernels():
    """Single-thread rates of bench:kernels: {row name: value}."""
    rows = {}
    for line in run(["bazel-bin/bench/kernels"]).splitlines():
        match = re.match(r"(.+?)\s+(f32|bf16)\s+([\d.]+) (G\S+|M\S+)", line)
        if match:
            rows[f"{match[1].strip()} {match[2]}"] = float(match[3])
    return rows


def peer(work, precision, size):
    """The reference script on the same cores, batches and precision; None where it is missing."""
    script = os.environ.get("REFERENCE", "../shared/peers/reference_train.py")
    python = os.environ.get("PYTHON", "python3")
    probe = subprocess.run([python, "-c", "import torch, numpy"], capture_output=True)
    if probe.returncode != 0 or not os.path.exists(script):
        return None
    start = work / "start"
    if not start.exists():
        run([WAFERCTL, "checkpoint", "init", "-f", work / "gpt2_124m.yaml", "--out", start])
    lines = run([python, script, "--init", start, "--data", work / "tokens.bin",
                 "--context", str(CONTEXT), "--global-batch", str(size.global_batch),
                 "--micro-batch", str(size.micro_batch), "--steps", str(size.steps),
                 "--warmup", "2",
                 "--precision", precision]).splitlines()
    return json.loads(lines[-1])


def step_time(work, size, kernel_isa, results):
    for precision in ("f32", "bf16"):
        for wafers in size.wafers:
            threads = 2 // wafers
            row = train(work, "gpt2_124m.yaml", "--wafers", str(wafers),
                        "--set", f"training.precision={precision}",
                        "--set", f"training.steps={size.steps}",
                        "--set", f"training.global_batch={size.global_batch}",
                        "--set", f"training.micro_batch={size.micro_batch}",
                        "--set", f"cluster.wafer.kernel_threads={threads}",
                        *(["--kernel-isa", kernel_isa] if kernel_isa else []))
            results[f"{precision}, {wafers} wafer(s) x {threads} thread(s)"] = {
                "tokens_per_second": row["tokens_per_second"],
                "step_seconds": row["step_seconds"],
                "exposed_stream_fraction": row["exposed_stream_fraction"],
                "kernel_isa": row["kernel_isa"],
                "weights_hash": row["weights_hash"]}
        reference = peer(work, precision, size)
        if reference:
            results[f"{precision}, PyTorch {reference['torch']}, {reference['threads']} threads"] = {
                "tokens_per_second": reference["tokens_per_second"],
                "step_seconds": reference["median_step_seconds"]}


def stream_bound(work):
    """What the streams alone sustain: a job with next to no arithmetic, everything at once."""
    row = train(work, "wide_stream.yaml")
    wafers = [node for node in row["traffic"] if node["role"] == "wafer"]
    memoryx = [node for node in row["traffic"] if node["role"] == "memoryx"]
    busy = sum(node["busy_seconds"] for node in memoryx)
    return {
        "broadcast to 2 wafers, GB/s": sum(n["weight_bytes_in"] for n in wafers) / row["seconds"] / 1e9,
        "reduce from 2 wafers, GB/s": sum(n["gradient_bytes_out"] for n in wafers) / row["seconds"] / 1e9,
        "MemoryX, million parameters/s of work (AdamW, sums, squares)":
            row["parameters"] * row["steps"] / busy / 1e6,
    }


def peak_fractions(results, step_flops):
    """Share of two threads' worth of oneDNN's large square product, measured in the same run."""
    return {
        f"share of oneDNN's peak, {name}":
            step_flops / row["step_seconds"]
            / (2e9 * results["kernels"][f"oneDNN square 2048 (peak) {name.split(',')[0]}"])
        for name, row in results["training"].items()
    }


def faults(count):
    """Recovery time by role and goodput under faults; real processes, killed."""
    results = json.loads(run(["bazel-bin/bench/faults", str(count)]))
    pathlib.Path("bench/faults.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = ["| killed | faults | p50 s | p99 s |", "| --- | --- | --- | --- |"]
    lines += [f"| {role} | {row['faults']} | {row['p50_s']:.2f} | {row['p99_s']:.2f} |"
              for role, row in results["recovery"].items()]
    goodput = results["goodput"]
    share = goodput["steps_per_s"] / goodput["fault_free_steps_per_s"]
    lines += ["", f"Goodput at one fault every {goodput['fault_every_s']} s: "
              f"{goodput['steps_per_s']:.1f} of {goodput['fault_free_steps_per_s']:.1f} steps/s "
              f"({100 * share:.0f} %)"]
    print("\n".join(lines))


def hosts():
    """Steps on hosts whose links are the bottleneck, beside what the plan predicts."""
    rows = json.loads(run(["bazel-bin/bench/hosts"]))
    pathlib.Path("bench/hosts.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = ["| job | Mbit/s | plan s | measured s | ratio | bytes on the link over payload |",
             "| --- | --- | --- | --- | --- | --- |"]
    lines += [f"| {row['row']} | {row['mbit_per_s']:.0f} | {row['predicted_step_seconds']:.2f} | "
              f"{row['step_seconds']:.2f} | "
              f"{row['step_seconds'] / row['predicted_step_seconds']:.2f} | "
              f"{row['link_bytes_over_payload']:.3f} |" for row in rows]
    print("\n".join(lines))


MPI_RANKS = 4  # root, relay and two that compute


def fabric():
    """Channels over MPI beside MPI_Bcast and MPI_Reduce, on the same ranks; medians of three."""
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    lines = run(["mpirun", "--oversubscribe", "-n", str(MPI_RANKS), "bazel-bin/bench/mpi_bench"],
                env=environment).splitlines()
    rows = {}
    for line in lines:
        size, ours, theirs, ratio = line.split()
        rows.setdefault(int(size), []).append((float(ours), float(theirs), float(ratio)))
    table = [f"| {MPI_RANKS} ranks, bytes | ours GB/s | MPI_Bcast + MPI_Reduce GB/s | ratio |",
             "| --- | --- | --- | --- |"]
    for size, found in rows.items():
        medians = [statistics.median(column) for column in zip(*found)]
        table.append(f"| {size} | {medians[0]:.2f} | {medians[1]:.2f} | {medians[2]:.2f} |")
    print("\n".join(table), "", run(["bazel-bin/bench/fabric_bench"]), sep="\n")


def ratios(training):
    """Rates against one another, all of one run: {what: ratio}."""
    def rate(precision, peers):
        rates = [row["tokens_per_second"] for name, row in training.items()
                 if name.startswith(precision + ",") and ("PyTorch" in name) == peers]
        return max(rates, default=None)

    ours = {precision: rate(precision, False) for precision in ("f32", "bf16")}
    found = {"bf16 over f32, ours": ours["bf16"] / ours["f32"]}
    for precision in ours:
        if rate(precision, True):
            found[f"{precision}, ours over PyTorch"] = ours[precision] / rate(precision, True)
    return found


def table(results, size):
    machine = results["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores; kernels: {machine['kernel_isa']}", "",
             f"| GPT-2 124M, context {CONTEXT}, batch {size.global_batch} | tokens/s | step s | "
             "exposed |", "| --- | --- | --- | --- |"]
    for name, row in results["training"].items():
        exposed = row.get("exposed_stream_fraction")
        lines.append(f"| {name} | {row['tokens_per_second']:.0f} | {row['step_seconds']:.2f} | "
                     + (f"{100 * exposed:.1f} % |" if exposed is not None else "|"))
    lines += ["", "| tokens/s | ratio |", "| --- | --- |"]
    lines += [f"| {name} | {value:.2f} |" for name, value in results["ratios"].items()]
    if "other" in results:
        lines += ["", "| other | |", "| --- | --- |"]
        lines += [f"| {name} | {value:.4g} |" for name, value in results["other"].items()]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, help="of each training run [5, or 3 with --quick]")
    parser.add_argument("--quick", action="store_true",
                        help="the training rows with a quarter of the batch and one wafer only")
    parser.add_argument("--kernel-isa", help="of waferctl run: hold our kernels to it")
    parser.add_argument("--faults", type=int, default=30, help="of each role (`faults`)")
    parser.add_argument("what", nargs="?", choices=["faults", "fabric", "hosts", "tokens"],
                        help="default: training")
    arguments = parser.parse_args()
    if arguments.what == "faults":
        return faults(arguments.faults)
    if arguments.what == "fabric":
        return fabric()
    if arguments.what == "hosts":
        return hosts()
    if arguments.what == "tokens":
        return tokens()
    size = QUICK if arguments.quick else FULL
    if arguments.steps:
        size = dataclasses.replace(size, steps=arguments.steps)
    results = {"machine": {"cpu": platform.processor() or platform.machine(),
                           "cores": os.cpu_count()}, "training": {}}
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            results["machine"]["cpu"] = line.split(":", 1)[1].strip()
            break
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        write_inputs(work)
        if not arguments.quick:
            results["kernels"] = kernels()
        step_time(work, size, arguments.kernel_isa, results["training"])
        results["ratios"] = ratios(results["training"])
        results["machine"]["kernel_isa"] = next(iter(results["training"].values()))["kernel_isa"]
        if not arguments.quick:
            results["other"] = stream_bound(work)
            plan = json.loads(run([WAFERCTL, "plan", "-f", work / "gpt2_124m.yaml", "-o", "json"]))
            results["other"].update(peak_fractions(results, plan["step_flops"]))
    pathlib.Path("bench/results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results, size))


if __name__ == "__main__":
    main()
