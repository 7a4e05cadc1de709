#!/bin/sh
# Every call of Compute on the real GPU against the host, with cuBLAS where it is found and without, then the same under
# compute-sanitizer's tools where that is installed. Needs an addon built with CUDA kernels, a C++ compiler and the GPU; about two minutes.
#   tests/native/compute/on-gpu.sh [build folder, native/build]
set -eu
cd "$(dirname "$0")/../../.."
build=${1:-native/build}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${CXX:-c++}" -std=c++20 -O1 -Inative -DTIDELINE_ON_GPU tests/native/compute/*.cc "$build/libtideline_core.a" \
  -lpthread -ldl -o "$folder/check"
"$folder/check"
TIDELINE_CUBLAS=none "$folder/check"
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    # Calls of the driver that fail are the program's to judge: a kernel is looked for in one image after another.
    compute-sanitizer --tool "$tool" --report-api-errors no --error-exitcode 1 "$folder/check"
  done
fi
