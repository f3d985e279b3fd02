#!/usr/bin/env bash
# Everything that is to be known of one GPU, in about ten minutes: benchmarks/gpu.sh FOLDER [cuda|cpu]
# With REFERENCE (sei-framework's model/) and SELENE (selene's selene_sdk/utils/) also the ratio to Sei's published code;
# with TOKENIZER (DNABERT-2's tokenizer.json) also fine-tuning. Tables are left in FOLDER.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: benchmarks/gpu.sh FOLDER [cuda|cpu]" >&2; exit 64; }
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
folder=$1 device=${2:-cuda} python=${PYTHON:-python3}
mkdir -p "$folder"
timeout 300 "$python" "$here/gpu.py" --device "$device" --seconds "${SECONDS_EACH:-5}" | tee "$folder/gpu.tsv"
if [ -n "${REFERENCE:-}" ] && [ -n "${SELENE:-}" ]; then
    timeout 200 "$python" "$here/embed_sei.py" --reference "$REFERENCE" --selene "$SELENE" --device "$device" |
        tee "$folder/embed_sei.md"
fi
if [ -n "${TOKENIZER:-}" ]; then
    timeout 200 "$python" "$here/finetune.py" --tokenizer "$TOKENIZER" --device "$device" --seconds 3 |
        tee "$folder/finetune.tsv"
fi
