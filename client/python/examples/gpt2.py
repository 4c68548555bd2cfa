"""The example of the safetensors documentation; only the import and the path are others.

python gpt2.py tensord://weights:7070/gpt2
"""

import sys

from tensord import safe_open

tensors = {}
with safe_open(sys.argv[1], framework="np", device="cpu") as f:
    for key in f.keys():
        tensors[key] = f.get_tensor(key)

print(f"{len(tensors)} tensors, {sum(tensor.nbytes for tensor in tensors.values())} bytes")
