# bash completion for socle; socle completion bash prints it.
_socle() {
  local word path="" words="" vms="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    case "$word" in
      -*) ;;
      *) case " $(_socle_commands "$path") " in *" $word "*) path="${path:+$path }$word" ;; esac ;;
    esac
  done
  case "$path" in
    "") words="agent status top vm inventory health events operations reservation cordon uncordon enroll trust audit doctor config version completion --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "agent") words="--config --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "status") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "top") words="--sort --filter --delay --once --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "vm") words="ls show create start stop reboot pause resume rm console --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "vm ls") words="--tenant --state --label --name --managed --unmanaged --quiet --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "vm show") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "vm create") words="--file --name --id --vcpus --memory --disk --encrypt --nic --kernel --initrd --cmdline --accelerator --firmware --tpm --launch-security --guest-agent --autostart --label --tenant --leave-stopped --dry-run --reservation --dedicated-cpus --isolate-emulator --strict --cell --page-size --device --request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "vm start") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "vm stop") words="--request-id --no-wait --timeout --grace --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "vm reboot") words="--request-id --no-wait --timeout --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "vm pause") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "vm resume") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "vm rm") words="--request-id --no-wait --timeout --keep-disks --erase --force --yes --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "vm console") words="--force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" vms=1 ;;
    "inventory") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "health") words="ack --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "health ack") words="--request-id --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "events") words="--after --since-start --no-follow --kind --vm --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "operations") words="ls show wait cancel --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "operations ls") words="--running --vm --limit --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "operations show") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "operations wait") words="--timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "operations cancel") words="--no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "reservation") words="ls create renew release --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "reservation ls") words="--all --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "reservation create") words="--vcpus --memory --accelerator --tenant --dedicated-cpus --isolate-emulator --strict --cell --page-size --device --request-id --ttl --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "reservation renew") words="--request-id --ttl --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "reservation release") words="--request-id --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "cordon") words="--reason --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "uncordon") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "enroll") words="--scheduler --token-file --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "trust") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "audit") words="verify show export checkpoint --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "audit verify") words="--directory --config --key --checkpoint --export --receipt --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "audit show") words="--directory --config --key --since --who --vm --tenant --denied --limit --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "audit export") words="--directory --config --key --since --who --vm --tenant --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "audit checkpoint") words="--directory --config --key --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "doctor") words="--config --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "config") words="check show --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "config check") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "config show") words="--example --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "version") words="--client --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "completion") words="bash --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
  esac
  word="${COMP_WORDS[COMP_CWORD]}"
  [[ -n "$vms" && "$word" != -* ]] && words="$words $(socle vm ls --quiet 2>/dev/null)"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
_socle_commands() {
  case "$1" in
    "") echo "agent status top vm inventory health events operations reservation cordon uncordon enroll trust audit doctor config version completion" ;;
    "vm") echo "ls show create start stop reboot pause resume rm console" ;;
    "health") echo "ack" ;;
    "operations") echo "ls show wait cancel" ;;
    "reservation") echo "ls create renew release" ;;
    "audit") echo "verify show export checkpoint" ;;
    "config") echo "check show" ;;
  esac
}
complete -F _socle socle
