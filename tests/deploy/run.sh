#!/usr/bin/env bash
# Tests what is in deploy/: manifests, unit, rules, image.
#
# usage: tests/deploy/run.sh [--short]
#   --short   what needs no privileges and no container: tests/run.sh runs it, after its stage release
# Without it, as root: the image is built by deploy/image.sh (compiling everything), run hardened under podman, and the sidecar
# pod is played. TENSORD_CCACHE names a compiler cache for that build.
set -euo pipefail
cd "$(dirname "$0")/../.."
export TENSORD_BIN=${TENSORD_BIN:-$PWD/build/release/bin} PYTHONDONTWRITEBYTECODE=1
case "${1:-}" in
  '' | --short) ;;
  *) echo "usage: $0 [--short]" >&2; exit 2 ;;
esac

mkdir -p build
tests/deploy/tools.sh
if [ $# -eq 0 ]; then
  deploy/install_packages.sh containers
  deploy/image.sh localhost/tensord:test localhost/tensord-worker:test
fi
pytest=(build/deploy-venv/bin/pytest -q -p no:cacheprovider)
"${pytest[@]}" tests/deploy/short
[ $# -eq 0 ] || exit 0
# Mounts end with these tests; crun and runc want cgroups of one version only.
unshare -m bash -c 'umount /sys/fs/cgroup/unified 2>/dev/null; ulimit -n 20000; exec "$@"' - "${pytest[@]}" -rP tests/deploy/full
