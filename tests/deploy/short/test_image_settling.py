"""deploy/image/settle.py: the same content is the same image, whatever containers its steps ran in."""
import hashlib
import json
import subprocess
import sys

import pytest

from commands import DEPLOY


def image(directory, chance, user="65532"):
    """An image as buildah pushes it to a directory; `chance` is what differs from build to build."""
    directory.mkdir()
    config = {"created": "1970-01-01T00:00:00Z", "container": chance, "container_config": {"Hostname": chance},
              "parent": f"sha256:{chance}", "config": {"Hostname": chance, "User": user, "Healthcheck": {"Test": ["CMD", "probe"]}},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]}, "history": [{"created_by": "COPY", "comment": f"FROM {chance}"}]}
    text = json.dumps(config).encode()
    digest = hashlib.sha256(text).hexdigest()
    (directory / digest).write_bytes(text)
    (directory / "manifest.json").write_text(json.dumps(
        {"config": {"digest": f"sha256:{digest}", "size": len(text)}, "layers": [{"digest": "sha256:1", "size": 1}]}))
    return directory


def settled(directory):
    """(manifest, configuration) after settling, which is checked to hang together."""
    subprocess.run([sys.executable, DEPLOY / "image/settle.py", directory], check=True)
    manifest = json.loads((directory / "manifest.json").read_text())
    digest = manifest["config"]["digest"].removeprefix("sha256:")
    text = (directory / digest).read_bytes()
    assert hashlib.sha256(text).hexdigest() == digest and manifest["config"]["size"] == len(text)
    assert {path.name for path in directory.iterdir()} == {"manifest.json", digest}
    return manifest, json.loads(text)


def test_what_chance_has_named_makes_no_difference(tmp_path):
    assert settled(image(tmp_path / "a", "aaaa")) == settled(image(tmp_path / "b", "bbbb"))


@pytest.mark.parametrize("user", ["65532", "0"])
def test_what_was_configured_stays(tmp_path, user):
    manifest, config = settled(image(tmp_path / "a", "aaaa", user))
    assert config["config"] == {"User": user, "Healthcheck": {"Test": ["CMD", "probe"]}}
    assert config["rootfs"]["diff_ids"] == ["sha256:1"] and config["history"] == [{"created_by": "COPY"}]
    assert manifest["layers"] == [{"digest": "sha256:1", "size": 1}]
