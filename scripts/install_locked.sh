#!/bin/sh
# Install a lock and the project itself (editable) into a virtual environment: install_locked.sh VENV LOCK
# Only wheels are taken, so nothing is compiled and no package's set-up code runs. The project is built without
# looking anything up: setuptools is in the lock.
set -eu
venv=$1 lock=$2 log=$1/install.log

case $(uname -sm) in
    'Linux x86_64' | 'Linux aarch64' | 'Darwin arm64') ;;
    *)
        echo "The broker and ClickHouse have packages for Linux (x86-64, arm64) and macOS (Apple silicon), not for $(uname -sm). Use Docker: make init && make up" >&2
        exit 1
        ;;
esac

# pip's hundreds of lines go to the log; the terminal shows how far it is
# shellcheck disable=SC2016 # these are awk's dollars
progress='
    function show(text) { printf((tty ? "\r  %-60s" : "  %s\n"), text); fflush() }
    { print > log_file; fflush(log_file) }
    /^Collecting / { fetched++; if (tty) show(fetched " packages: " $2) }
    /^Installing collected packages/ && !unpacking++ { show("unpacking " fetched " packages") }
    END { if (tty) print "" }'
tty=0
[ ! -t 1 ] || tty=1
pip() { PYTHONUNBUFFERED=1 "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

echo "Installing $lock into $venv (once; some minutes on a slow line)"
{
    if pip install --require-hashes --only-binary :all: --progress-bar off -r "$lock" &&
        pip install --no-deps --no-build-isolation --no-index --editable .; then
        echo installed
    fi
} 2>&1 | awk -v tty="$tty" -v log_file="$log" "$progress"

if [ "$(tail -n 1 "$log")" != installed ]; then
    tail -n 12 "$log" >&2
    echo "The installation failed: the cause stands above, all of it in $log. Mend it and run the same command again." >&2
    exit 1
fi
