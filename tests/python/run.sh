#!/usr/bin/env bash
# Checks the Python package's types and style, builds a wheel, installs it into an environment of its own, and tests it against
# build/release/bin/tensord. With TENSORD_PYTHON_TORCH=1 torch and transformers are installed too
# (3 GB to download), and the tests that need them run as well.
#
# usage: tests/python/run.sh [PYTEST_ARGUMENT...]
# PYTHON names the interpreter; default: Debian's.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
tag=$("$python" -c 'import sys; print(sys.implementation.cache_tag)')
venv=build/python-venv-$tag wheels=build/wheels
requirements=(tests/python/requirements.txt) chosen="not frameworks"
if [ "${TENSORD_PYTHON_TORCH:-0}" != 0 ]; then
  venv+=-torch chosen=
  requirements+=(tests/python/requirements-torch.txt)
fi

if ! cmp -s <(cat "${requirements[@]}") "$venv/installed-requirements.txt"; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "${requirements[@]/#/-r}"
  cat "${requirements[@]}" >"$venv/installed-requirements.txt"
fi

echo "-- ruff and mypy"
(cd client/python && ../../"$venv/bin/ruff" check -q . && ../../"$venv/bin/ruff" format -q --check .)
(cd client/python && ../../"$venv/bin/mypy")

echo "-- wheel"
# The library's objects come out of the compiler cache: flags and directory depth are those of the release build.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
rm -rf "$wheels"
CC=/usr/bin/cc CXX=/usr/bin/c++ CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache} \
  "$venv/bin/pip" wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w "$wheels" client/python \
  --config-settings "build-dir=$PWD/build/python-$tag" --config-settings cmake.define.TENSORD_WERROR=ON
wheel=$(echo "$wheels"/tensord-*.whl)
echo "$(basename "$wheel"): $(stat -c %s "$wheel") bytes"
"$venv/bin/pip" install -q --disable-pip-version-check --force-reinstall --no-deps "$wheel"

echo "-- tests"
"$venv/bin/pytest" -q -rs -m "$chosen" tests/python "$@"
