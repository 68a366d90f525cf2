# shellcheck shell=bash disable=SC2154 # set by the option table
# How long all that is left takes, for recipes whose local/seconds says how long each stage has taken on some machine:
# lines `number<TAB>name<TAB>seconds` in the order of the run. How this run compares with them so far says how fast this
# machine is; what was skipped says nothing. Settings that change the work, or a stage that has no line: no forecast.

_expected=0 _taken=0 # seconds of the stages that have run: as the file says, and here

# The seconds of the stage $2 (`here`), or of that one and all that follow (`found`); nothing if it has no line.
_seconds_of() {
    awk -F '\t' -v name="$2" -v stop="$stop_stage" -v systems=" $systems " '
        /^#/ { next }
        { here = $2 == name; if (here) found = 1 }
        { words = split($2, word, " ") }
        ($1 == 7 || $1 == 8) && !index(systems, " " word[words] " ") { next }
        '"$1"' && $1 <= stop { sum += $3 }
        END { if (found) print sum }' local/seconds
}

forecast() { # name of the stage that begins
    local left
    if [ ! -f local/seconds ] || [ -n "$set$seeds$augment" ]; then return 0; fi
    left=$(_seconds_of found "$1")
    [ -n "$left" ] || return 0
    [ "$_expected" -lt 10 ] || left=$((left * _taken / _expected))
    log "$(basename "$PWD"): about $(((left + 59) / 60)) minutes left"
}

note_time() { # name of the stage that has ended, its seconds
    local expected
    if [ ! -f local/seconds ]; then return 0; fi
    expected=$(_seconds_of here "$1")
    if [ -z "$expected" ] || [ "$2" -lt $((expected / 10)) ]; then return 0; fi
    _expected=$((_expected + expected)) _taken=$((_taken + $2))
}
