#!/usr/bin/env bash
# Multi30k, captions of pictures as text, also simultaneous. ./run.sh --corpus DIR, and --src_lang de --tgt_lang en.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "mt greedy waitk le sl tn rl" \
    --src_lang en \
    --tgt_lang de \
    --by_pair true \
    --train_set train \
    --valid_set val \
    --test_sets "val" \
    --vocab_size 4000 \
    -- "$@"
