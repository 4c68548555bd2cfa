"""The example of the safetensors documentation; only the import and the path are others.

python gpt2.py tensord://weights:7070/gpt2
"""

import importlib.util
import sys

from tensord import safe_open

framework = "pt" if importlib.util.find_spec("torch") else "np"

tensors = {}
with safe_open(sys.argv[1], framework=framework, device="cpu") as f:
    for key in f.keys():
        tensors[key] = f.get_tensor(key)

print(f"{len(tensors)} tensors, {sum(tensor.nbytes for tensor in tensors.values())} bytes")
