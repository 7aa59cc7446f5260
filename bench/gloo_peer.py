"""The rounds of shm_bench by Gloo, as torch.distributed has it: NAME TAB GB/s, medians.

gloo_peer.py N: one process broadcasts to N that read every byte; N reduce to one of them.
"""

import os
import statistics
import sys
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

TILE = 1 << 20  # floats
TILES = 64
ROUNDS = 7  # the first of which warms up


def measure(name, rank, one):
    seconds = []
    for turn in range(ROUNDS):
        dist.barrier()
        begun = time.monotonic()
        for tile in range(TILES):
            one(tile)
        dist.barrier()
        if turn > 0:
            seconds.append(time.monotonic() - begun)
    if rank == 0:
        print(f"{name}\t{TILES * TILE * 4 / statistics.median(seconds) / 1e9:.3f}", flush=True)


def work(rank, ranks, what, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=ranks)
    tiles = torch.full((TILES, TILE), 1.5)

    def broadcast(tile):
        dist.broadcast(tiles[tile], src=0)
        if rank != 0:
            tiles[tile].view(torch.int64).sum()

    def reduce(tile):
        dist.reduce(tiles[tile], dst=0)

    if what == "broadcast":
        measure(f"Gloo broadcast to {ranks - 1}", rank, broadcast)
    else:
        measure(f"Gloo reduce from {ranks}", rank, reduce)
    dist.destroy_process_group()


if __name__ == "__main__":
    peers = int(sys.argv[1])
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as folder:
        for what, ranks in (("broadcast", peers + 1), ("reduce", peers)):
            mp.spawn(work, (ranks, what, os.path.join(folder, what)), nprocs=ranks)
