# Sourced: `debian_packages FILE:PACKAGE...` installs the packages of files that are not there.
# shellcheck shell=bash

status=0 # of the script that sources this: 1 when something could not be had

say() {
  echo "$(basename "$0"): $*" >&2
}

cannot() {
  say "$*"
  status=1
}

# debian_packages FILE:PACKAGE...: root, or sudo without a password; FILE may be a pattern.
debian_packages() {
  local missing=() pair
  for pair in "$@"; do
    compgen -G "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    return
  fi
  if ! command -v apt-get >/dev/null; then
    cannot "not a Debian machine, install these yourself: ${missing[*]}"
    return
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      cannot "needs root: apt-get install --no-install-recommends ${missing[*]}"
      return
    fi
    as_root=(sudo -n)
  fi
  say "installing Debian packages: ${missing[*]}"
  # Debian starts a service once its package is there; a policy that says 101 forbids it.
  local policy=/usr/sbin/policy-rc.d ours=""
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    ours=yes
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -ec \
    'apt-get -q update; exec apt-get -qy -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"' \
    sh "${missing[@]}" >&2 </dev/null || cannot "apt-get could not install: ${missing[*]}"
  if [ -n "$ours" ]; then
    "${as_root[@]}" rm -f "$policy"
  fi
}
