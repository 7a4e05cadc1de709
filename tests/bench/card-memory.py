"""What torch_memory_saver takes to pause and resume, one JSON line per case, beside `npm run bench -- card-memory` on the same card.

    TENSORS=256 TENSOR_MIB=64 REPETITIONS=5 python3 tests/bench/card-memory.py
"""

import json
import os
import statistics
import subprocess
import time

import torch
from torch_memory_saver import torch_memory_saver

TENSORS = int(os.environ.get("TENSORS", 256))
TENSOR_MIB = int(os.environ.get("TENSOR_MIB", 64))
REPETITIONS = int(os.environ.get("REPETITIONS", 5))


def used_mib() -> int:
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def milliseconds(action) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    action()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def report(name: str, samples: list[float], unit: str = "ms") -> None:
    figure = {"name": name, "value": round(statistics.median(samples), 3), "unit": unit}
    print(json.dumps({**figure, "samples": len(samples), "min": round(min(samples), 3), "max": round(max(samples), 3)}), flush=True)


def measure(name: str, backup: bool) -> None:
    with torch_memory_saver.region(tag=name, enable_cpu_backup=backup):
        tensors = [torch.empty(TENSOR_MIB << 20, dtype=torch.uint8, device="cuda") for _ in range(TENSORS)]
    for index, tensor in enumerate(tensors):
        tensor.fill_(index % 251)
    pauses, resumes = [], []
    for repetition in range(REPETITIONS + 1):
        before = used_mib()
        paused = milliseconds(lambda: torch_memory_saver.pause(name))
        freed = before - used_mib()
        resumed = milliseconds(lambda: torch_memory_saver.resume(name))
        if repetition == 0:
            report(f"peer_{name}_first_pause", [paused])
            report(f"peer_{name}_freed_by_nvml", [freed], "MiB")
            continue
        pauses.append(paused)
        resumes.append(resumed)
        if backup:
            tensors[0].fill_(repetition)
    report(f"peer_{name}_pause", pauses)
    report(f"peer_{name}_resume", resumes)
    if backup:
        assert all(int(tensor[-1]) == index % 251 for index, tensor in enumerate(tensors) if index > 0)


torch_memory_saver.hook_mode = "torch"
torch.cuda.init()
measure("discard", backup=False)
torch_memory_saver.retain_cpu_backup = True
measure("backup", backup=True)
