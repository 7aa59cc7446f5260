"""AdamW of others on one thread, in millions of parameters a second: one line of JSON."""
import json
import sys
import time

import torch

ELEMENTS, TENSORS, STEPS = 1 << 20, 24, 7


def rate(make):
    parameters = [torch.full((ELEMENTS,), 1e-3, requires_grad=True) for _ in range(TENSORS)]
    for parameter in parameters:
        parameter.grad = torch.full((ELEMENTS,), 1e-4)
    optimizer = make(parameters)
    optimizer.step()  # makes its state
    best = 1e9
    for _ in range(STEPS):
        start = time.thread_time()
        optimizer.step()
        best = min(best, time.thread_time() - start)
    return 1e-6 * ELEMENTS * TENSORS / best


def main():
    torch.set_num_threads(1)
    options = {"lr": 1e-3, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
    rates = {"PyTorch fused AdamW": rate(lambda p: torch.optim.AdamW(p, fused=True, **options))}
    try:
        from deepspeed.ops.adam import DeepSpeedCPUAdam
        rates["DeepSpeed CPU Adam"] = rate(lambda p: DeepSpeedCPUAdam(p, adamw_mode=True, **options))
    except Exception as why:  # not there, or not compiled, which it does itself at its first use
        print(f"optimizer_peer: no DeepSpeed: {type(why).__name__}: {why}", file=sys.stderr)
    print(json.dumps(rates))


main()
