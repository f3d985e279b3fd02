#!/usr/bin/env bash
# The head is killed at five points of the demo and started again each time, and in another run a task of five steps is
# killed: both must end in the results of an undisturbed run, to the byte, and repeat nothing that was done.
. "$(dirname "$0")/common.sh"
here=$places/resume
rm -rf "$here"
mkdir -p "$here"
shards=(--shard_size 500)

# task_of FOLDER TOOL: the process id of the tool as some task of FOLDER runs it
task_of() {
    local process
    for process in $(pgrep -f "/bin/$2.py "); do
        if [[ $(readlink "/proc/$process/cwd") == "$1"/work/* ]]; then
            echo "$process"
            return
        fi
    done
}

# refuse_repeats: stop if the present run started a task that an earlier one had done
refuse_repeats() {
    local repeated
    repeated=$(comm -12 <(completed "$here"/heads/nextflow.*.log 2>/dev/null) <(submitted "$here/heads.log"))
    [ -z "$repeated" ] || { echo "resume.sh: done and repeated: $repeated" >&2; exit 1; }
}

reference
for step in LABEL_INTRONS FETCH_SEQUENCES EMBED_MOTIFS FIT EXPLAIN; do
    local_study "$here/heads" -profile demo "${shards[@]}" -resume >"$here/heads.log" 2>&1 &
    wait_for "\(Submitted\|Cached\) process > STUDY:$step" "$here/heads.log"
    [ $step != EMBED_MOTIFS ] || wait_for 'Task completed > .*EMBED_MOTIFS' "$here/heads/nextflow.log"
    sleep 0.5
    refuse_repeats
    kill_head "$here/heads"
    say "head killed while $step ran" "$(completed "$here"/heads/nextflow.*.log | wc -l) tasks were done"
done
local_study "$here/heads" -profile demo "${shards[@]}" -resume >"$here/heads.log" || { cat "$here/heads.log"; exit 1; }
refuse_repeats
say "started for the sixth time" "$(grep -c 'Cached process' "$here/heads.log") tasks kept, $(submitted "$here/heads.log" | wc -l) run, none ever repeated; $(same_results "$here/heads")"

local_study "$here/tasks" -profile demo "${shards[@]}" >"$here/tasks.log" 2>&1 &
head=$!
for tool in label_introns fetch_sequences embed_motifs fit explain; do
    until task=$(task_of "$here/tasks" $tool) && [ -n "$task" ]; do
        kill -0 "$head" 2>/dev/null || { cat "$here/tasks.log"; exit 1; }
        sleep 0.2
    done
    kill -9 "$task"
done
wait "$head" || { cat "$here/tasks.log"; exit 1; }
say "a task of five steps killed" "$(grep -c 'exit status (137) -- Execution is retried (1)' "$here/tasks.log") tried again and no other; $(
    same_results "$here/tasks")"
