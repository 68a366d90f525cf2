#!/usr/bin/env bash
# WMT15 German-English, text, also simultaneous: ./run.sh --corpus DIR, and --src_lang en --tgt_lang de.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "mt greedy waitk le tn sl rl" \
    --src_lang de \
    --tgt_lang en \
    --by_pair true \
    --train_set train \
    --valid_set newstest2014 \
    --test_sets "newstest2015" \
    --vocab_size 40000 \
    --subword_type bpe \
    -- "$@"
