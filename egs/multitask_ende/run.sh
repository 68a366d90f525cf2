#!/usr/bin/env bash
# Speech translation, recognition and text translation by one model: ./run.sh --corpus DIR, which holds must_c, wmt, ...
set -euo pipefail
cd "$(dirname "$0")"
systems="direct_st direct_asr direct_mt joint joint_st joint_asr joint_mt maml maml_st maml_asr maml_mt"
systems+=" joint_explicit joint_implicit joint_input maml_explicit maml_implicit"
exec ../../utils/st.sh \
    --systems "$systems" \
    --train_set st_train \
    --valid_set st_dev \
    --test_sets "must_c_tst-COMMON europarl_st_test tedlium_test librispeech_test-clean common_voice_test newstest2014" \
    --joint_vocab_size 32000 \
    --resample true \
    --score_args "--lowercase --remove_punctuation" \
    -- "$@"
