#!/usr/bin/env bash
# The demo on a real Slurm of one node with two partitions, one of which lends two GPUs that are none: it must give, to
# the byte, the results of a run on this machine alone; also when the node is drained, a job cancelled and the head
# killed. As root, with Debian's slurm-wlm and munge; both are started and stopped here and leave the machine's own alone.
. "$(dirname "$0")/common.sh"
need slurmctld slurm-wlm munged munge
here=$places/slurm
node=$(hostname -s)
rm -rf "$here"
mkdir -p "$here"/{state,spool}

cat >"$here/slurm.conf" <<END
ClusterName=intronaut
SlurmctldHost=$node
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$here/munge.socket
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
SlurmctldLogFile=$here/slurmctld.log
SlurmdLogFile=$here/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
GresTypes=gpu
NodeName=$node CPUs=$(nproc) RealMemory=$(($(free -m | awk '/^Mem/ {print $2}') * 9 / 10)) Gres=gpu:2
PartitionName=cpu Nodes=$node Default=YES
PartitionName=gpu Nodes=$node
END
touch "$here"/gpu{0,1}
echo "NodeName=$node Name=gpu File=$here/gpu[0-1]" >"$here/gres.conf"
# a site's own file: motifs in place of a neural network, so that the steps of the demo reach both partitions
cat >"$here/site.config" <<'END'
process.queue = { task.accelerator ? 'gpu' : 'cpu' }
process.'withName:EMBED_MOTIFS'.accelerator = 1
process.'withName:EMBED_.*'.array = 4
executor.pollInterval = '2sec'
executor.queueStatInterval = '2sec'
executor.exitReadTimeout = '20sec'
END
export SLURM_CONF=$here/slurm.conf

stop() {
    for pidfile in slurmd.pid slurmctld.pid munged.pid; do
        [ -s "$here/$pidfile" ] && kill "$(cat "$here/$pidfile")" 2>/dev/null || true
    done
}
trap stop EXIT
dd if=/dev/urandom of="$here/munge.key" bs=1024 count=1 status=none
chmod 600 "$here/munge.key"
munged --force --key-file "$here/munge.key" --socket "$here/munge.socket" --pid-file "$here/munged.pid" \
    --log-file "$here/munged.log" --seed-file "$here/munge.seed"
slurmctld
slurmd -N "$node"
for _ in $(seq 60); do
    [ "$(sinfo --noheader --format %T | sort -u)" = idle ] && break
    sleep 1
done
sinfo --format '%P %T %c %m %G'
[ "$(sinfo --noheader --format %T | sort -u)" = idle ]

# on_slurm FOLDER [option …]: the demo as jobs, in more shards than the reference has
on_slurm() {
    local_study "$1" -profile demo,slurm -c "$here/site.config" --shard_size 300 "${@:2}"
}

jobs() {
    scontrol show job --oneliner
}

reference
on_slurm "$here/quiet" >"$here/quiet.log" || { cat "$here/quiet.log"; exit 1; }
say "demo on Slurm against the demo on one machine" "$(same_results "$here/quiet")"
say "its jobs" "$(jobs | grep -c 'Partition=cpu') in partition cpu, $(jobs | grep 'Partition=gpu' | grep -c 'gres:gpu:1') in partition gpu with a GPU each, $(
    grep -l '^#SBATCH --array' "$here"/quiet/work/*/*/.command.run | wc -l) job arrays"

on_slurm "$here/rough" >"$here/rough.log" 2>&1 &
until [ -n "$(squeue --noheader --states running --format %i)" ]; do sleep 0.2; done
scontrol update nodename="$node" state=drain reason=rough
wait_for 'Submitted process > STUDY:SPLIT:SPLIT_INTRONS' "$here/rough.log"
sleep 10
waiting=$(squeue --noheader --states pending --format %A | wc -l)
scontrol update nodename="$node" state=resume
say "node drained while a job ran, resumed later" "the running job ended, $waiting others waited, then went on"
until job=$(squeue --noheader --states running --partition gpu --format %i | head -n 1) && [ -n "$job" ]; do sleep 0.2; done
scancel "$job"
wait_for 'EMBED_MOTIFS.*Execution is retried' "$here/rough.log"
say "job cancelled" "$(grep -o 'terminated .* -- Execution is retried ([0-9])' "$here/rough.log" | head -n 1)"
wait_for 'Re-submitted process > STUDY:FEATURES:EMBED_MOTIFS' "$here/rough.log"
kill_head "$here/rough"
on_slurm "$here/rough" -resume >"$here/resumed.log" || { cat "$here/resumed.log"; exit 1; }
[ -z "$(comm -12 <(completed "$here"/rough/nextflow.*.log) <(submitted "$here/resumed.log"))" ]
say "head killed by SIGKILL, then -resume" "$(grep -c 'Cached process' "$here/resumed.log") tasks kept, $(
    grep -c 'Submitted process' "$here/resumed.log") run, none twice; $(same_results "$here/rough")"
