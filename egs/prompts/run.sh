#!/usr/bin/env bash
# People who say the same in ten languages, from Debian packages: ./run.sh (apt-get fetches them) or --corpus DIR.
set -euo pipefail
cd "$(dirname "$0")"
tests=
for lang in en es fr it ru; do tests+="phone_${lang}_test "; done
for lang in fr ru ca ro bg es be el; do tests+="stamps_${lang}_test "; done
exec ../../utils/st.sh \
    --systems "asr to_en joint joint_implicit" \
    --tgt_lang fr \
    --train_set phone_en_train \
    --valid_set phone_en_dev \
    --test_sets "$tests" \
    --vocab_size 500 \
    --joint_vocab_size 1000 \
    --resample true \
    --score_args "--lowercase --remove_punctuation" \
    -- "$@"
