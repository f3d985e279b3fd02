#!/usr/bin/env bash
# Run every script of this folder, and print what each saw as the table that docs/hpc-and-cloud.md keeps.
. "$(dirname "$0")/common.sh"
rm -f "$places/outcomes"
"$root/.venv/bin/python" -m pytest -q --numprocesses auto -p no:cacheprovider "$root/tests/places/combinations.py" | tee "$places/combinations.log"
say "stub run of every profile combination" "$(grep -oE '[0-9]+ passed' "$places/combinations.log")"
for script in podman slurm viewers; do
    "$root/tests/places/$script.sh"
done
"$root/.venv/bin/python" "$root/tests/faults/killed_pipeline.py" | while IFS=: read -r what outcome; do
    say "$what" "${outcome# }"
done
"$root/tests/places/galaxy.sh"
echo
printf '| what was done | what was seen |\n|---|---|\n'
cat "$places/outcomes"
