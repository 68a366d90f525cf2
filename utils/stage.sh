# shellcheck shell=bash disable=SC2154 # set by options.sh and the option table
# Stages. Source this file after options.sh; then `stage <number> <name> <command> [argument ...]`.
# Each command runs in a process group of its own, so that Ctrl-C (or SIGTERM) ends it with all its children.

# shellcheck source=utils/forecast.sh
. "$here/forecast.sh"

log() { echo "$(date '+%F %T') $*" >&2; }

# Run the command if its number lies within [$stage, $stop_stage].
stage() {
    local number=$1 name=$2 status=0 start=$SECONDS
    shift 2
    if [ "$number" -lt "$stage" ] || [ "$number" -gt "$stop_stage" ]; then return 0; fi
    if [ "$dry_run" = true ]; then
        printf '# stage %s, %s\n%s\n' "$number" "$name" "$(_quoted "$@")"
        return 0
    fi
    forecast "$name"
    log "stage $number, $name: $(_quoted "$@")"
    set -m
    "$@" &
    _child=$!
    set +m
    wait "$_child" || status=$?
    _child=
    if [ "$status" -ne 0 ]; then
        log "stage $number ($name) failed; fix the cause, then resume with: $(_resume "$number")"
        exit "$status"
    fi
    note_time "$name" $((SECONDS - start))
}

_quoted() {
    local word line=
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./:=,@+-]+$ ]] || printf -v word '%q' "$word"
        line+=" $word"
    done
    echo "${line# }"
}

# The user's own command, with this stage as the first.
_resume() {
    local words=("${resume_with[@]}") index
    for ((index = 0; index < ${#given[@]}; index++)); do
        if [ "${given[index]}" = --stage ]; then index=$((index + 1)); else words+=("${given[index]}"); fi
    done
    _quoted "${words[@]}" --stage "$1"
}

_stop() {
    trap _kill INT TERM HUP
    if [ -n "$_child" ]; then
        log "stopping after the current save; a second Ctrl-C kills at once"
        kill -INT -- "-$_child" 2> /dev/null || true # lets it save, and cancel its Slurm jobs
        while kill -0 "$_child" 2> /dev/null; do sleep 0.1; done
    fi
    _kill
}

_kill() {
    trap '' INT TERM HUP
    [ -z "$_child" ] || kill -KILL -- "-$_child" 2> /dev/null || true
    exit 130
}

_child=
trap _stop INT TERM HUP
