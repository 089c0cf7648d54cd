# Sourced: `podman` with settings that work where this machine gives less than podman expects.
# shellcheck shell=bash

if [ "$(id -u)" -eq 0 ] && ! (ulimit -n 1048576) 2>/dev/null; then
  # A virtual machine or container without CAP_SYS_RESOURCE: limits cannot be raised, and with
  # cgroups of two versions only runc works. Not for who has settings of their own.
  if [ -z "${CONTAINERS_CONF:-}" ]; then
    CONTAINERS_CONF=${XDG_CACHE_HOME:-$HOME/.cache}/higgsdemo/containers.conf
    mkdir -p "$(dirname "$CONTAINERS_CONF")"
    cat >"$CONTAINERS_CONF.$$" <<'CONF'
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
    mv "$CONTAINERS_CONF.$$" "$CONTAINERS_CONF"
    export CONTAINERS_CONF
  fi
fi
