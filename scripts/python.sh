# Sourced: `find_python` prints a Python that can make the environment, or says what is missing.
# shellcheck shell=bash

_fits() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
  local python too_old="" without_venv=""
  for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if ! command -v "$python" >/dev/null 2>&1; then
      continue
    elif ! _fits "$python"; then
      too_old+=" $python ($("$python" --version 2>&1 | head -n 1))"
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
      without_venv+=" $python"
    else
      printf '%s\n' "$python"
      return
    fi
  done
  {
    echo "error: no Python that can make the virtual environment"
    [ -z "$too_old" ] || echo "  too old:$too_old; needed is 3.11 or newer"
    [ -z "$without_venv" ] || echo "  without the modules venv and ensurepip:$without_venv"
    if [ -n "$without_venv" ]; then
      echo "  what to do: sudo apt install python3-venv (Debian, Ubuntu), then again"
    else
      echo "  what to do: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
    fi
  } >&2
  return 1
}

# environment FOLDER: make a virtual environment there, unless there is one.
environment() {
  local folder=$1 python
  if [ -x "$folder/bin/python" ] && [ ! -e "$folder/bin/pip" ]; then
    echo "error: the environment $folder has no pip" >&2
    echo "  what to do: remove it, or name another one: make VENV=some-folder" >&2
    return 1
  fi
  # One whose folder was moved, or whose Python is gone, is made anew.
  if ! "$folder/bin/python" -c '' 2>/dev/null ||
    ! grep -qF "$(realpath "$folder")/bin/python" "$folder/bin/pip"; then
    python=$(find_python) || return 1
    "$python" -m venv --clear "$folder"
  fi
  pip_install "$folder" 'pip>=25.1' # the first with `pip install --group`
}

# pip_install FOLDER ARGUMENT...: quiet when it works, whole when it does not.
pip_install() {
  local folder=$1 log status=0
  shift
  log=$(mktemp)
  "$folder/bin/python" -m pip install --disable-pip-version-check --no-input "$@" \
    >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    echo "error: pip could not install: $*" >&2
    echo "  what to do: see its words above; it needs a package index within reach, once" >&2
  fi
  rm -f "$log"
  return "$status"
}
