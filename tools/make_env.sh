#!/bin/sh
# Make the environment that the Makefile uses: sh tools/make_env.sh STAMP, with VENV, PYTHON (optional) and DISK_GB set.
# The stamp is written last. An installation that was interrupted is thrown away and begun anew.
set -eu

stamp=$1
unfinished=$VENV/.installing

fail() {
    echo "make: $*" >&2
    exit 1
}

suitable() { # Does it run (a pyenv shim may not), can it make environments, is its version right?
    "$1" -c 'import venv, ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suitable "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python 3.11, 3.12 or 3.13 with the modules venv and ensurepip."
        echo "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        if suitable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

free_gb() { # free space where a folder is or will be
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1048576) }'
}

if [ -e "$unfinished" ]; then
    echo "The last installation did not end; beginning anew."
    rm -rf "$VENV"
fi
if [ -e "$VENV" ] && ! { [ -f "$VENV/pyvenv.cfg" ] && "$VENV/bin/python" -c '' 2>/dev/null; }; then
    [ -f "$VENV/pyvenv.cfg" ] || fail "$VENV is there and is not a Python environment; remove it, or give another with VENV=..."
    echo "The Python of $VENV no longer runs; beginning anew."
    rm -rf "$VENV"
fi

uv=$(command -v uv || true)
python=$(find_python)
if [ -z "$python" ] && [ -z "$uv" ]; then
    fail "no working Python 3.11, 3.12 or 3.13 was found; install one (with its venv module: on Debian and Ubuntu apt install python3-venv) or uv, or name one with PYTHON=..."
fi

if [ ! -d "$VENV" ]; then # torch alone is several GB
    free=$(free_gb "$VENV")
    [ "$free" -ge "$DISK_GB" ] || fail "$free GB are free where $VENV will be, and the installation needs $DISK_GB GB; free some space, or give another place with VENV=..."
    mkdir -p "$VENV"
    : >"$unfinished"
    if [ -n "$uv" ]; then
        "$uv" venv --allow-existing --python "${python:-3.13}" "$VENV"
    else
        "$python" -m venv "$VENV"
    fi
fi

rm -f "$VENV"/.installed-*
: >"$unfinished"
install() {
    if [ -n "$uv" ]; then
        "$uv" pip install --python "$VENV/bin/python" "$@"
    else
        "$VENV/bin/python" -m pip install --disable-pip-version-check "$@"
    fi
}
if ! install -e ".[dev]" -c constraints.txt; then
    rm -f "$unfinished" # pip and uv clean up after an error; only a kill leaves half a package
    fail "the installation failed, for the reason above; make tries it again."
fi
rm -f "$unfinished"
: >"$stamp"
