#!/usr/bin/env python3
"""Fetches a slice of the store's first tensor with tensorctl and compares it with the file's own bytes.

usage: deploy/check_first_slice.py TENSORCTL STORE
"""
import json
import os
import subprocess
import sys

MAX_BYTES = 64 << 20  # A slice of at most this size is fetched, so that the check of a huge model is quick.


def run(tensorctl, *arguments):
    return subprocess.run([tensorctl, *arguments], check=True, stdout=subprocess.PIPE).stdout


def first_tensor(tensorctl):
    for model in json.loads(run(tensorctl, "models", "--json")):
        if model["num_tensors"] == 0:
            continue
        tensors = json.loads(run(tensorctl, "ls", "--json", model["id"]))
        # A tensor with rows, so that there is something to slice.
        for tensor in tensors:
            if tensor["shape"] and tensor["size_bytes"] > 0 and tensor["size_bytes"] * 8 % tensor["shape"][0] == 0:
                return model, tensor
    return None, None


def file_of(store, model, tensor):
    """The tensor's file below the store, or None where the id is not a path (a Hugging Face cache)."""
    path = os.path.join(store, os.path.dirname(model["id"]), tensor["file"])
    return path if os.path.isfile(path) else None


def main():
    tensorctl, store = sys.argv[1:]
    model, tensor = first_tensor(tensorctl)
    if tensor is None:
        print("The store has no tensor to read.")
        return
    row_bytes = tensor["size_bytes"] // tensor["shape"][0]
    first = tensor["shape"][0] // 2
    rows = max(1, min(tensor["shape"][0] - first, MAX_BYTES // max(row_bytes, 1), 8))
    text = f"{tensor['name']}[{first}:{first + rows}]"
    print(f"$ tensorctl get {model['short_name']} '{text}' -o -")
    got = run(tensorctl, "get", model["id"], text, "-o", "-")

    path = file_of(store, model, tensor)
    if path is None:
        whole = run(tensorctl, "get", model["id"], tensor["name"], "-o", "-")
        wanted, source = whole[first * row_bytes:(first + rows) * row_bytes], "the whole tensor's"
    else:
        with open(path, "rb") as file:
            file.seek(tensor["offset_bytes"] + first * row_bytes)
            wanted, source = file.read(rows * row_bytes), "the file's"
    if got != wanted:
        sys.exit(f"error: the slice's {len(got)} bytes are not {source} {len(wanted)} bytes")
    print(f"{len(got):,} bytes, identical with {source} own.")


if __name__ == "__main__":
    main()
