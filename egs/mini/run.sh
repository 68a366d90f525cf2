#!/usr/bin/env bash
# Spoken mini corpus, English to German: synthesised on the spot; every system of the base trained in minutes on a CPU.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "asr mt pipeline e2e multitask" \
    --train_set train \
    --valid_set dev \
    --test_sets test \
    --mt_train_set mt_train \
    --vocab_size 450 \
    --joint_vocab_size 750 \
    -- "$@"
