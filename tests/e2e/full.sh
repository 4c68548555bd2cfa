#!/usr/bin/env bash
# The faults that need privileges: a failing file system (FUSE), lost packets (a network namespace), a container's memory limit (a
# memory cgroup). Installs what it needs; what it cannot have is a failure, never a skip.
#
# usage: tests/e2e/full.sh [--short]       (--short: 5 rounds of each kind, about a minute)
#
# Needs: root (CAP_SYS_ADMIN and CAP_NET_ADMIN), /dev/fuse, nf_tables in the kernel, a memory cgroup (version 1 or 2) that is
# writable, 5 GiB of disk below $TMPDIR. docker run --privileged gives all of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1
[ "${1:-}" != --short ] || export TENSORD_FAULT_ROUNDS=5

fail() { echo "error: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "this lane needs root"
[ -c /dev/fuse ] || fail "this lane needs /dev/fuse"
for need in build/venv/bin/pytest build/release/bin/tensord build/release/tests/fault_injection.so; do
  [ -e $need ] || fail "$need is missing: run tests/run.sh release first"
done
missing=()
for package in e2fsprogs fuse3 libfuse3-dev pkg-config gcc libc6-dev nftables iproute2 util-linux; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

mkdir -p build/e2e
# shellcheck disable=SC2046 # Flags are words.
gcc -O2 -Wall -Wextra -Werror -o build/e2e/failing_fs tests/e2e/full/failing_fs.c $(pkg-config --cflags --libs fuse3)

pytest=(build/venv/bin/pytest -q -o 'python_files=full_*.py')
echo "== a file system that fails, a memory limit, another device"
"${pytest[@]}" tests/e2e/full/full_fuse.py tests/e2e/full/full_memory.py tests/e2e/full/full_remount.py
if [ "${1:-}" != --short ]; then
  echo "== a host that is gone, about a minute"
  "${pytest[@]}" tests/e2e/full/full_link.py
fi
for percent in 1 5; do
  echo "== $percent % of all packets lost"
  unshare -n bash -euc '
    ip link set lo up
    nft add table inet loss
    nft add chain inet loss input "{ type filter hook input priority 0; }"
    nft add rule inet loss input numgen random mod 100 \< '"$percent"' drop
    shift 0; exec "$@"' loss "${pytest[@]}" tests/e2e/full/full_loss.py
done
