#!/usr/bin/env bash
# The speech-translation pipeline, shared by every recipe in egs/. Runs in the recipe's folder.
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
systems=             # Systems to train and decode, in this order; each has a conf/<system>.yaml.
src_lang=en          # Language of the speech and of its transcripts.
tgt_lang=de          # Language to translate into.
train_set=train      # Folder under data/ to train on.
valid_set=dev        # Folder under data/ to validate on.
test_sets="test"     # Folders under data/ to decode and score.
mt_train_set=        # Folder under data/ with text to train MT on; empty means the training set with its augmented copies.
corpus=              # Folder of the unpacked corpus, where the recipe reads one; relative to the recipe's folder.
data_args=           # More arguments for local/data.py.
by_pair=false        # Keep each language pair's data, features and systems apart, in folders such as data/en-de.
resample=false       # Resample audio that is not at 16 kHz, instead of refusing it.
augment=             # Augmented copies of the training set, such as "speed:0.9,1.1"; empty means none.
vocab_size=4000      # Sub-words of a vocabulary; char takes every character.
joint_vocab_size=    # Sub-words of the vocabulary of both languages together; empty means vocab_size.
subword_type=unigram # unigram, bpe or char.
seeds=               # Seeds to train with, such as "1 2 3": the first in the folder of the experiments, seed N in seedN/.
once=                # Of these systems, those trained with the first seed only; the other seeds start from them.
vary=                # Train, decode and score one system for each value of an option, such as "model_conf.wait_k=0,1,3".
set=                 # Values to change in every config, such as "max_epoch=2 seed=1".
decode=              # Options of decoding, such as "beam=2 dtype=bf16"; empty means those of the configurations.
bleu_tokenize=       # sacreBLEU's tokenizer: 13a, zh, ja-mecab or char; empty means that of the language.
score_args=          # Arguments for scoring, such as "--lowercase --remove_punctuation" for WER.

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=utils/options.sh
. "$here/options.sh"
# shellcheck source=utils/stage.sh
. "$here/stage.sh"

for system in $systems; do
    [[ $system =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || _reject "option '--systems' takes names, not '$system'"
    [ "$system" != base ] || _reject "unknown system 'base': conf/base.yaml is what the systems of a recipe share"
    [ -f "conf/$system.yaml" ] || _reject "unknown system '$system': there is no $PWD/conf/$system.yaml"
done
[[ $executor =~ ^(local|slurm)$ ]] || _reject "option '--executor' takes local or slurm, not '$executor'"
[ "$stage" -le "$stop_stage" ] || _reject "nothing to do: --stage $stage comes after --stop_stage $stop_stage"

# shellcheck disable=SC2206 # these are lists of names
seed_list=($seeds)
[[ ${seed_list[*]-} =~ ^[0-9\ ]*$ ]] || _reject "option '--seeds' takes whole numbers such as \"1 2 3\", not '$seeds'"

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
[ "$exp" != exp ] || pages= # the recipe's own RESULTS.md and report.html
data=data dump=dump pair=
if [ "$by_pair" = true ]; then
    pair=$src_lang-$tgt_lang
    data=data/$pair dump=dump/$pair exp=$exp/$pair
fi

place() { # seed -> where its experiments lie
    if [ "$1" = "${seed_list[0]-}" ]; then echo "$exp"; else echo "$exp/seed$1"; fi
}

is_shared() { # seed, system -> whether the first seed's system serves this seed
    [ "$1" != "${seed_list[0]-}" ] && [[ " $once " == *" $2 "* ]]
}

if [ -n "$vary" ]; then
    sweep=(python3 -m espnet_ext.sweep --system "$systems" --vary "$vary")
    [ "$dry_run" = false ] || sweep+=(--dry_run)
    exec "${sweep[@]}" -- "${given[@]}"
fi

# shellcheck disable=SC2086 # lists are split into words
{
    stage 1 "prepare corpus" python3 local/data.py "$data" "${corpus_args[@]}" $data_args

    stage 2 "check data" python3 -m espnet_ext.data.check "${given_sets[@]/#/$data/}" --nj "$nj" "${resampling[@]}" \
        --training "$data/$train_set" ${more_text:+"$data/$more_text"}

    if [ -n "$augment" ]; then
        stage 3 "augment" python3 -m espnet_ext.data.augment "$data/$train_set" "$data/$train" --with $augment "${jobs[@]}"
    fi

    for name in "${speech_sets[@]}"; do
        stage 4 "features of $name" python3 -m espnet_ext.data.features "$data/$name" "$dump/$name" "${jobs[@]}"
    done

    stage 5 "sub-words" python3 -m espnet_ext.data.subwords "$dump/subwords" --joint --langs "$src_lang" "$tgt_lang" \
        --data "$data/$train_set" ${more_text:+--extra_data "$data/$more_text"} \
        --type "$subword_type" "${subword_size[@]}"

    for name in "${speech_sets[@]}" $mt_train_set; do
        stage 6 "text index of $name" python3 -m espnet_ext.data.text "$data/$name" "$dump/$name"
    done

    for seed in "${seed_list[@]-}"; do # one empty word where there is none: the configurations' own
        for system in $systems; do
            if is_shared "$seed" "$system"; then
                stage 7 "folder of seed $seed" mkdir -p "$(place "$seed")"
                stage 7 "seed $seed takes $system of seed ${seed_list[0]}" \
                    ln -srfT "$exp/$system" "$(place "$seed")/$system"
                continue
            fi
            stage 7 "train $system${seed:+ with seed $seed}" "${launch[@]}" -m espnet_ext.train \
                "conf/$system.yaml" "$(place "$seed")/$system" --train "$dump/$train" --valid "$dump/$valid_set" \
                ${mt_train_set:+--text_train "$dump/$mt_train_set"} "${langs[@]}" --subwords "$dump/subwords" \
                --ngpu "$ngpu" ${set:+--set "$set"} ${seed:+--set "seed=$seed"}
        done
    done

    for seed in "${seed_list[@]-}"; do
        for system in $systems; do
            if is_shared "$seed" "$system"; then continue; fi
            for name in $test_sets; do
                stage 8 "decode $name with $system${seed:+ of seed $seed}" python3 -m espnet_ext.decode \
                    "$(place "$seed")/$system" "$dump/$name" --device "$device" "${jobs[@]}" "${search[@]}"
            done
        done
    done

    results=("$exp" --systems "$systems" --test_sets "$test_sets" --data "$data" "${langs[@]}")
    results+=(${seeds:+--seeds "$seeds"})
    stage 9 "score" python3 -m espnet_ext.score "${results[@]}" ${bleu_tokenize:+--bleu_tokenize "$bleu_tokenize"} \
        $score_args --results "${pages}RESULTS${pair:+.$pair}.md"

    stage 10 "report" python3 -m espnet_ext.report "${results[@]}" --out "${pages}report${pair:+.$pair}.html"
}
