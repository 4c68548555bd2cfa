"""The other one: a part of a tensor, of which only that part travels.

python embedding_slice.py tensord://weights:7070/gpt2 wte.weight
"""

import sys

from tensord import safe_open

tensors = {}
with safe_open(sys.argv[1], framework="np", device="cpu") as f:
    tensor_slice = f.get_slice(sys.argv[2])
    vocab_size, hidden_dim = tensor_slice.get_shape()
    hidden_dim //= 4
    tensor = tensor_slice[:, :hidden_dim]

    print(f"{tensor.shape}: {f.client.bytes_received} bytes travelled")
