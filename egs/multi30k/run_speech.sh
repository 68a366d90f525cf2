#!/usr/bin/env bash
# Spoken captions of Multi30k, into German or French (--tgt_lang fr): --corpus DIR. Translates text by the mt of run.sh, trained before.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --script run_speech.sh \
    --systems "asr pipeline e2e multitask two_stage interactive mtl distill mutual" \
    --by_pair true \
    --tables speech \
    --data_args "--spoken small --natural 1" \
    --train_set spoken_train \
    --valid_set spoken_val \
    --test_sets "spoken_val" \
    --mt_train_set train \
    --subword_sets train \
    --vocab_size 4000 \
    -- "$@"
