"""Compares our verdicts on safetensors files with those of the reference implementation.

Hand-made cases, and seeded random files mutated in their structure, their text and their bytes. Each file is
judged by `safetensors.deserialize` and by tensord_header_verdict, which reads it as the server does: the verdict and
the error variant must be equal, and for accepted files names, dtypes, shapes, offsets and metadata. Where our policy
is stricter than the reference, `policy_reason` says so, and then we must reject.

usage: format_oracle.py [--seed N] [--count N]     (a failure prints the seed and index that replay it)
"""

import argparse
import collections
import json
import os
import struct
import subprocess
import sys

import safetensors

from format_cases import hand_made, random_file

VERDICT = os.path.join(os.environ.get("TENSORD_TESTS", "build/release/tests"), "tensord_header_verdict")

# The reference's sentences, by the beginning that tells them apart.
SENTENCES = {
    "header too small": "HeaderTooSmall",
    "header too large": "HeaderTooLarge",
    "invalid header length": "InvalidHeaderLength",
    "invalid UTF-8 in header": "InvalidHeader",
    "invalid JSON in header": "InvalidHeaderDeserialization",
    "invalid offset for tensor": "InvalidOffset",
    "overflow computing buffer size": "ValidationOverflow",
    "The slice is slicing for subbytes dtypes": "MisalignedSlice",
    "invalid shape, data type, or offset for tensor": "TensorInvalidInfo",
    "incomplete metadata, file not fully covered": "MetadataIncompleteBuffer",
}
BEFORE_POLICY = {"HeaderTooSmall", "HeaderTooLarge", "InvalidHeaderLength", "InvalidHeader"}
JSON_ERROR = "InvalidHeaderDeserialization"


def reference_verdict(content):
    """("OK", tensors) or (variant, None)."""
    try:
        return "OK", safetensors.deserialize(content)
    except safetensors.SafetensorError as error:
        text = str(error).removeprefix("Error while deserializing: ")
        for sentence, variant in SENTENCES.items():
            if text.startswith(sentence):
                return variant, None
        raise AssertionError(f"unknown sentence of the reference: {text}") from error


class Pairs(list):
    """A JSON object with its repeated keys."""


def load_pairs(content):
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + size].decode(), object_pairs_hook=Pairs, parse_int=str, parse_float=str)


def repeats(pairs):
    return len({key for key, _ in pairs}) != len(pairs)


def policy_reason(content):
    """Why we reject a header whose JSON the reference takes; None where both must agree."""
    header = load_pairs(content)
    if repeats(header):
        return "repeated tensor name"
    for name, value in header:
        if name == "__metadata__":
            if value is not None and repeats(value):
                return "repeated metadata key"
        elif not isinstance(value, Pairs):
            return "entry as array"
        elif any(key == "dtype" and not isinstance(item, str) for key, item in value):
            return "dtype as object"
    return None


def our_verdicts(contents):
    stream = b"".join(struct.pack("<Q", len(content)) + content for content in contents)
    result = subprocess.run([VERDICT, "--stdin"], input=stream, stdout=subprocess.PIPE, check=True)
    lines = result.stdout.decode().splitlines()
    assert len(lines) == len(contents), f"{len(lines)} verdicts for {len(contents)} files"
    return lines


def parse_ours(line):
    """The tensors as {name: (dtype, shape, offset, size)} and the metadata's pairs or None."""
    _, metadata, *tensors = line.split("\t")
    pairs = None
    if metadata != "-":
        items = [item.split("=") for item in metadata[1:-1].split(",") if item]
        pairs = [(bytes.fromhex(key), bytes.fromhex(value)) for key, value in items]
    table = {}
    for tensor in tensors:
        name, dtype, shape, offset, size = tensor.split(":")
        extents = [int(extent) for extent in shape.split(",") if extent]
        table[bytes.fromhex(name)] = (dtype, extents, int(offset), int(size))
    return table, pairs


def check_contents(content, line, tensors):
    ours, our_metadata = parse_ours(line)
    base = 8 + struct.unpack("<Q", content[:8])[0]
    header = load_pairs(content)
    wanted_metadata = None
    offsets = {}
    for name, value in header:
        if name == "__metadata__":
            if value is not None:
                wanted_metadata = [(key.encode(), text.encode()) for key, text in value]
        else:
            offsets[name] = [int(offset) for offset in dict(value)["data_offsets"]]
    assert our_metadata == wanted_metadata, f"metadata: {our_metadata} != {wanted_metadata}"
    wanted = {}
    for name, info in tensors:
        begin, end = offsets[name]
        assert len(info["data"]) == end - begin
        wanted[name.encode()] = (info["dtype"], list(info["shape"]), base + begin, end - begin)
    assert ours == wanted, f"tensors: {ours} != {wanted}"


def check(content, line, counts):
    ours = "OK" if line.startswith("OK ") else line.split(":", 1)[0]
    theirs, tensors = reference_verdict(content)
    counts["cases"] += 1
    if theirs not in BEFORE_POLICY and theirs != JSON_ERROR:
        reason = policy_reason(content)
        if reason:
            assert ours == JSON_ERROR, f"we say {line!r}, our policy is to reject: {reason}"
            counts[f"policy: {reason}"] += 1
            return
    if ours != theirs:
        # The reference visits tensors of equal offsets in the order of a hash map that differs each time.
        seen = {reference_verdict(content)[0] for _ in range(60)}
        assert ours in seen, f"we say {line!r}, the reference {theirs}"
        counts["reference undecided"] += 1
        return
    counts[theirs] += 1
    if ours == "OK":
        check_contents(content, line, tensors)


def compare(named_contents):
    """Checks (name, content) pairs and returns the counts by verdict."""
    counts = collections.Counter()
    named_contents = list(named_contents)
    lines = our_verdicts([content for _, content in named_contents])
    for (name, content), line in zip(named_contents, lines):
        try:
            check(content, line, counts)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}\nfile: {content!r}") from error
    return counts


def compare_hand_made():
    return compare((f"hand-made {i}", content) for i, content in enumerate(hand_made()))


def compare_random(seed, count):
    return compare((f"--seed {seed}, index {i}", random_file(seed, i)) for i in range(count))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args()
    counts = compare_hand_made() + compare_random(options.seed, options.count)
    for key, number in sorted(counts.items()):
        print(f"{number:8} {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
