#!/bin/sh
# Tokens per second on a GPU beside what its memory's bandwidth allows, and transformers on the same card. Needs an addon built
# with CUDA kernels, a C++ compiler, and for the second half Python with PyTorch and transformers.
#   tests/bench/card-generation.sh [build folder, native/build]
set -eu
cd "$(dirname "$0")/../.."
build=${1:-native/build}
program=$(mktemp)
trap 'rm -f "$program"' EXIT
"${CXX:-c++}" -std=c++20 -O2 -Inative tests/bench/card-generation.cc "$build/libtideline_core.a" -lpthread -ldl -o "$program"
"$program"
if python3 -c 'import transformers, torch; torch.zeros(1).cuda()' 2>/dev/null; then
  python3 tests/bench/card-generation.py
fi
