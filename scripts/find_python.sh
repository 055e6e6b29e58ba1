#!/bin/sh
# Print a Python of 3.11 or newer that can make virtual environments; where there is none, say in one line what to do.
# PYTHON=... names the one to take. Each candidate is run, not only looked up: version managers leave commands on the
# PATH that start nothing.
found=''
for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $version in
        2.* | 3.[0-9] | 3.10)
            found="$found $candidate is $version;"
            continue
            ;;
    esac
    if ! "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$candidate cannot make a virtual environment: install its venv package (Debian, Ubuntu: apt install python3-venv)." >&2
        exit 1
    fi
    command -v "$candidate"
    exit 0
done
echo "Python 3.11 or newer is needed (${found:- none found}). Install one, or name it: make PYTHON=/path/to/python3 ..." >&2
exit 1
