#!/bin/bash
# Everything that a GPU is needed for, in nine minutes at most; see benchmarks/on_gpu.py.
#   benchmarks/on_gpu.sh [FOLDER] [--device cpu --quick ...]      PYTHON names the interpreter
cd "$(dirname "$0")/.." || exit 1
folder=${1:-runs/on-gpu}
exec "${PYTHON:-python3}" -m benchmarks.on_gpu --folder "$folder" "${@:2}"
