#!/usr/bin/env bash
# Build .venv from the pinned requirement files; `install.sh bench` (or `voices`) adds what only `make bench` needs.
# Returns at once if .venv was built from these very files by this Python, and starts afresh if it was not or was left
# half-built.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=${PATH//"$PWD/.venv/bin:"/} # where make puts it first; the Python that builds is the user's own
python=$(python3 --version | cut -d. -f1,2)

pins() { cat tools/install.sh tools/finish_environment.py "$@" && pwd && echo "$python"; }
key=$(pins tools/requirements.txt tools/requirements-dev.txt | sha256sum)

built_from() { [ -f ".venv/$1" ] && [ "$(cat ".venv/$1")" = "$2" ]; }

# uv is the quicker; it does not read pip's configuration, so hand over what it knows under other names.
install_with_uv() {
    local index=${PIP_INDEX_URL:-$(.venv/bin/pip config get global.index-url 2> /dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX=$index
    [ -z "${PIP_EXTRA_INDEX_URL:-}" ] || export UV_INDEX=$PIP_EXTRA_INDEX_URL UV_INDEX_STRATEGY=unsafe-best-match
    [ -z "${PIP_FIND_LINKS:-}" ] || export UV_FIND_LINKS=${PIP_FIND_LINKS// /,}
    VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install -q "$@"
}

install() {
    install_with_uv "$@" || {
        echo "uv could not install $*; trying pip, which is slower" >&2
        .venv/bin/pip install -q "$@"
    }
}

build() {
    case $python in
    "Python 3.11" | "Python 3.12" | "Python 3.13") ;;
    *)
        echo "python3 is $python; put Python 3.11, 3.12 or 3.13 first in PATH under that name" >&2
        exit 1
        ;;
    esac
    echo "building .venv from tools/requirements.txt" >&2
    rm -rf .venv
    python3 -c 'import ensurepip' 2> /dev/null || tools/system.sh python3-venv
    python3 -m venv .venv
    .venv/bin/pip install -q "$(grep '^uv==' tools/requirements.txt)"
    # torch brings the CUDA libraries of its build, so it alone is resolved. The rest is exact: resolving would bring
    # what ESPnet asks for and nothing here uses, and fail for 202511 (Python 3.11), which asks for setuptools<74
    # where torch asks for >=77; both work with the latter.
    install torch -c tools/requirements.txt
    install --no-deps -r tools/requirements.txt -r tools/requirements-dev.txt
    .venv/bin/python tools/finish_environment.py
}

if ! built_from .built_from "$key"; then
    build
    echo "$key" > .venv/.built_from
fi
for more in "$@"; do
    more_key=$(pins tools/requirements.txt "tools/requirements-$more.txt" | sha256sum)
    if ! built_from ".${more}_built_from" "$more_key"; then
        install --no-deps -r "tools/requirements-$more.txt"
        echo "$more_key" > ".venv/.${more}_built_from"
    fi
done
