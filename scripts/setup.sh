#!/bin/sh
# Set-up of the virtual environment .venv: `scripts/setup.sh runtime` (what a run needs) or
# `scripts/setup.sh dev` (that, and what the tests need). It says what it does, and does nothing
# when the locks and pyproject.toml are those of the last set-up.
#
# PYTHON=/path/to/python3.11 chooses the interpreter. Settings for pip and uv in the environment
# (index, certificates, cache, proxy) are respected.
set -eu
cd "$(dirname "$0")/.."
ROOT=$PWD
SET=${1:-runtime}

say() { printf '[set-up] %s\n' "$*"; }
fail() {
    printf '[set-up] %s\n' "$@" >&2
    exit 2
}

case $SET in runtime | dev) ;; *) fail "Unknown set '$SET': expected 'runtime' or 'dev'." ;; esac

# The key of a set: its lock, the bootstrap lock, pyproject.toml, this script and this place.
key() {
    { printf '%s\n' "$ROOT" && cat pyproject.toml scripts/setup.sh requirements/bootstrap.lock \
        "requirements/$1.lock"; } | cksum
}
done_before() { [ -f ".venv/.set-up-$1" ] && [ "$(cat ".venv/.set-up-$1")" = "$(key "$1")" ]; }

# dev holds all of runtime, in the same versions
if done_before "$SET" || { [ "$SET" = runtime ] && done_before dev; }; then exit 0; fi

say "Setting up .venv from requirements/$SET.lock: needed once, and again when that changes"
STARTED=$(date +%s)

# --- 1. what must come from the system -------------------------------------------------------

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
find_python() {
    for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13}; do
        if suits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
}
has_library() { # every line of it is needed at import or to draw a molecule
    [ "$(uname -s)" != Linux ] || "$PY" -c "import ctypes; ctypes.CDLL('$1')" 2>/dev/null
}
missing_packages() {
    command -v git >/dev/null || printf 'git '
    if [ -z "$PY" ]; then
        printf 'python3 python3-venv libxrender1 libxext6 libexpat1'
        return
    fi
    # Debian's python3 has venv without ensurepip; python3.11-venv brings it for python3.11
    "$PY" -c 'import ensurepip, venv' 2>/dev/null ||
        "$PY" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2], end=" ")'
    has_library libXrender.so.1 || printf 'libxrender1 '
    has_library libXext.so.6 || printf 'libxext6 '
    has_library libexpat.so.1 || printf 'libexpat1 '
}

PY=$(find_python)
MISSING=$(missing_packages)
if [ -n "$MISSING" ]; then
    MISSING=${MISSING% }
    INSTALL="apt-get install -y --no-install-recommends $MISSING"
    if ! command -v apt-get >/dev/null; then
        fail "Missing on this system, under their Debian names: $MISSING" \
            "There is no apt-get here: install them with your system's package manager (or set" \
            "PYTHON=/path/to/a/python from 3.11 to 3.13) and run the same command again."
    elif [ "$(id -u)" = 0 ]; then
        SUDO=''
        say "Installing system packages: $MISSING"
    elif command -v sudo >/dev/null; then
        SUDO='sudo'
        say "Installing system packages with sudo (it may ask for your password): $MISSING"
    else
        fail "Missing on this system: $MISSING" \
            "You are not root and there is no sudo here. Ask an administrator to run:" \
            "    apt-get update && $INSTALL" \
            "and run the same command again."
    fi
    # shellcheck disable=SC2086  # words, on purpose
    if ! TOLD=$($SUDO apt-get update -qq 2>&1 &&
        $SUDO env DEBIAN_FRONTEND=noninteractive $INSTALL -qq 2>&1); then
        fail "$TOLD" "apt-get failed; its message stands above. What is needed: $MISSING"
    fi
    PY=$(find_python)
    [ -n "$PY" ] || fail "This system has no Python from 3.11 to 3.13 ($(python3 --version 2>&1))." \
        "Install one and run the same command with PYTHON=/path/to/python3.11."
fi

# What only tests use: containers and a browser. A test that lacks one is skipped and says so, so a
# system that cannot install them is told and goes on.
missing_for_tests() {
    for name in podman runc mmdebstrap catatonit chromium; do
        command -v "$name" >/dev/null || printf '%s ' "$name"
    done
    for name in netavark aardvark-dns; do
        [ -x "/usr/lib/podman/$name" ] || printf '%s ' "$name"
    done
}

if [ "$SET" = dev ]; then
    MISSING=$(missing_for_tests)
    MISSING=${MISSING% }
    INSTALL="apt-get install -y --no-install-recommends $MISSING"
    AS_ROOT=''
    [ "$(id -u)" = 0 ] || AS_ROOT='sudo -n' # a test set-up asks for no password
    if [ -n "$MISSING" ]; then
        say "Installing what tests of containers and pages need: $MISSING"
        # shellcheck disable=SC2086  # words, on purpose
        if ! command -v apt-get >/dev/null || ! { $AS_ROOT apt-get update -qq &&
            $AS_ROOT env DEBIAN_FRONTEND=noninteractive $INSTALL -qq; } >.venv-packages.log 2>&1; then
            say "Could not install them: the tests that need them will be skipped. To have them:" \
                "apt-get update && $INSTALL"
        fi
        rm -f .venv-packages.log
    fi
fi

# --- 2. the virtual environment, and uv in it ------------------------------------------------

moved() { [ -f .venv/.set-up-root ] && [ "$(cat .venv/.set-up-root)" != "$ROOT" ]; }
if [ -e .venv ] && { moved || ! suits .venv/bin/python; }; then
    [ -f .venv/pyvenv.cfg ] || fail ".venv is not a virtual environment. Move it away and try again."
    say ".venv was made in another place or with another Python: making it anew"
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    say "Making .venv with $("$PY" --version) ($PY)"
    "$PY" -m venv .venv
fi
.venv/bin/python -m pip --version >/dev/null 2>&1 ||
    .venv/bin/python -m ensurepip >/dev/null
printf '%s\n' "$ROOT" >.venv/.set-up-root
rm -f .venv/.set-up-dev .venv/.set-up-runtime # an interrupted set-up is no set-up

# uv reads its own settings only: hand it pip's where it has none
carry() { eval "[ -n \"\${$1:-}\" ] || [ -z \"\${$2:-}\" ] || export $1=\"\$$2\""; }
[ -n "${UV_INDEX_URL:-}" ] || carry UV_DEFAULT_INDEX PIP_INDEX_URL
if [ -z "${UV_EXTRA_INDEX_URL:-}${UV_INDEX:-}" ] && [ -n "${PIP_EXTRA_INDEX_URL:-}" ]; then
    carry UV_INDEX PIP_EXTRA_INDEX_URL
    # as pip does: any index may serve a file, the lock's hashes say which file is right
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
fi
carry SSL_CERT_FILE PIP_CERT
carry SSL_CERT_FILE REQUESTS_CA_BUNDLE
export PIP_DISABLE_PIP_VERSION_CHECK=1

pip_install() { .venv/bin/python -m pip install -q --no-compile "$@"; }
uv_install() {
    [ -t 2 ] || set -- -q "$@" # progress bars on a terminal only
    .venv/bin/uv pip install --python .venv/bin/python "$@"
}

say "Installing uv, the fast installer (requirements/bootstrap.lock)"
INSTALLER=uv_install
pip_install --require-hashes -r requirements/bootstrap.lock || INSTALLER=pip_install

# --- 3. the packages, then this one ----------------------------------------------------------

LOCK=requirements/$SET.lock # also pins what a package that has no wheel is built with
say "Installing $(grep -c '^[a-z0-9].*==' "$LOCK") packages: about 4 GB on disk," \
    "one to four minutes the first time"
if [ $INSTALLER = pip_install ] || ! uv_install --require-hashes -r "$LOCK" --build-constraints "$LOCK"; then
    say "uv could not do it (its message stands above): trying with pip, which is slower."
    INSTALLER=pip_install
    pip_install --require-hashes -r "$LOCK" ||
        fail "The packages could not be installed; pip's message stands above. Usual causes: no" \
            "network or no package index, a proxy whose certificate is not known (set PIP_CERT)," \
            "less than 6 GB of free disk. What is done stays: run the same command again."
fi
$INSTALLER --no-deps --no-build-isolation -e .

# Import once what a run imports: it shows here whether everything loads, and it leaves compiled
# files behind even where the environment forbids Python to write them, which is much quicker than
# compiling all of .venv.
say "Checking that everything loads (and compiling it for quicker starts)"
env -u PYTHONDONTWRITEBYTECODE -u PYTHONPYCACHEPREFIX TF_CPP_MIN_LOG_LEVEL=2 \
    .venv/bin/python scripts/warm_up.py || fail "A package does not load: the message stands above."

key "$SET" >".venv/.set-up-$SET"
say "Done in $(($(date +%s) - STARTED)) s."
