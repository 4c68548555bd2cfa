#!/usr/bin/env bash
# Hours of everything going wrong at once: one server under readers of every kind while its files are replaced, cut, overwritten,
# deleted and failing, connections break, clients and the server are killed. Prints counts; exit 1 if any of them is wrong.
#
# usage: tests/e2e/soak.sh MINUTES [--seed N] [--keep]
#   Needs the build and the virtual environment that tests/run.sh makes. --keep: leaves the store and the server's log.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1
for need in build/venv/bin/python build/release/bin/tensord build/release/tests/fault_injection.so; do
  [ -e $need ] || { echo "error: $need is missing: run tests/run.sh release first" >&2; exit 2; }
done
exec build/venv/bin/python tests/e2e/soak.py "$@"
