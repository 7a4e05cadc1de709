"""Describes tensors of this process so that Tideline's engine on the same GPU can copy them (docs/share-weights.md).

    hand_over(policy.named_parameters(), "/run/user/1000/weights.json")  # for Swap… in Tideline, "Another process"
    ...  # keep the tensors as they are until the swap is done

`describe` gives the same as a dict, to be sent as JSON in any other way.

Needs NVIDIA's driver, and tensors of PyTorch's usual allocator: memory of its expandable segments has no such handles.
`python3 hand_over_weights.py <checkpoint> [--out <file>]` hands over the weights of a folder: it writes the description to
the file, or prints it as one line of JSON, and keeps them until its standard input ends.
"""

import argparse
import ctypes
import json
import os
import pathlib
import sys
import uuid

DTYPES = {"torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"}


def describe(named_tensors):
    """Where tensors lie: the GPU, handles of the allocations, and each tensor's place in one of them."""
    driver = ctypes.CDLL(os.environ.get("TIDELINE_CUDA_DRIVER") or "libcuda.so.1")
    _call(driver, "cuCtxSynchronize")
    handles, tensors, devices = {}, [], set()
    for name, tensor in named_tensors:
        if not tensor.is_contiguous():
            raise ValueError(f"{name} is not contiguous: hand over a copy that is")
        base = ctypes.c_uint64()
        _call(driver, "cuMemGetAddressRange_v2", ctypes.byref(base), None, ctypes.c_uint64(tensor.data_ptr()))
        if base.value not in handles:
            handle = (ctypes.c_ubyte * 64)()
            _call(driver, "cuIpcGetMemHandle", handle, base)
            handles[base.value] = bytes(handle).hex()
        tensors.append({"name": name, "dtype": DTYPES[str(tensor.dtype)], "shape": list(tensor.shape), "bytes": tensor.nbytes,
                        "allocation": list(handles).index(base.value), "offset": tensor.data_ptr() - base.value})
        devices.add(tensor.device.index)
    if len(devices) != 1:
        raise ValueError(f"the tensors are on {len(devices)} GPUs: hand over those of one")
    return {"device": {"uuid": _uuid(driver, devices.pop())}, "allocations": list(handles.values()), "tensors": tensors}


def hand_over(named_tensors, path):
    """Describes tensors in a file that only this user can read; whoever finds it finds it whole."""
    draft = f"{path}.{os.getpid()}.partial"
    description = describe(named_tensors)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(description, file)
    os.replace(draft, path)


def _uuid(driver, ordinal):
    raw = (ctypes.c_ubyte * 16)()
    _call(driver, "cuDeviceGetUuid", raw, ordinal)
    return f"GPU-{uuid.UUID(bytes=bytes(raw))}"


def _call(driver, name, *arguments):
    result = getattr(driver, name)(*arguments)
    if result != 0:
        raise RuntimeError(f"{name} failed with {result}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Hands over the weights of a checkpoint until standard input ends.")
    parser.add_argument("checkpoint", type=pathlib.Path, help="a folder with *.safetensors")
    parser.add_argument("--out", help="the file to write the description to; it is printed otherwise")
    options = parser.parse_args()

    from safetensors.torch import load_file

    weights = {}
    for file in sorted(options.checkpoint.glob("*.safetensors")):
        weights.update(load_file(file, device="cuda"))
    if options.out:
        hand_over(weights.items(), options.out)
        print(f"described in {options.out}", flush=True)
    else:
        print(json.dumps(describe(weights.items())), flush=True)
    sys.stdin.read()
