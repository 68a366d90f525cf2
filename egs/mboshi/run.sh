#!/usr/bin/env bash
# Mboshi to French, real speech of an endangered language: ./run.sh --corpus DIR, where DIR holds full_corpus_newsplit.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "asr_start asr mt pipeline tight e2e_start e2e multitask two_stage interactive mtl distill mutual" \
    --once "asr_start asr mt pipeline tight e2e_start two_stage" \
    --src_lang mb \
    --tgt_lang fr \
    --train_set train \
    --mt_train_set train \
    --valid_set tune \
    --test_sets "dev dev_unseen" \
    --augment "speed:0.9,1.1" \
    --vocab_size 500 \
    --joint_vocab_size 800 \
    -- "$@"
