# Sourced in the root of the tree: packages, the Python environment, and a release build with the benchmark's programs.
# TENSORD_BENCH_PREPARED=1: all is there already (a machine without a network, a build that was carried).
prepare_bench() {
  local venv=build/bench-venv launcher=()
  [ -z "${TENSORD_BENCH_PREPARED:-}" ] || return 0
  deploy/install_packages.sh bench
  mkdir -p build/bench
  if ! cmp -s tests/bench/requirements.txt "$venv/installed-requirements.txt"; then
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r tests/bench/requirements.txt
    cp tests/bench/requirements.txt "$venv/installed-requirements.txt"
  fi
  ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake --preset release -DTENSORD_BUILD_TESTS=ON -DTENSORD_BUILD_BENCHMARKS=ON "${launcher[@]}" >build/bench/configure.log 2>&1 ||
    { cat build/bench/configure.log >&2; return 1; }
  cmake --build build/release --target tensord bench >build/bench/build.log ||
    { tail -50 build/bench/build.log >&2; return 1; }
}
prepare_bench
