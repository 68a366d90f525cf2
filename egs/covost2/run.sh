#!/usr/bin/env bash
# CoVoST 2, English into German or any other direction: ./run.sh --corpus DIR --src_lang fr --tgt_lang en
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "asr mt pipeline e2e" \
    --src_lang en \
    --tgt_lang de \
    --by_pair true \
    --resample true \
    --train_set train \
    --valid_set dev \
    --test_sets test \
    --vocab_size 8000 \
    -- "$@"
