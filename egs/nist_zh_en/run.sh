#!/usr/bin/env bash
# NIST Chinese-English, text with four references, also simultaneous: ./run.sh --corpus DIR.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "mt greedy waitk le tn sl rl" \
    --src_lang zh \
    --tgt_lang en \
    --train_set train \
    --valid_set nist02 \
    --test_sets "nist05 nist06 nist08" \
    --vocab_size 30000 \
    --subword_type bpe \
    -- "$@"
