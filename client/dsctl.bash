# Bash completion for dsctl: source client/dsctl.bash
# Ids of jobs and studies and names of workers are asked of the coordinator, with half a second of patience.

_dsctl_live() { "$1" "$2" list -o name --timeout 0.5 --retry 0 2>/dev/null; }

_dsctl() {
  local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local plain=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -o | --output | --coordinator | --timeout | --retry | --name | --key | --limit | --workers | --slots | --data | --log-level | --devices | --top | --fix | --tokens | --price | --model | --kind | --svg) ((i++)) ;;
      -*) ;;
      *) plain+=("${COMP_WORDS[i]}") ;;
    esac
  done
  local words=''
  case $before in
    -o | --output) words='table json yaml name' ;;
    --kind) words='history parallel slice pareto' ;;
    --svg) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --data) COMPREPLY=($(compgen -d -- "$word")); return ;;
    *)
      case "${plain[*]}" in
        '') words='job tune worker artifact cluster plan sim --help --version' ;;
        job) words='submit list get watch logs metrics result cancel pause resume schema' ;;
        tune) words='submit list get watch trials best importance export plot pause resume cancel' ;;
        worker) words='list drain undrain remove' ;;
        artifact) words='list put get' ;;
        plan) COMPREPLY=($(compgen -f -- "$word")); words='--cluster --devices --top --fix --tokens --price --software' ;;
        sim) words='scaling goodput validate' ;;
        cluster) words='up down status' ;;
        'job submit') COMPREPLY=($(compgen -f -- "$word")); words='--wait --name --key' ;;
        'job get' | 'job watch' | 'job metrics' | 'job result' | 'job cancel' | 'job pause' | 'job resume') words=$(_dsctl_live "$program" job) ;;
        'job logs') words="-f $(_dsctl_live "$program" job)" ;;
        'tune submit') COMPREPLY=($(compgen -f -- "$word")); words='--wait --name --key' ;;
        'tune get' | 'tune watch' | 'tune trials' | 'tune best' | 'tune importance' | 'tune pause' | 'tune resume' | 'tune cancel') words=$(_dsctl_live "$program" tune) ;;
        'tune export') words="--csv $(_dsctl_live "$program" tune)" ;;
        'tune plot') words="--svg --kind $(_dsctl_live "$program" tune)" ;;
        'artifact put') COMPREPLY=($(compgen -f -- "$word")) ;;
        'artifact get') words=$(_dsctl_live "$program" artifact) ;;
        'worker drain' | 'worker undrain' | 'worker remove') words=$(_dsctl_live "$program" worker) ;;
        'cluster up') words='--workers --slots --data --log-level' ;;
      esac
      [[ $word == -* ]] && words+=' --output --coordinator --timeout --retry --help'
      ;;
  esac
  COMPREPLY+=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _dsctl dsctl
