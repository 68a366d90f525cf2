# shellcheck shell=bash disable=SC2034 # `given` and `resume_with` are stage.sh's
# Command-line options. Source this file right after a script's option table, whose lines read
# `name=default  # Help text.`; the table is the parser and the --help. A value is data: it is never evaluated.
# An option whose default is true or false, or a whole number, takes only such values (--dry_run alone means true);
# only one that is empty in the table can be made empty.
# A recipe puts `--` between its settings and what its user gave, which is kept in `given` to say how to resume: by its
# run.sh, or by the script that the option `script` names.

given=("$@")
resume_with=("$0")

_options() { sed -n 's/^\([a-z_]*\)=.*  *# \(.*\)$/\1\t\2/p' "$0"; }

# A name is letters before it is anything else: as a variable's name, `a[$(command)]` would run the command.
_is_option() { [[ $1 =~ ^--[a-z_]+$ ]] && { [ "$1" = --help ] || _options | cut -f 1 | grep -Fqx -- "${1#--}"; }; }

_reject() {
    echo "$(basename "$0"): $*; see --help" >&2
    exit 2
}

_help() {
    local name text
    _options | while IFS=$'\t' read -r name text; do printf '  --%-14s %s [%s]\n' "$name" "$text" "${!name}"; done
    echo
    sed -n 's/^# \(Stages: .*\)/\1/p' "$0"
}

_may_be_empty=" $(_options | while IFS=$'\t' read -r name _; do [ -n "${!name}" ] || echo -n "$name "; done)"

_check_value() { # name value
    local default=${!1}
    if [ -z "$2" ]; then
        [[ $_may_be_empty == *" $1 "* ]] || _reject "option '--$1' needs a value"
        return 0
    fi
    case $default:$2 in
    true:true | true:false | false:true | false:false) ;;
    true:* | false:*) _reject "option '--$1' takes true or false, not '$2'" ;;
    *) if [[ $default =~ ^[0-9]+$ && ! $2 =~ ^[0-9]+$ ]]; then
        _reject "option '--$1' takes a whole number, not '$2'"
    fi ;;
    esac
}

while [ $# -gt 0 ]; do
    case $1 in
    --)
        shift
        given=("$@")
        resume_with=("$PWD/${script:-run.sh}")
        continue
        ;;
    --help)
        _help
        exit 0
        ;;
    --*) ;;
    *) _reject "unexpected argument '$1'; options are --name value" ;;
    esac
    _is_option "$1" || _reject "unknown option '$1'"
    _name=${1#--}
    if [[ ${!_name} =~ ^(true|false)$ ]] && { [ $# -lt 2 ] || _is_option "$2"; }; then
        printf -v "$_name" true
        shift
        continue
    fi
    if [ $# -lt 2 ] || _is_option "$2"; then _reject "option '$1' needs a value"; fi
    _check_value "$_name" "$2"
    printf -v "$_name" '%s' "$2"
    shift 2
done
