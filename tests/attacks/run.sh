#!/usr/bin/env bash
# Prints the attack table, on TCP and on a Unix socket: raw gRPC, tensord, goal. Takes 15 minutes.
# usage: tests/attacks/run.sh [--seconds N] [ATTACK...]
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1
tests/tools.sh
cmake --build build/release --target tensord unguarded_server
printf '\n== TCP\n'
build/venv/bin/python tests/attacks/run.py "$@"
printf '\n== Unix socket\n'
build/venv/bin/python tests/attacks/run.py --unix "$@"
