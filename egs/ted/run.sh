#!/usr/bin/env bash
# TED talks of IWSLT, English to German, French, Chinese or Japanese: ./run.sh --corpus DIR --tgt_lang zh
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "asr mt pipeline e2e multitask two_stage interactive" \
    --tgt_lang de \
    --by_pair true \
    --train_set train \
    --valid_set dev \
    --test_sets "dev2010 tst2010 tst2013 tst2014 tst2015" \
    --vocab_size 8000 \
    --joint_vocab_size 30000 \
    --score_args "--lowercase --remove_punctuation" \
    -- "$@"
