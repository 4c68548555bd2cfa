#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all of them. Nothing is skipped: a missing tool is a failure.
#
# usage: tests/run.sh [STAGE...]
#   Stages, by default and in this order: release lint oracles e2e deploy python asan clang tsan
#
# Short forms run by default. The long ones, by environment (in brackets: what the promises are for):
#   TENSORD_FUZZ_SECONDS=10 (60)         of each fuzz target; half of it of the wire's
#   TENSORD_FAULT_ROUNDS=20 (500)        of each kind of fault: 12 GiB of disk for each of the rows of truncation
#   TENSORD_RELOADS=300 (1000), TENSORD_SWAPS=300 (1000), TENSORD_HANGUPS=300  of a store under load
#   TENSORD_LIVE_SECONDS=10 (60)         of replacing under load
#   TENSORD_ADAPTERS=3000 (50000)        beyond the budgets
#   TENSORD_PULL_GIB=1 (4)               of a pull that is interrupted
#   TENSORD_PULL_KILLS=3 (50)            of the server in the middle of a pull or a batch, which needs 32 MiB of memory for each
#   TENSORD_CERT_ROTATIONS=10 (100)      under load
#   TENSORD_SEED=N                       replays a run's faults; each run prints its own
set -euo pipefail
cd "$(dirname "$0")/.."
# A second checkout, wherever it lies, finds what the first has compiled.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export CTEST_OUTPUT_ON_FAILURE=1 PYTHONDONTWRITEBYTECODE=1
export TENSORD_BIN=$PWD/build/release/bin TENSORD_TESTS=$PWD/build/release/tests
fuzz_seconds=${TENSORD_FUZZ_SECONDS:-10}
jobs=$(nproc)
# Tests of servers wait more than they compute.
workers=$((jobs + 1))

configure() { # PRESET [OPTION...]
  cmake --preset "$@" -DTENSORD_WERROR=ON -DTENSORD_BUILD_TESTS=ON -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
    >"build/configure-$1.log" 2>&1 || { cat "build/configure-$1.log" >&2; return 1; }
}

# The binaries, and every test of the tree.
stage_release() {
  configure release
  cmake --build build/release
  ctest --test-dir build/release -j "$workers" --timeout 300
}

# Formatting, layering, the proto's rules, and clang-tidy on what changed.
stage_lint() { tests/lint.sh; }

# The core against the reference implementations: safetensors, numpy, ml_dtypes.
stage_oracles() { build/venv/bin/pytest -q -n "$jobs" tests/oracle; }

# Real binaries, real models, grpcurl, and README's own commands.
stage_e2e() {
  build/venv/bin/pytest -q -n "$workers" --dist worksteal tests/e2e
  build/venv/bin/pytest -q -n "$workers" --dist worksteal tests/attacks
}

# What is in deploy/, as far as it needs neither privileges nor containers.
stage_deploy() { tests/deploy/run.sh --short; }

# The Python package: its wheel, types and style, tests, examples and the reference's own tests.
stage_python() { tests/python/run.sh; }

# Address and undefined-behaviour sanitizers over every test of the tree.
stage_asan() {
  configure asan
  cmake --build build/asan
  # Leaks inside gRPC's and glibc's start-up are not ours to find; the tests of limits need real memory, not shadow.
  ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
    ctest --test-dir build/asan -j "$workers" --timeout 600
}

fuzz() { # TARGET
  local name=${1##*/}
  local corpus=build/clang/corpus/$name seeds=tests/fuzz/corpus/$name
  mkdir -p "$corpus" "$seeds"
  "$1" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 \
    "$corpus" "$seeds" 2>"build/clang/$name.log" || { tail -40 "build/clang/$name.log" >&2; return 1; }
  echo "-- $name, $fuzz_seconds s, $(grep number_of_executed_units "build/clang/$name.log")"
}

# clang's thread-safety analysis of the core and every fuzz target for a while.
stage_clang() {
  configure clang
  cmake --build build/clang --target fuzzers
  export fuzz_seconds
  export -f fuzz
  printf '%s\0' build/clang/fuzz/*_fuzz | xargs -0 -n 1 -P "$jobs" bash -euo pipefail -c 'fuzz "$1"' -
}

# Thread sanitizer: the core only, because Debian's gRPC and Abseil are not instrumented.
stage_tsan() {
  configure tsan
  cmake --build build/tsan --target core_tests
  ctest --test-dir build/tsan -R '^src/' -j "$jobs" --timeout 600
}

# Compiles what the sanitizers' stages need, while the tests of those before them wait. What fails here fails there again, and is shown.
compile_ahead() { # STAGE...
  local stage
  for stage in "$@"; do
    case $stage in
      asan) configure asan && cmake --build build/asan -j "$jobs" ;;
      clang) configure clang && cmake --build build/clang -j "$jobs" --target fuzzers ;;
      tsan) configure tsan && cmake --build build/tsan -j "$jobs" --target core_tests ;;
    esac || return
  done
}
ahead=''
start_ahead() { # STAGE...
  export jobs
  export -f configure compile_ahead
  setsid nice -n 19 bash -c 'compile_ahead "$@"' - "$@" >build/ahead.log 2>&1 &
  ahead=$!
}
await_ahead() {
  [ -z "$ahead" ] || wait "$ahead" || true
  ahead=''
}
trap '[ -z "$ahead" ] || kill -- "-$ahead" 2>/dev/null || true' EXIT

deploy/install_packages.sh test
mkdir -p build
tests/tools.sh
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(release lint oracles e2e deploy python asan clang tsan)
for stage in "${stages[@]}"; do
  declare -F "stage_$stage" >/dev/null || { echo "error: no stage called $stage" >&2; exit 2; }
  printf '\n== %s\n' "$stage"
  started=$SECONDS
  case $stage in asan | clang | tsan) await_ahead ;; esac
  "stage_$stage"
  echo "== $stage passed in $((SECONDS - started)) s"
  [ "$stage" != release ] || start_ahead "${stages[@]}"
done
printf '\n%d passed, 0 failed\n' ${#stages[@]}
