"""`tiny`: small models, where a step's messages count, beside PyTorch in one process."""
from common import job_in, medians, reference, set_flags, train

# job file; precision; sequences a step and a micro-batch; steps
JOBS = {
    "6 x 256, context 256, bf16": ("small.yaml", "bf16", 4, 256),
    "4 x 64, context 64, f32": ("tiny.yaml", "f32", 1, 64),
}


def ours(work, job, precision, steps):
    row = train(work, job, *set_flags(training__precision=precision, training__steps=steps))
    return {"steps/s": 1 / row["step_seconds"], "tokens/s": row["tokens_per_second"],
            "exposed": row["exposed_stream_fraction"], "weights_hash": row["weights_hash"]}


def peer(work, job, context, batch, precision, steps, threads, compiled):
    row = reference(work, job, compiled=compiled, context=context, global_batch=batch,
                    micro_batch=batch, steps=steps, warmup=2, precision=precision, threads=threads)
    if row is None:
        return None
    return {"steps/s": 1 / row["median_step_seconds"], "tokens/s": row["tokens_per_second"]}


def rows(work, size, progress):
    table = {}
    for name, (file, precision, batch, context) in JOBS.items():
        job = job_in(work, file)
        steps = size.tiny_steps if context == 64 else size.tiny_steps // 8
        found = {}
        for turn in range(size.rounds):
            progress(f"tiny: {name}, round {turn + 1} of {size.rounds}")
            found.setdefault(f"{name}: cluster of five processes", []).append(
                ours(work, job, precision, steps))
            for threads in (1, 2):
                for compiled in (False, True):
                    how = f"PyTorch{' compiled' if compiled else ''}, {threads} thread(s)"
                    other = peer(work, job, context, batch, precision, steps, threads, compiled)
                    if other:
                        found.setdefault(f"{name}: {how}", []).append(other)
        ofrow = {row: medians(turns) for row, turns in found.items()}
        mine = ofrow[f"{name}: cluster of five processes"]
        for row in ofrow.values():
            row["ours over it"] = mine["steps/s"] / row["steps/s"]
        table.update(ofrow)
    return table
