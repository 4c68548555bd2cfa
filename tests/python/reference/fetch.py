"""Puts the reference's Python tests, out of its sdist on PyPI, into a directory.

usage: fetch.py VERSION DIRECTORY

pip insists on asking a source package's build backend for its metadata before it hands it out; the reference's, maturin, would
need Rust for that. A stand-in answers instead: nothing is built.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BACKEND = '''
import pathlib


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    info = pathlib.Path(directory, "safetensors-{version}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: safetensors\\nVersion: {version}\\n")
    return info.name
'''


def fetch(version, directory):
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "maturin.py").write_text(BACKEND.format(version=version))
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary",
                        "safetensors", "--no-build-isolation", "-d", scratch, f"safetensors=={version}"],
                       env={**os.environ, "PYTHONPATH": scratch}, check=True)
        # tar refuses names that lead out; Python's tarfile can only from 3.11.4 on.
        subprocess.run(["tar", "-xzf", next(Path(scratch).glob("*.tar.gz")), "-C", scratch, "--no-same-owner"], check=True)
        tests = next(Path(scratch).glob("safetensors-*/bindings/python/tests"))
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(tests, directory)


if __name__ == "__main__":
    fetch(sys.argv[1], sys.argv[2])
