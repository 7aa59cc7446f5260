#!/usr/bin/env python3
"""Makes docs/MODELS.md: for each language model of the installed transformers, whether waferctl takes its default
configuration, and if not, waferctl's own words.

Usage: python3 docs/make_models.py > docs/MODELS.md
Run it from the repository's root after `bazel build //client:waferctl`. Needs transformers.
"""
import json
import pathlib
import re
import subprocess
import tempfile
import warnings

import transformers
from transformers.models.auto import modeling_auto

JOB = """
data: {train: none.bin}
training: {steps: 1, global_batch: 1, micro_batch: 1, optimizer: {adamw: {lr: 1.0e-3}}}
cluster: {wafer: {sram: 1000000GiB}}
"""

# What a family asked for by many would need.
MISSING = {
    "gemma2": "no such family: it bounds attention's scores and the logits by tanh, scales embeddings, and takes a "
              "window in every second layer only",
}


def config_of(model_type):
    """The default configuration as its class writes it, or why there is none."""
    try:
        config = transformers.CONFIG_MAPPING[model_type]().to_dict()
        return json.loads(json.dumps(config, default=str).replace("Infinity", "null")), None
    except Exception as error:  # whatever a class of somebody else's does
        return None, f"its class makes no default configuration ({type(error).__name__})"


def refusal(config, architecture, work):
    """What waferctl says against it; None: it takes the model."""
    (work / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))
    # What the plan may need beyond the model is not the question: a short context.
    plan = subprocess.run(
        ["bazel-bin/client/waferctl", "plan", "-f", work / "job.yaml", "--set", f"model.from={work}",
         "--set", "model.context=64"],
        capture_output=True, text=True)
    if plan.returncode == 0:
        return None
    line = plan.stderr.strip().splitlines()[-1]
    return re.sub(r"^waferctl: (--set: model\.from: )?(\S*/config\.json:? ?)?", "", line)


def main():
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "job.yaml").write_text(JOB)
        for model_type, architecture in sorted(set(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items())):
            config, why = config_of(model_type)
            if config is not None:
                why = refusal(config, architecture, work)
            if why is not None and why.startswith("model_type is "):
                why = MISSING.get(model_type, "no such family")
            rows.append((model_type, architecture, why))
    taken = [row for row in rows if row[2] is None]
    print("# Models\n")
    print(f"Made by `docs/make_models.py` with transformers {transformers.__version__}: of its {len(rows)} language")
    print(f"models the default configurations of {len(taken)} are taken. A configuration of a kind that is taken is")
    print("refused by waferctl's own words where it asks for something that is not built in. Which ones are held to")
    print("transformers' own losses and gradients: `tests/golden`.\n")
    print("| model_type | architecture | taken, or why not |\n| --- | --- | --- |")
    for model_type, architecture, why in rows:
        print(f"| `{model_type}` | {architecture} | {'yes' if why is None else why.replace('|', '/')} |")


if __name__ == "__main__":
    main()
