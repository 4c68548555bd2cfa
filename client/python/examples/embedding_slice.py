"""The other one: a part of a tensor, of which only that part travels.

python embedding_slice.py tensord://weights:7070/gpt2 wte.weight
"""

import importlib.util
import sys

from tensord import safe_open

framework = "pt" if importlib.util.find_spec("torch") else "np"

with safe_open(sys.argv[1], framework=framework, device="cpu") as f:
    tensor_slice = f.get_slice(sys.argv[2])
    vocab_size, hidden_dim = tensor_slice.get_shape()
    hidden_dim //= 4
    tensor = tensor_slice[:, :hidden_dim]

    print(f"{tuple(tensor.shape)}: {f.client.bytes_received} bytes travelled")
