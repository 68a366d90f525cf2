#!/usr/bin/env bash
# wheels.sh FOLDER [NAME ...]: gather wheels for a machine without internet: Linux on x86-64 with Python 3.12, torch,
# transformers, sacrebleu, sentencepiece, matplotlib, scikit-learn, numba and pytest. What the tests and the benches for
# a GPU import beside these comes from our pins; NAME is one more that is missing there.
set -euo pipefail

if [ $# -lt 1 ]; then
    echo "usage: tools/wheels.sh FOLDER [NAME ...]; see the first lines of this file" >&2
    exit 2
fi
folder=$(realpath -m "$1")
shift
cd "$(dirname "$0")/.."

names=(
    audioread cffi decorator defusedxml espeakng-loader espnet espnet-g2p-en espnet-tts-frontend humanfriendly
    inflect jaconv jamo jaraco-functools jiwer kaldiio lazy-loader librosa more-itertools nltk omniio opt-einsum pooch
    pycparser rapidfuzz setuptools soundfile soxr submitit torch-complex torchaudio typeguard unidecode
)
platforms=(--platform manylinux1_x86_64 --platform linux_x86_64)
for glibc in 5 12 17 24 27 28 31 34; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done

# The pin of a package for Python 3.12, of those that a file has for other Pythons.
pin_of() {
    local line
    line=$(grep -h "^$1==" tools/requirements*.txt | grep -v 'python_version <' | head -n 1) ||
        { echo "$1: has no pin in tools/requirements*.txt" >&2 && return 1; }
    echo "${line%% ;*}"
}

pins=()
for name in "${names[@]}" "$@"; do
    pin=$(pin_of "$name")
    pins+=("$pin")
done
mkdir -p "$folder"
rm -f "$folder/pins.txt" # it is there when all wheels are
for pin in "${pins[@]}"; do
    python3 -m pip download -q --no-deps --only-binary :all: --python-version 3.12 --implementation cp "${platforms[@]}" \
        -d "$folder" "$pin" 2> /dev/null ||
        python3 -m pip wheel -q --no-deps -w "$folder" "$pin" # pure Python of which there is only the source
done
printf '%s\n' "# Python 3.12" "${pins[@]}" > "$folder/pins.txt" # on_gpu.sh reads it
echo "${#pins[@]} wheels in $folder, $(du -sm "$folder" | cut -f1) MB; there: tools/on_gpu.sh FOLDER" >&2
