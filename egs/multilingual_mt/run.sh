#!/usr/bin/env bash
# English into German, Turkish and Romanian by one model: ./run.sh --corpus DIR, a folder with the corpora of WMT and OPUS.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh \
    --systems "joint ohv maml maml_ohv joint_explicit joint_implicit maml_explicit maml_implicit" \
    --train_set train_de \
    --valid_set dev_de \
    --test_sets "test_de test_tr test_ro" \
    --joint_vocab_size 32000 \
    -- "$@"
