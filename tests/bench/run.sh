#!/usr/bin/env bash
# Builds, runs the benchmark, and prints one table: every goal with our figure, its yardstick of the same run, the ratio
# and whether it holds. Starts and ends its own servers. Best run by root on a quiet machine: cold rows drop the page cache.
#
# usage: tests/bench/run.sh [--quick] [--json FILE] [--only WORD...] [--rounds N]
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/../.."
. tests/bench/prepare.sh

# FILE is meant as seen from where the user stands.
arguments=() is_file=false
for argument in "$@"; do
  ! $is_file || [[ $argument == /* ]] || argument=$here/$argument
  arguments+=("$argument")
  [ "$argument" = --json ] && is_file=true || is_file=false
done
exec build/bench-venv/bin/python tests/bench/run.py "${arguments[@]}"
