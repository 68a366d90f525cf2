#!/usr/bin/env bash
# IWSLT16 German-English, TED talks as text, also simultaneous: ./run.sh --corpus DIR, and --src_lang en --tgt_lang de.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "mt greedy waitk le tn sl rl" \
    --src_lang de \
    --tgt_lang en \
    --by_pair true \
    --train_set train \
    --valid_set tst2013 \
    --test_sets "tst2014" \
    --vocab_size 24000 \
    --subword_type bpe \
    -- "$@"
