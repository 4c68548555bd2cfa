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
