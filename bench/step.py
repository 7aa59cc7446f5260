"""`step`: GPT-2 124M through the whole cluster, beside PyTorch on the same cores and batches."""
import json

from common import WAFERCTL, has_flag, job_in, medians, reference, run, set_flags, train

CONTEXT = 1024  # of gpt2_124m.yaml
PRECISIONS = ("f32", "bf16")


def squares():
    """GFLOP/s of a large square product on one thread, by precision."""
    return json.loads(run(["bazel-bin/bench/peak"]))


def ours(work, job, precision, wafers, size, kernel_isa):
    threads = 2 // wafers
    row = train(work, job, "--wafers", str(wafers), *set_flags(
        training__precision=precision, training__steps=size.steps,
        training__global_batch=size.global_batch, training__micro_batch=size.micro_batch,
        cluster__wafer__kernel_threads=threads),
        *(["--kernel-isa", kernel_isa] if kernel_isa else []))
    return {"tokens/s": row["tokens_per_second"], "step s": row["step_seconds"],
            "exposed": row["exposed_stream_fraction"], "kernels": row["kernel_isa"],
            "memory GB": row["peak_memory"] / 1e9,
            "weights_hash": row["weights_hash"]}


def peer(work, job, precision, size):
    # Where no instruction multiplies bf16, PyTorch needs minutes a step; our own f32 is the measure then.
    if precision == "bf16" and not has_flag("avx512_bf16", "amx_bf16"):
        return None
    row = reference(work, job, context=CONTEXT, global_batch=size.global_batch,
                    micro_batch=size.micro_batch, steps=size.steps, warmup=2, precision=precision)
    if row is None:
        return None
    return {"tokens/s": row["tokens_per_second"], "step s": row["median_step_seconds"],
            "kernels": f"PyTorch {row['torch']}"}


def alone(job, precision, size):
    """The wafer's kernels in one process, with nobody to stream for."""
    row = json.loads(run(["bazel-bin/bench/one_process", job, precision, size.global_batch,
                          size.micro_batch, 2]))
    return {"tokens/s": row["tokens_per_second"], "step s": row["step_seconds"]}


def rows(work, size, progress, kernel_isa=None):
    job = job_in(work, "gpt2_124m.yaml")
    flops = json.loads(run([WAFERCTL, "plan", "-f", job, *set_flags(
        training__global_batch=size.global_batch, training__micro_batch=size.micro_batch),
        "-o", "json"]))["step_flops"]
    table = {}
    for precision in PRECISIONS:
        found = {}
        peak = 0
        for turn in range(size.rounds):
            progress(f"step: {precision}, round {turn + 1} of {size.rounds}")
            peak = max(peak, squares()[precision])
            for wafers in size.wafers:
                found.setdefault(f"{precision}, {wafers} wafer(s) x {2 // wafers} thread(s)", []).append(
                    ours(work, job, precision, wafers, size, kernel_isa))
            found.setdefault(f"{precision}, no cluster, 2 threads", []).append(
                alone(job, precision, size))
            other = peer(work, job, precision, size)
            if other:
                found.setdefault(f"{precision}, PyTorch, 2 threads", []).append(other)
        ofrow = {name: medians(turns) for name, turns in found.items()}
        beside = ofrow.get(f"{precision}, PyTorch, 2 threads")
        single = ofrow[f"{precision}, no cluster, 2 threads"]
        for row in ofrow.values():
            row["share of peak"] = flops / row["step s"] / (2e9 * peak)
            row["of no cluster"] = single["step s"] / row["step s"]
            if beside:
                row["over PyTorch"] = row["tokens/s"] / beside["tokens/s"]
        table.update(ofrow)
    best = {p: max(row["tokens/s"] for name, row in table.items()
                   if name.startswith(p) and "wafer" in name) for p in PRECISIONS}
    table["bf16 over f32"] = {"tokens/s": best["bf16"] / best["f32"]}
    return table
