#!/usr/bin/env bash
# Every system of the five papers on mini, with tables of each paper: what `make papers` runs. What is done is skipped.
set -euo pipefail
set -f # a list of names is split into words below, and only that

# shellcheck disable=SC2034 # some are options.sh's alone
papers=       # Such as "mutual transfer"; empty: all five. Also interactive_zh, interactive_ja, variants, long, sweeps.
seeds=        # Seeds to train with, such as "1 2 3"; empty means that of the configurations.
exp=exp       # Folder of the experiments.
set=          # Values to change in every config, such as "max_epoch=1".
data_args=    # Arguments for local/data.py, such as "--size tiny".
nj=2          # Parallel CPU jobs.
ngpu=0        # GPUs to train with; 0 means the CPU.
more=         # More options of run.sh, such as "--executor slurm --decode beam=2"; they override all others.
dry_run=false # Print the commands without running them.

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=utils/options.sh
. "$here/../../utils/options.sh"

# Minutes of a paper with one seed on two cores, roughly: by them the time left is told until it is known better.
declare -A minutes=([interactive]=20 [interactive_zh]=20 [interactive_ja]=20 [mutual]=25 [transfer]=35)
minutes+=([task_aware]=110 [simultaneous]=25 [sweeps]=30 [variants]=15 [long]=50)

interactive() { run --tables interactive --systems "asr mt pipeline e2e multitask two_stage interactive" "$@"; }

interactive_zh() { interactive --tables interactive.en-zh --tgt_lang zh --exp "$exp/zh"; }

interactive_ja() { interactive --tables interactive.en-ja --tgt_lang ja --exp "$exp/ja"; }

mutual() { run --tables mutual --systems "asr mt mt_joint pipeline e2e mtl distill mutual mutual_joint"; }

transfer() { # with a tenth, 30 % and all of the German speech
    local system sets=tasks.de.set=train_de_10,train_de_30,train_de vary=
    for system in scratch direct from_human from_strong from_weak; do vary+=" $system:$sets"; done
    run_and_vary "$vary" --tables transfer --test_sets "test test_de" \
        --systems "high mt_strong mt_weak st_human st_strong st_weak scratch direct from_human from_strong from_weak \
joint"
}

task_aware() {
    local tasks="tasks_st tasks_asr tasks_mt tasks_joint tasks_joint_st tasks_joint_asr tasks_joint_mt tasks_maml"
    tasks+=" tasks_maml_st tasks_maml_asr tasks_maml_mt tasks_explicit tasks_implicit tasks_input"
    run --tables tasks --systems "lang_de lang_fr lang_zh lang_joint lang_maml lang_ohv \
lang_maml_ohv lang_input lang_explicit lang_implicit lang_maml_implicit"
    run --tables tasks_speech --systems "asr $tasks tasks_maml_explicit tasks_maml_implicit"
}

simultaneous() { # its curves compare utterances, so one seed is enough
    local seeds=${seeds%% *}
    run_and_vary "waitk:model_conf.k=1,3,5,7,9 le:model_conf.d=0,2,4,6,8 sl:model_conf.rho=.4,.45,.5,.55,.6,.65 \
tn:model_conf.d=2,5,8 rl:model_conf.cw=2,5,8" --tables simultaneous --systems "mt greedy waitk le sl tn rl"
}

variants() { # of interactive, beside its strongest rival
    run --tables variants --systems "asr mt multitask two_stage interactive interactive_own interactive_two \
interactive_film"
}

long() { # the systems of mutual, three times as long and begun as in the paper
    run --tables long --systems "asr mt pipeline e2e_long mtl_long distill_long mutual_long"
}

sweeps() { # after interactive and mutual
    run --systems interactive --vary model_conf.inter_weight=0,0.1,0.3,0.5,1
    run --systems interactive --vary model_conf.wait_k=0,1,3,5,inf
    run --systems mutual --vary model_conf.direction=both,kl1
}

run() { # options of run.sh
    ./run.sh --exp "$exp" --seeds "$seeds" --set "$set" --data_args "$data_args" --nj "$nj" --ngpu "$ngpu" \
        --dry_run "$dry_run" "$@" "${others[@]}"
}

run_and_vary() { # sweeps, options of run.sh
    local vary=${1# }
    run "${@:2}" --stop_stage 6
    run "${@:2}" --vary "$vary"
}

[ -n "$papers" ] || papers="interactive mutual transfer task_aware simultaneous"
for paper in $papers; do
    [ -n "${minutes[$paper]-}" ] || _reject "unknown paper '$paper'; choose from ${!minutes[*]}"
done
cd "$here"
# shellcheck disable=SC2206
to_do=($papers) each=($seeds) others=($more)
trainings=$((${#each[@]} > 0 ? ${#each[@]} : 1)) expected=0 taken=0
while [ ${#to_do[@]} -gt 0 ]; do
    left=0
    for paper in "${to_do[@]}"; do left=$((left + trainings * minutes[$paper])); done
    [ "$expected" -eq 0 ] || left=$((left * taken / expected / 60))
    paper=${to_do[0]} to_do=("${to_do[@]:1}") start=$SECONDS
    echo "$(date '+%F %T') $paper: about $left minutes left, $((1 + ${#to_do[@]})) papers" >&2
    "$paper"
    # what was skipped says nothing of this machine
    if [ $((SECONDS - start)) -ge $((6 * trainings * minutes[$paper])) ]; then
        expected=$((expected + trainings * minutes[$paper])) taken=$((taken + SECONDS - start))
    fi
done
