# bash completion for socle; socle completion bash prints it.
_socle() {
  local word path="" words="" ask="" i
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
    "vm show") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "vm create") words="--file --name --id --vcpus --memory --disk --encrypt --nic --kernel --initrd --cmdline --accelerator --firmware --tpm --launch-security --guest-agent --autostart --label --tenant --leave-stopped --dry-run --reservation --dedicated-cpus --isolate-emulator --strict --cell --page-size --device --request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "vm start") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "vm stop") words="--request-id --no-wait --timeout --grace --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "vm reboot") words="--request-id --no-wait --timeout --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "vm pause") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "vm resume") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "vm rm") words="--request-id --no-wait --timeout --keep-disks --erase --force --yes --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "vm console") words="--force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
    "inventory") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "health") words="ack --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "health ack") words="--request-id --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=condition ;;
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
    "config check") words="--config --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=file ;;
    "config show") words="--config --example --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=file ;;
    "version") words="--client --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
    "completion") words="bash --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
  esac
  word="${COMP_WORDS[COMP_CWORD]}"
  case "$path ${COMP_WORDS[COMP_CWORD - 1]}" in
    "--socket") ask=files ;;
    "--person-file") ask=files ;;
    "agent --config") ask=files ;;
    "agent --socket") ask=files ;;
    "agent --person-file") ask=files ;;
    "status --socket") ask=files ;;
    "status --person-file") ask=files ;;
    "top --sort") words="cpu memory disk network name" ;;
    "top --socket") ask=files ;;
    "top --person-file") ask=files ;;
    "vm --socket") ask=files ;;
    "vm --person-file") ask=files ;;
    "vm ls --socket") ask=files ;;
    "vm ls --person-file") ask=files ;;
    "vm show --socket") ask=files ;;
    "vm show --person-file") ask=files ;;
    "vm create --file") ask=files ;;
    "vm create --accelerator") words="kvm tcg" ;;
    "vm create --firmware") words="bios uefi uefi-secure-boot" ;;
    "vm create --launch-security") words="sev sev-snp tdx" ;;
    "vm create --socket") ask=files ;;
    "vm create --person-file") ask=files ;;
    "vm start --socket") ask=files ;;
    "vm start --person-file") ask=files ;;
    "vm stop --socket") ask=files ;;
    "vm stop --person-file") ask=files ;;
    "vm reboot --socket") ask=files ;;
    "vm reboot --person-file") ask=files ;;
    "vm pause --socket") ask=files ;;
    "vm pause --person-file") ask=files ;;
    "vm resume --socket") ask=files ;;
    "vm resume --person-file") ask=files ;;
    "vm rm --socket") ask=files ;;
    "vm rm --person-file") ask=files ;;
    "vm console --socket") ask=files ;;
    "vm console --person-file") ask=files ;;
    "inventory --socket") ask=files ;;
    "inventory --person-file") ask=files ;;
    "health --socket") ask=files ;;
    "health --person-file") ask=files ;;
    "health ack --socket") ask=files ;;
    "health ack --person-file") ask=files ;;
    "events --socket") ask=files ;;
    "events --person-file") ask=files ;;
    "operations --socket") ask=files ;;
    "operations --person-file") ask=files ;;
    "operations ls --socket") ask=files ;;
    "operations ls --person-file") ask=files ;;
    "operations show --socket") ask=files ;;
    "operations show --person-file") ask=files ;;
    "operations wait --socket") ask=files ;;
    "operations wait --person-file") ask=files ;;
    "operations cancel --socket") ask=files ;;
    "operations cancel --person-file") ask=files ;;
    "reservation --socket") ask=files ;;
    "reservation --person-file") ask=files ;;
    "reservation ls --socket") ask=files ;;
    "reservation ls --person-file") ask=files ;;
    "reservation create --accelerator") words="kvm tcg" ;;
    "reservation create --socket") ask=files ;;
    "reservation create --person-file") ask=files ;;
    "reservation renew --socket") ask=files ;;
    "reservation renew --person-file") ask=files ;;
    "reservation release --socket") ask=files ;;
    "reservation release --person-file") ask=files ;;
    "cordon --socket") ask=files ;;
    "cordon --person-file") ask=files ;;
    "uncordon --socket") ask=files ;;
    "uncordon --person-file") ask=files ;;
    "enroll --token-file") ask=files ;;
    "enroll --socket") ask=files ;;
    "enroll --person-file") ask=files ;;
    "trust --socket") ask=files ;;
    "trust --person-file") ask=files ;;
    "audit --socket") ask=files ;;
    "audit --person-file") ask=files ;;
    "audit verify --directory") ask=files ;;
    "audit verify --config") ask=files ;;
    "audit verify --key") ask=files ;;
    "audit verify --checkpoint") ask=files ;;
    "audit verify --export") ask=files ;;
    "audit verify --receipt") ask=files ;;
    "audit verify --socket") ask=files ;;
    "audit verify --person-file") ask=files ;;
    "audit show --directory") ask=files ;;
    "audit show --config") ask=files ;;
    "audit show --key") ask=files ;;
    "audit show --socket") ask=files ;;
    "audit show --person-file") ask=files ;;
    "audit export --directory") ask=files ;;
    "audit export --config") ask=files ;;
    "audit export --key") ask=files ;;
    "audit export --socket") ask=files ;;
    "audit export --person-file") ask=files ;;
    "audit checkpoint --directory") ask=files ;;
    "audit checkpoint --config") ask=files ;;
    "audit checkpoint --key") ask=files ;;
    "audit checkpoint --socket") ask=files ;;
    "audit checkpoint --person-file") ask=files ;;
    "doctor --config") ask=files ;;
    "doctor --socket") ask=files ;;
    "doctor --person-file") ask=files ;;
    "config --socket") ask=files ;;
    "config --person-file") ask=files ;;
    "config check --config") ask=files ;;
    "config check --socket") ask=files ;;
    "config check --person-file") ask=files ;;
    "config show --config") ask=files ;;
    "config show --socket") ask=files ;;
    "config show --person-file") ask=files ;;
    "version --socket") ask=files ;;
    "version --person-file") ask=files ;;
    "completion --socket") ask=files ;;
    "completion --person-file") ask=files ;;
    *)
      if [[ "$word" != -* ]]; then
        case "$ask" in
          vm) words="$words $(socle vm ls --quiet 2>/dev/null)" ;;
          condition) words="$words $(socle health 2>/dev/null | awk '/held until/ { print $1 }' | sort -u)" ;;
          file) ask=files ;;
        esac
      fi
      ;;
  esac
  if [[ "$ask" == files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  fi
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
