#!/usr/bin/env bash
# Puts the tools of these tests below build/: a Python environment, kustomize, grpc-health-probe and the Pod Security Standards' checker
# from their Go modules, and promtool out of Debian's package, without the service that comes with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/deploy-venv tools=$PWD/build/deploy-tools
mkdir -p "$tools/bin"

deploy/install_packages.sh deploy
tests/tools.sh # Go is there.
if ! cmp -s tests/deploy/requirements.txt "$venv/installed-requirements.txt"; then
  echo "Making $venv"
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r tests/deploy/requirements.txt
  cp tests/deploy/requirements.txt "$venv/installed-requirements.txt"
fi

go() {
  local program
  program=$(find -L "$PWD/build/venv" -path '*/bin/go' \( -type f -o -type l \) | head -1)
  [ -n "$program" ] || { echo "error: no go in build/venv" >&2; return 1; }
  env -u GOROOT GOTOOLCHAIN=local GOFLAGS=-modcacherw GOPATH="$tools/go" GOBIN="$tools/bin" CGO_ENABLED=0 "$program" "$@"
}

kustomize=v5.5.0
if [ ! -x "$tools/bin/kustomize" ]; then
  echo "Building kustomize $kustomize"
  go install "sigs.k8s.io/kustomize/kustomize/v5@$kustomize"
fi
if [ ! "$tools/bin/pod_security" -nt tests/deploy/pod_security/main.go ]; then
  echo "Building the Pod Security Standards' checker"
  go -C tests/deploy/pod_security build -o "$tools/bin/pod_security" .
fi
# As a dependency, because `go install` would ask for the list of its releases.
if [ ! "$tools/bin/grpc-health-probe" -nt tests/deploy/health_probe/go.mod ]; then
  echo "Building grpc-health-probe"
  go -C tests/deploy/health_probe build -o "$tools/bin/grpc-health-probe" github.com/grpc-ecosystem/grpc-health-probe
fi
rm -rf "$tools/go"

if [ ! -x "$tools/bin/promtool" ]; then
  echo "Fetching promtool"
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  (cd "$download" && apt-get download -qq prometheus && dpkg -x prometheus_*.deb .)
  cp "$download/usr/bin/promtool" "$tools/bin/"
fi
