#!/usr/bin/env python3
"""Takes out of an image what chance has put there, so that the same content is the same image: buildah's configuration in Docker's format
names the container that each step ran in.

usage: settle.py DIR   an image as `buildah push IMAGE dir:DIR` writes it; it is changed in place
"""
import hashlib
import json
import sys
from pathlib import Path


def settle(directory):
    manifest = json.loads((directory / "manifest.json").read_text())
    old = directory / manifest["config"]["digest"].removeprefix("sha256:")
    config = json.loads(old.read_text())
    for name in ("container", "container_config", "parent"):
        config.pop(name, None)
    config["config"].pop("Hostname", None)
    for step in config["history"]:
        step.pop("comment", None)  # The id of the step before.
    text = json.dumps(config, sort_keys=True).encode()
    digest = hashlib.sha256(text).hexdigest()
    old.unlink()
    (directory / digest).write_bytes(text)
    manifest["config"].update(digest=f"sha256:{digest}", size=len(text))
    (directory / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    settle(Path(sys.argv[1]))
