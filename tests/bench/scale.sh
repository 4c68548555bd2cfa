#!/usr/bin/env bash
# Measures how cost grows with size, streams, selections, files, slow readers and cores; draws tests/bench/plots/*.svg.
# Where the build was carried (no network): TENSORD_BENCH_PREPARED=1 tests/bench/scale.sh; plots are then left out unless
# matplotlib is there.
#
# usage: tests/bench/scale.sh [--quick] [--json FILE] [--only NAME...]
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/../.."
. tests/bench/prepare.sh

json=$PWD/build/bench/scale.json
arguments=()
while [ $# -gt 0 ]; do
  if [ "$1" = --json ]; then
    json=$2
    [[ $json == /* ]] || json=$here/$json
    shift
  else
    arguments+=("$1")
  fi
  shift
done
python=build/bench-venv/bin/python
[ -x $python ] || python=python3
"$python" tests/bench/scale.py --json "$json" "${arguments[@]}"
if "$python" -c 'import matplotlib' 2>/dev/null; then
  "$python" tests/bench/plot.py "$json" tests/bench/plots
else
  echo "No matplotlib here; draw elsewhere: tests/bench/plot.py $json tests/bench/plots"
fi
