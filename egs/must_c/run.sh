#!/usr/bin/env bash
# MuST-C, English to one of ten languages: ./run.sh --corpus DIR --tgt_lang fr, where DIR holds en-fr.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "asr mt mt_joint pipeline e2e mtl distill mutual mutual_joint" \
    --tgt_lang fr \
    --by_pair true \
    --train_set train \
    --valid_set dev \
    --test_sets "tst-COMMON tst-HE" \
    --vocab_size 8000 \
    --joint_subword_type bpe \
    --score_args "--lowercase --remove_punctuation" \
    -- "$@"
