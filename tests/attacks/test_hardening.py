"""What the compiler and the linker have put into the binaries, read from the ELF files (T17)."""
import re
import subprocess

import pytest


def readelf(path, *options):
    return subprocess.run(["readelf", "-W", *options, str(path)], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["tensord", "tensorctl"])
def test_binaries_are_hardened(bin_dir, name):
    path = bin_dir / name
    assert "DYN (Position-Independent Executable" in readelf(path, "-h")
    dynamic = readelf(path, "-d")
    assert re.search(r"FLAGS.*NOW", dynamic), "symbols are bound lazily"
    assert "TEXTREL" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic
    segments = readelf(path, "-l")
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+RW\s", segments), "the stack is executable"
    assert not re.search(r"LOAD.*RWE", segments)
    symbols = readelf(path, "--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__\w+_chk@", symbols), "nothing is fortified"
