"""Maps a region that Tideline shares into this process, with no copy (docs/share-weights.md).

    with SharedRegion("/run/user/1000/weights.sock") as region:
        tensors = region.tensors()  # name -> torch.Tensor over the engine's own memory
        ...
        del tensors  # before the region ends

Needs NVIDIA's driver, and PyTorch for `tensors`. The loan lasts until `close`: Tideline does not release the memory
meanwhile.
"""

import ctypes
import json
import os
import socket
import struct
import sys
import uuid

FILE_DESCRIPTOR = 1  # CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
READ_WRITE = 3  # CU_MEM_ACCESS_FLAGS_PROT_READWRITE
MOST_FILES = 253  # in one message of a Unix socket

# PyTorch's name, and the NumPy spelling under which memory is handed to it: NumPy knows no bfloat16.
DTYPES = {"F32": ("float32", "<f4"), "F16": ("float16", "<f2"), "BF16": ("bfloat16", "<i2"), "I8": ("int8", "|i1")}


class AccessDescriptor(ctypes.Structure):
    _fields_ = [("location_type", ctypes.c_int), ("device", ctypes.c_int), ("flags", ctypes.c_int)]


class SharedRegion:
    def __init__(self, path):
        self._driver = ctypes.CDLL(os.environ.get("TIDELINE_CUDA_DRIVER") or "libcuda.so.1")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        magic, version, length = struct.unpack("<8sII", self._receive(16))
        if (magic, version) != (b"TIDELSHR", 1):
            raise RuntimeError(f"{path} speaks {magic!r} version {version}, this file TIDELSHR version 1")
        self.description = json.loads(self._receive(length))
        if "error" in self.description:
            raise RuntimeError("{message} ({code})".format(**self.description["error"]))
        self.bytes = self.description["bytes"]
        self.device = self._enter_device(self.description["device"]["uuid"])
        self._chunks = [run["bytes"] for run in self.description["chunks"] for _ in range(run["count"])]
        self.address = self._map()

    def tensors(self):
        """A model's tensors by name, over the shared memory."""
        import torch

        def tensor(view):
            name, spelling = DTYPES[view["dtype"]]
            interface = {"shape": tuple(view["shape"]), "typestr": spelling, "version": 2,
                         "data": (self.address + view["offset"], False)}
            memory = type("Memory", (), {"__cuda_array_interface__": interface})()
            raw = torch.as_tensor(memory, device=f"cuda:{self.device}")
            return raw.view(getattr(torch, name))

        return {view["name"]: tensor(view) for view in self.description["tensors"]}

    def close(self):
        """Unmaps the memory, then ends the loan. Nothing may use the tensors any more."""
        self._call("cuCtxSynchronize")
        offset = 0
        for chunk_bytes in self._chunks:
            self._call("cuMemUnmap", self._address(offset), ctypes.c_size_t(chunk_bytes))
            offset += chunk_bytes
        self._call("cuMemAddressFree", self._address(0), ctypes.c_size_t(self.bytes))
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _enter_device(self, wanted):
        """Makes the device's primary context current, which PyTorch uses too. Numbers differ between processes, UUIDs do not."""
        self._call("cuInit", 0)
        count = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        for ordinal in range(count.value):
            raw = (ctypes.c_ubyte * 16)()
            self._call("cuDeviceGetUuid", raw, ordinal)
            if f"GPU-{uuid.UUID(bytes=bytes(raw))}" == wanted:
                context = ctypes.c_void_p()
                self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), ordinal)
                self._call("cuCtxPushCurrent_v2", context)
                return ordinal
        raise RuntimeError(f"this process does not see the device {wanted}: is it in CUDA_VISIBLE_DEVICES?")

    def _map(self):
        """One range of addresses, and the chunks behind one another in it."""
        base = ctypes.c_uint64()
        self._call("cuMemAddressReserve", ctypes.byref(base), ctypes.c_size_t(self.bytes), ctypes.c_size_t(0),
                   ctypes.c_uint64(0), ctypes.c_uint64(0))
        self.address = base.value
        mapped = 0
        chunks = iter(self._chunks)
        while mapped < self.bytes:
            count, files, _, _ = socket.recv_fds(self._socket, 4, MOST_FILES)
            if not count:
                raise RuntimeError("Tideline ended the loan")
            for file in files:
                chunk_bytes = next(chunks)
                handle = ctypes.c_uint64()
                self._call("cuMemImportFromShareableHandle", ctypes.byref(handle), ctypes.c_void_p(file), FILE_DESCRIPTOR)
                self._call("cuMemMap", self._address(mapped), ctypes.c_size_t(chunk_bytes), ctypes.c_size_t(0), handle,
                           ctypes.c_uint64(0))
                self._call("cuMemRelease", handle)  # the mapping keeps it
                os.close(file)
                mapped += chunk_bytes
            self._socket.send(b"\0")
        access = AccessDescriptor(1, self.device, READ_WRITE)
        self._call("cuMemSetAccess", self._address(0), ctypes.c_size_t(self.bytes), ctypes.byref(access), ctypes.c_size_t(1))
        return self.address

    def _address(self, offset):
        return ctypes.c_uint64(self.address + offset)

    def _receive(self, length):
        data = b""
        while len(data) < length:
            part = self._socket.recv(length - len(data))
            if not part:
                raise RuntimeError("Tideline closed the connection")
            data += part
        return data

    def _call(self, name, *arguments):
        result = getattr(self._driver, name)(*arguments)
        if result != 0:
            raise RuntimeError(f"{name} failed with {result}")


if __name__ == "__main__":
    with SharedRegion(sys.argv[1]) as region:
        for name, tensor in region.tensors().items():
            print(f"{name}  {tensor.dtype}  {list(tensor.shape)}  mean {tensor.float().mean().item():.6f}")
        tensor = None
