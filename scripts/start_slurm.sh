#!/usr/bin/env bash
# A Slurm of one node for the tests, on a fresh Debian or Ubuntu with root: installs what is absent and starts it.
# Safe to run again: where a Slurm answers it is left alone. Not for real work.
set -euo pipefail
folder=${SLURM_FOLDER:-/tmp/cartox-slurm}

say() { echo "slurm: $*"; }
fail() { echo "slurm: $*" >&2; exit 1; }

if command -v sinfo >/dev/null && timeout 10 sinfo --noheader 2>/dev/null | grep -q .; then
    say "a Slurm answers"
    exit 0
fi
[ "$(id -u)" = 0 ] || fail "no Slurm answers, and starting one needs root"
if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
    command -v apt-get >/dev/null || fail "slurm-wlm and munge must be installed, and there is no apt-get; install them by hand"
    say "installing slurm-wlm and munge"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends slurm-wlm munge; } \
        >/dev/null || fail "apt-get could not install slurm-wlm and munge; its message is above"
fi
if [ -e /etc/slurm/slurm.conf ] && ! grep -q 'ClusterName=cartox' /etc/slurm/slurm.conf; then
    fail "/etc/slurm/slurm.conf is another cluster's; start that one, or move the file away"
fi

mkdir -p "$folder"/{state,spool} /etc/slurm /run/munge /var/log/munge
[ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
chown -R munge: /etc/munge /run/munge /var/log/munge
chmod 400 /etc/munge/munge.key
# a node may promise no more than it has, as slurmd itself counts
node=$(slurmd -C | grep -o 'CPUs=.*RealMemory=[0-9]*')
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=cartox
SlurmctldHost=$(hostname -s)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
ReturnToService=2
MpiDefault=none
SchedulerParameters=sched_min_interval=200000,batch_sched_delay=0
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$(hostname -s) $node State=UNKNOWN
PartitionName=work Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
say "starting munged, slurmctld and slurmd, logs in $folder"
pgrep -x munged >/dev/null || setsid runuser -u munge -- munged
pgrep -x slurmctld >/dev/null || setsid slurmctld
pgrep -x slurmd >/dev/null || setsid slurmd
for _ in $(seq 60); do
    if timeout 5 sinfo --noheader --format=%T 2>/dev/null | grep -qE 'idle|mixed|allocated'; then
        say "one node is up: $(sinfo --noheader --format='%n, %c CPUs, %m MB')"
        exit 0
    fi
    sleep 1
done
tail -n 5 "$folder"/slurmctld.log "$folder"/slurmd.log >&2
fail "the node did not come up within a minute; its last words are above"
