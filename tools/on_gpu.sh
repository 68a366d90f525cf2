#!/usr/bin/env bash
# on_gpu.sh FOLDER: on a machine with a GPU and without internet, install the wheels of tools/wheels.sh beside the torch
# that is there, then run the tests and the benches for a GPU. DEVICE=cpu rehearses both.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: tools/on_gpu.sh FOLDER, where tools/wheels.sh has put wheels" >&2
    exit 2
fi
wheels=$(realpath "$1")
cd "$(dirname "$0")/.."
device=${DEVICE:-cuda}
[ -e "$wheels/pins.txt" ] || { echo "$wheels: there is no pins.txt; tools/wheels.sh makes this folder" >&2 && exit 2; }
wanted=$(sed -n 's/^# Python //p' "$wheels/pins.txt")
found=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$wanted" != "$found" ]; then
    echo "the wheels are of Python $wanted, and python3 is $found: put a Python $wanted that has torch first in PATH" >&2
    exit 2
fi

there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
# A venv whose packages come first, and those of the Python that has torch after them.
python3 -m venv --without-pip "$there"
python=$there/bin/python
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' > "$packages/of_this_machine.pth"
python3 -m pip install -q --no-index --no-deps --no-compile --find-links "$wheels" --target "$packages" \
    -r "$wheels/pins.txt"
if python3 -c 'import torchaudio' 2> /dev/null; then
    rm -r "$packages"/torchaudio* # that of this machine fits its torch
else
    rm -r "$packages"/torchaudio/lib # linked to another torch; ESPnet needs only the Python part
fi
"$python" tools/finish_environment.py
"$python" -c 'import torch; print("torch", torch.__version__, torch.cuda.is_available())'

status=0
"$python" -m pytest -q -p no:cacheprovider tests/gpu --device "$device" || status=$?
"$python" -m tests.bench.gpu --device "$device" || status=$?
exit $status
