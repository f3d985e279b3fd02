# What the scripts of this folder share; to be sourced. Everything they make lies in $places, and what takes long to
# make is kept there for the next time: set INTRONAUT_PLACES to another folder than /tmp/intronaut-places, or remove it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
places=${INTRONAUT_PLACES:-/tmp/intronaut-places}
mkdir -p "$places"

# need PROGRAM PACKAGE …: stop unless each program is here
need() {
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || { echo "$(basename "$0"): $1 is missing; install Debian's $2" >&2; exit 1; }
        shift 2
    done
}

# say NAME OUTCOME: one row of the table that docs/hpc-and-cloud.md keeps
say() {
    printf '| %s | %s |\n' "$1" "$2" | tee -a "$places/outcomes"
}

# study FOLDER [option …]: run the demo in FOLDER, which holds its work and results
study() {
    local folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && exec "$root/engine/nextflow" -log "$folder/nextflow.log" run "$root" -ansi-log false \
        -w "$folder/work" --outdir "$folder/results" "$@")
}

# local_study FOLDER [option …]: the same with the packages of .venv
local_study() {
    PATH=$root/.venv/bin:$PATH study "$@"
}

# The results of an undisturbed run without containers, in $places/reference.
reference() {
    local_study "$places/reference" -profile demo -resume >"$places/reference.log" || { cat "$places/reference.log"; exit 1; }
}

# same_results FOLDER: print how many results equal the reference to the byte; stop if one differs or is missing.
# Only what tells of the run itself may differ: when it ran, where, and with which settings.
same_results() {
    (cd "$1/results" && find . -type f ! -path './pipeline_info/*' ! -name report.html ! -name 'ro-crate-*' | sort) >"$1/files"
    (cd "$places/reference/results" && find . -type f ! -path './pipeline_info/*' ! -name report.html ! -name 'ro-crate-*' | sort) |
        diff - "$1/files"
    local file
    while read -r file; do
        cmp "$places/reference/results/$file" "$1/results/$file"
    done <"$1/files"
    echo "$(wc -l <"$1/files") files equal"
}

# wait_for TEXT FILE: until the file has the text; stop after ten minutes
wait_for() {
    for _ in $(seq 2400); do
        grep -qe "$1" "$2" 2>/dev/null && return
        sleep 0.25
    done
    echo "$(basename "$0"): '$1' did not appear in $2 in ten minutes" >&2
    exit 1
}

# kill_head FOLDER: kill Nextflow itself as it runs in FOLDER, and keep its log under a name of its own
kill_head() {
    # shellcheck disable=SC2046 # a launcher may be one process, or two
    kill -9 $(pgrep -f -- "-log $1/nextflow.log run")
    wait
    mv "$1/nextflow.log" "$1/nextflow.$(date +%s).log"
}

# completed LOG …: the tasks that these of Nextflow's own logs saw complete, one a line, sorted
completed() {
    sed -n 's/.*Task completed > TaskHandler\[.*name: \(.*\); status: COMPLETED; exit: 0;.*/\1/p' "$@" | sort -u
}

# submitted FILE: the tasks that a run's output says were started, one a line, sorted
submitted() {
    sed -n 's/.*ubmitted process > //p' "$1" | sort -u
}
