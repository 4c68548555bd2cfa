"""Yardstick: the reference safetensors library reads a local file into numpy arrays of its own.

usage: reference_load.py FILE REPEATS
"""
import json
import sys
import time

from safetensors.numpy import load_file

path, repeats = sys.argv[1], int(sys.argv[2])
load_file(path)
begin, cpu, size = time.monotonic(), time.process_time(), 0
for _ in range(repeats):
    tensors = load_file(path)
    size += sum(tensor.nbytes for tensor in tensors.values())
    del tensors
print(json.dumps({"seconds": time.monotonic() - begin, "bytes": size, "client_cpu_s": time.process_time() - cpu,
                  "server_cpu_s": 0}))
