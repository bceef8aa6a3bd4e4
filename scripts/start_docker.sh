#!/usr/bin/env bash
# Docker for the tests of images, on a fresh Debian or Ubuntu with root: installs what is absent, starts the
# daemon, and sees to a base image. Safe to run again: what is there is left alone.
#   BASE_IMAGE      base that `make images` will build on; default python:3.11-slim-bookworm
#   DEBIAN_MIRROR   where debootstrap looks when that base cannot be pulled; default its own
# The last line says which BASE_IMAGE to build on: `cartox-base` where nothing can be pulled.
set -euo pipefail
base=${BASE_IMAGE:-python:3.11-slim-bookworm}
log=${DOCKERD_LOG:-/tmp/cartox-dockerd.log}

say() { echo "docker: $*"; }
fail() { echo "docker: $*" >&2; exit 1; }

# Debian's own client knows BuildKit; another `docker` earlier on PATH may not
docker=docker
if [ -x /usr/bin/docker ]; then docker=/usr/bin/docker; fi

needs() {
    local absent=() tool
    for tool in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${tool#*:}" >/dev/null || absent+=("${tool%%:*}")
    done
    [ ${#absent[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || fail "${absent[*]} must be installed, and that needs root; run this as root or install them"
    command -v apt-get >/dev/null || fail "${absent[*]} must be installed, and there is no apt-get; install them by hand"
    say "installing ${absent[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${absent[@]}"; } \
        >/dev/null || fail "apt-get could not install ${absent[*]}; its message is above"
}

if "$docker" info >/dev/null 2>&1; then
    say "the daemon answers"
else
    needs docker.io:dockerd iptables:iptables
    [ "$(id -u)" = 0 ] || fail "no daemon answers, and starting one needs root (or your user is not in the group docker)"
    say "starting dockerd, log in $log"
    setsid nohup dockerd >"$log" 2>&1 </dev/null &
    daemon=$!
    for _ in $(seq 60); do
        "$docker" info >/dev/null 2>&1 && break
        kill -0 "$daemon" 2>/dev/null || fail "dockerd ended: $(tail -n 1 "$log")"
        sleep 1
    done
    "$docker" info >/dev/null 2>&1 || fail "dockerd does not answer after 60 s; see $log"
fi

if "$docker" image inspect "$base" >/dev/null 2>&1; then
    say "the base $base is here"
elif "$docker" image inspect cartox-base >/dev/null 2>&1; then
    base=cartox-base
    say "the base $base is here"
elif timeout 300 "$docker" pull --quiet "$base" >/dev/null 2>&1; then
    say "pulled $base"
else
    [ "$(id -u)" = 0 ] || fail "$base cannot be pulled, and making a base needs root"
    needs debootstrap:debootstrap
    say "$base cannot be pulled; making cartox-base from Debian's packages (about a minute)"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=python3,python3-venv,procps,ca-certificates,libgomp1 \
        bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$log.base" 2>&1 \
        || fail "debootstrap failed: $(tail -n 1 "$log.base")"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,locale}/* "$root"/var/log/*.log
    # the root of an image is read by everyone, that of mktemp by its owner alone
    chmod 755 "$root"
    tar -C "$root" -c . | "$docker" import --change 'CMD ["bash"]' - cartox-base >/dev/null
    base=cartox-base
    say "made cartox-base"
fi
echo "BASE_IMAGE=$base"
