#!/usr/bin/env bash
# The speech-translation pipeline, shared by every recipe in egs/. Runs in the recipe's folder.
# Stages: 1 prepare corpus, 2 check data, 3 augment, 4 features, 5 sub-words, 6 text index, 7 train, 8 decode, 9 score, 10 report
set -euo pipefail
set -f # a list of names is split into words below, and only that

# shellcheck disable=SC2034 # read by stage.sh
stage=1              # First stage to run.
stop_stage=10        # Last stage to run.
dry_run=false        # Print the commands without running them.
nj=2                 # Parallel CPU jobs.
ngpu=0               # GPUs to train with; 0 means the CPU, also for decoding.
executor=local       # Where jobs run: local or slurm.
exp=exp              # Folder of the experiments.
tables=              # Name of this run's tables and report, as in RESULTS.<name>.md; empty means none.
systems=             # Systems to train and decode, in this order; each has a conf/<system>.yaml.
src_lang=en          # Language of the speech and of its transcripts.
tgt_lang=de          # Language to translate into.
train_set=train      # Folder under data/ to train on.
valid_set=dev        # Folder under data/ to validate on.
test_sets="test"     # Folders under data/ to decode and score.
mt_train_set=        # Folder under data/ with text to train MT on; empty means the training set with its augmented copies.
corpus=              # Folder of the unpacked corpus, if the recipe needs one; relative to the recipe's folder.
data_args=           # More arguments for local/data.py.
by_pair=false        # Keep each language pair's data, features and systems apart, in folders such as data/en-de.
resample=false       # Resample audio that is not at 16 kHz, instead of refusing it.
augment=             # Augmented copies of the training set, such as "speed:0.9,1.1"; empty means none.
vocab_size=4000      # Size of a sub-word vocabulary; type char ignores it and takes every character.
joint_vocab_size=    # Size of the vocabulary that both languages share; empty means vocab_size.
subword_sets=        # Sets whose text the sub-words are learned from; empty means train_set and mt_train_set.
subword_type=unigram # Type of the sub-words: unigram, bpe or char.
joint_subword_type=  # Type of the vocabulary that both languages share; empty means subword_type.
seeds=               # Seeds to train with, such as "1 2 3". The first is in the folder of the experiments, seed N in its seedN/.
once=                # Systems to train with the first seed only; the other seeds take these and start from them.
vary=                # Train, decode and score one system for each value of an option, such as "model_conf.wait_k=0,1,3".
set=                 # Values to change in every config, such as "max_epoch=2 seed=1".
decode=              # Decoding options, such as "beam=2 dtype=bf16"; empty means those of the configurations.
bleu_tokenize=       # sacreBLEU tokenizer: 13a, zh, ja-mecab or char; empty chooses it by the language.
script=run.sh        # Name of the recipe's script; a message that tells you how to resume shows it.
score_args=          # Arguments for scoring, such as "--lowercase --remove_punctuation" for WER.

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=utils/options.sh
. "$here/options.sh"
# shellcheck source=utils/stage.sh
. "$here/stage.sh"

check_systems() { # option, its value
    for system in $2; do
        [[ $system =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || _reject "option '$1' takes names, not '$system'"
        [ "$system" != base ] || _reject "unknown system 'base': conf/base.yaml holds what the systems of a recipe share"
        [ -f "conf/$system.yaml" ] || _reject "unknown system '$system': there is no $PWD/conf/$system.yaml"
    done
}
check_systems --systems "$systems"
check_systems --once "$once"
[[ $tables =~ ^[A-Za-z0-9_.-]*$ ]] || _reject "option '--tables' takes a name such as mutual, not '$tables'"
[[ $executor =~ ^(local|slurm)$ ]] || _reject "option '--executor' takes local or slurm, not '$executor'"
[ "$stage" -le "$stop_stage" ] || _reject "nothing to do: --stage $stage comes after --stop_stage $stop_stage"

[[ $seeds =~ ^[0-9\ ]*$ ]] || _reject "option '--seeds' takes whole numbers such as \"1 2 3\", not '$seeds'"

root=$(dirname "$here")
[ ! -d "$root/.venv/bin" ] || PATH=$root/.venv/bin:$PATH
export PATH PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

more_text=$mt_train_set
[ "$mt_train_set" != "$train_set" ] || more_text= # the training set without its augmented copies, for MT

# shellcheck disable=SC2206
given_sets=($train_set $valid_set $test_sets $more_text)
train=$train_set${augment:+_augmented}
# shellcheck disable=SC2206
speech_sets=($train $valid_set $test_sets)
# shellcheck disable=SC2206
training_sets=($train_set $more_text)
text_set=$mt_train_set
mapfile -t named < <(python3 -m espnet_ext.sets --systems "$systems" --set "$set")
wait $! || exit # what the configurations of systems name: training sets, all sets, vocabularies (docs/tasks.md)
for name in ${named[0]-}; do
    [[ " ${training_sets[*]} $train " == *" $name "* ]] || training_sets+=("$name")
done
for name in ${named[1]-}; do
    [[ " ${given_sets[*]} $train " == *" $name "* ]] || given_sets+=("$name")
    [[ " ${speech_sets[*]} " == *" $name "* ]] || speech_sets+=("$name")
    [ "$name" != "$mt_train_set" ] || text_set=
done
resampling=()
[ "$resample" = false ] || resampling=(--resample)
jobs=(--nj "$nj" --executor "$executor")
langs=(--src_lang "$src_lang" --tgt_lang "$tgt_lang")

device=cpu
[ "$ngpu" -eq 0 ] || device=cuda
launch=(python3)
[ "$ngpu" -le 1 ] || launch=(torchrun --standalone --nproc_per_node "$ngpu")
[ "$executor" = local ] || launch=(srun --quit-on-interrupt --ntasks 1 --cpus-per-task "$nj" --gpus "$ngpu" "${launch[@]}")

subword_size=(--vocab_size "$vocab_size" ${joint_vocab_size:+--joint_vocab_size "$joint_vocab_size"})
[ "$subword_type" != char ] || subword_size=() # every character that there is

search=()
# shellcheck disable=SC2206
words=($decode)
for word in "${words[@]}"; do
    [[ $word =~ ^[a-z_]+=.+$ ]] || _reject "option '--decode' takes words such as beam=2, not '$word'"
    search+=("--${word%%=*}" "${word#*=}")
done

corpus_args=()
[ -z "$corpus" ] || corpus_args=(--corpus "$corpus" "${langs[@]}" --nj "$nj")

pages=$exp/
[[ $exp != exp && ! ($tables && $exp == exp/*) ]] || pages= # the recipe's own RESULTS.md and report.html
data=data dump=dump pair=
if [ "$by_pair" = true ]; then
    pair=$src_lang-$tgt_lang
    data=data/$pair dump=dump/$pair exp=$exp/$pair
fi

called=${tables:+.$tables}${pair:+.$pair}

joined() { # words -> one word, which espnet_ext.stages takes apart
    local IFS=$'\037'
    printf '%s' "$*"
}
training=(--train "$dump/$train" --valid "$dump/$valid_set" ${mt_train_set:+--text_train "$dump/$mt_train_set"})
training+=("${langs[@]}" --subwords "$dump/subwords" --ngpu "$ngpu")
# shellcheck disable=SC2206
scoring=(${bleu_tokenize:+--bleu_tokenize "$bleu_tokenize"} $score_args)
recipe=(
    --exp="$exp" --systems="$systems" --seeds="$seeds" --once="$once" --test_sets="$test_sets" --dump="$dump" --set="$set"
    --launch="$(joined "${launch[@]}")" --training="$(joined "${training[@]}")" --scoring="$(joined "${scoring[@]}")"
    --decoding="$(joined --device "$device" "${jobs[@]}" "${search[@]}")" --results="$(joined --data "$data" "${langs[@]}")"
    --data="$data" --jobs="$(joined "${jobs[@]}")"
    --tables="${pages}RESULTS$called.md" --page="${pages}report$called.html"
)

if [ -n "$vary" ]; then
    [ "$dry_run" = false ] || recipe+=(--dry_run)
    exec python3 -m espnet_ext.sweep --vary="$vary" --command="$(_quoted "./$script" "${given[@]}")" "${recipe[@]}"
fi

# shellcheck disable=SC2086 # lists are split into words
{
    stage 1 "prepare corpus" python3 local/data.py "$data" "${corpus_args[@]}" $data_args

    stage 2 "check data" python3 -m espnet_ext.data.check "${given_sets[@]/#/$data/}" --nj "$nj" "${resampling[@]}" \
        --training "${training_sets[@]/#/$data/}"

    if [ -n "$augment" ]; then
        stage 3 "augment" python3 -m espnet_ext.data.augment "$data/$train_set" "$data/$train" --with $augment "${jobs[@]}"
    fi

    for name in "${speech_sets[@]}"; do
        stage 4 "features of $name" python3 -m espnet_ext.data.features "$data/$name" "$dump/$name" "${jobs[@]}"
    done

    # shellcheck disable=SC2206
    spelled=(${subword_sets:-$train_set $more_text})
    stage 5 "sub-words" python3 -m espnet_ext.data.subwords "$dump/subwords" --joint --langs "$src_lang" "$tgt_lang" \
        --data "${spelled[@]/#/$data/}" \
        --type "$subword_type" ${joint_subword_type:+--joint_type "$joint_subword_type"} "${subword_size[@]}" \
        ${named[2]:+--universal ${named[2]-}}

    for name in "${speech_sets[@]}" $text_set; do
        stage 6 "text index of $name" python3 -m espnet_ext.data.text "$data/$name" "$dump/$name"
    done
}

[ "$stop_stage" -ge 7 ] || exit 0
# From here on there is a command for each seed and system: train (7), decode (8), score (9), report (10).
mapfile -d '' -t plan < <(python3 -m espnet_ext.stages "${recipe[@]}")
wait $! || exit
while [ ${#plan[@]} -gt 0 ]; do # the number of a command's words, then these: stage, name, command
    stage "${plan[@]:1:plan[0]}"
    plan=("${plan[@]:plan[0]+1}")
done
