# bash completion for socle; socle completion bash prints it.
_socle() {
  local word place="" words="" ask="" name i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${place:+$place }${COMP_WORDS[i]}" in
      "agent") place="agent" ;;
      "status") place="status" ;;
      "top") place="top" ;;
      "vm") place="vm" ;;
      "vm ls" | "vm list") place="vm ls" ;;
      "vm show") place="vm show" ;;
      "vm create") place="vm create" ;;
      "vm start") place="vm start" ;;
      "vm stop") place="vm stop" ;;
      "vm reboot") place="vm reboot" ;;
      "vm pause") place="vm pause" ;;
      "vm resume") place="vm resume" ;;
      "vm update") place="vm update" ;;
      "vm disk") place="vm disk" ;;
      "vm disk attach") place="vm disk attach" ;;
      "vm disk detach") place="vm disk detach" ;;
      "vm disk update") place="vm disk update" ;;
      "vm disk insert") place="vm disk insert" ;;
      "vm disk eject") place="vm disk eject" ;;
      "vm disk move") place="vm disk move" ;;
      "vm disk resize") place="vm disk resize" ;;
      "vm snapshot") place="vm snapshot" ;;
      "vm snapshot create") place="vm snapshot create" ;;
      "vm snapshot ls" | "vm snapshot list") place="vm snapshot ls" ;;
      "vm snapshot show") place="vm snapshot show" ;;
      "vm snapshot rm" | "vm snapshot delete") place="vm snapshot rm" ;;
      "vm snapshot revert") place="vm snapshot revert" ;;
      "vm backup") place="vm backup" ;;
      "vm backup create") place="vm backup create" ;;
      "vm backup ls" | "vm backup list") place="vm backup ls" ;;
      "vm backup open") place="vm backup open" ;;
      "vm backup renew") place="vm backup renew" ;;
      "vm backup end") place="vm backup end" ;;
      "vm backup verify") place="vm backup verify" ;;
      "vm restore") place="vm restore" ;;
      "vm export") place="vm export" ;;
      "vm import") place="vm import" ;;
      "vm nic") place="vm nic" ;;
      "vm nic attach") place="vm nic attach" ;;
      "vm nic detach") place="vm nic detach" ;;
      "vm nic update") place="vm nic update" ;;
      "vm pci") place="vm pci" ;;
      "vm pci attach") place="vm pci attach" ;;
      "vm pci detach") place="vm pci detach" ;;
      "vm suspend") place="vm suspend" ;;
      "vm discard-saved-state") place="vm discard-saved-state" ;;
      "vm nmi") place="vm nmi" ;;
      "vm rm" | "vm delete") place="vm rm" ;;
      "vm console") place="vm console" ;;
      "vm screen") place="vm screen" ;;
      "vm screenshot") place="vm screenshot" ;;
      "vm rescue") place="vm rescue" ;;
      "vm unrescue") place="vm unrescue" ;;
      "vm seed") place="vm seed" ;;
      "vm dump") place="vm dump" ;;
      "image") place="image" ;;
      "image ls" | "image list") place="image ls" ;;
      "image show") place="image show" ;;
      "image import") place="image import" ;;
      "image rm" | "image delete") place="image rm" ;;
      "image prune") place="image prune" ;;
      "guest") place="guest" ;;
      "guest info") place="guest info" ;;
      "guest password") place="guest password" ;;
      "guest ssh-keys") place="guest ssh-keys" ;;
      "guest trim") place="guest trim" ;;
      "guest sync-time") place="guest sync-time" ;;
      "guest freeze") place="guest freeze" ;;
      "guest thaw") place="guest thaw" ;;
      "guest exec") place="guest exec" ;;
      "inventory") place="inventory" ;;
      "pool") place="pool" ;;
      "pool ls" | "pool list") place="pool ls" ;;
      "volume") place="volume" ;;
      "volume ls" | "volume list") place="volume ls" ;;
      "volume create") place="volume create" ;;
      "volume resize") place="volume resize" ;;
      "volume rm" | "volume delete") place="volume rm" ;;
      "network") place="network" ;;
      "network ls" | "network list") place="network ls" ;;
      "health") place="health" ;;
      "health ack") place="health ack" ;;
      "events") place="events" ;;
      "operations" | "ops") place="operations" ;;
      "operations ls" | "operations list") place="operations ls" ;;
      "operations show") place="operations show" ;;
      "operations wait") place="operations wait" ;;
      "operations cancel") place="operations cancel" ;;
      "operations settle") place="operations settle" ;;
      "reservation") place="reservation" ;;
      "reservation ls" | "reservation list") place="reservation ls" ;;
      "reservation create") place="reservation create" ;;
      "reservation renew") place="reservation renew" ;;
      "reservation release") place="reservation release" ;;
      "tenants") place="tenants" ;;
      "cordon") place="cordon" ;;
      "uncordon") place="uncordon" ;;
      "host") place="host" ;;
      "host stop-guests") place="host stop-guests" ;;
      "host epoch") place="host epoch" ;;
      "host epoch reset") place="host epoch reset" ;;
      "enroll") place="enroll" ;;
      "trust") place="trust" ;;
      "audit") place="audit" ;;
      "audit verify") place="audit verify" ;;
      "audit show") place="audit show" ;;
      "audit export") place="audit export" ;;
      "audit checkpoint") place="audit checkpoint" ;;
      "doctor") place="doctor" ;;
      "config") place="config" ;;
      "config check") place="config check" ;;
      "config show") place="config show" ;;
      "version") place="version" ;;
      "completion") place="completion" ;;
    esac
  done
  if ! _socle_value "${COMP_WORDS[COMP_CWORD - 1]}"; then
    case "$place" in
      "") words="agent status top vm image guest inventory pool volume network health events operations reservation tenants cordon uncordon host enroll trust audit doctor config version completion --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "agent") words="--config --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "status") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "top") words="--sort --filter --delay --once --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm") words="ls show create start stop reboot pause resume update disk snapshot backup restore export import nic pci suspend discard-saved-state nmi rm console screen screenshot rescue unrescue seed dump --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm ls") words="--tenant --state --label --name --managed --unmanaged --quiet --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm show") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm create") words="--file --example --name --id --vcpus --max-vcpus --memory --max-memory --disk --image --disk-size --cdrom --encrypt --nic --kernel --initrd --cmdline --accelerator --firmware --tpm --launch-security --hostname --ssh-key --user-data --network-config --seed-pool --guest-agent --autostart --start-priority --start-delay --crash-policy --label --tenant --leave-stopped --dry-run --reservation --dedicated-cpus --isolate-emulator --strict --cell --page-size --device --graphics --watchdog --request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm start") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm stop") words="--request-id --no-wait --timeout --grace --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm reboot") words="--request-id --no-wait --timeout --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm pause") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm resume") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm update") words="--request-id --no-wait --timeout --graphics --watchdog --label --remove-label --autostart --no-autostart --start-priority --start-delay --crash-policy --vcpus --max-vcpus --memory --max-memory --cpu-mode --cpu-model --boot --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm disk") words="attach detach update insert eject move resize --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm disk attach") words="--request-id --no-wait --timeout --dry-run --name --image --read-only --encrypt --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm disk detach") words="--request-id --no-wait --timeout --dry-run --delete-volume --yes --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm disk update") words="--request-id --no-wait --timeout --dry-run --total-rate --read-rate --write-rate --total-iops --read-iops --write-iops --total-burst-rate --read-burst-rate --write-burst-rate --total-burst-iops --read-burst-iops --write-burst-iops --burst-seconds --no-limits --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm disk insert") words="--request-id --no-wait --timeout --dry-run --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm disk eject") words="--request-id --no-wait --timeout --dry-run --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm disk move") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm disk resize") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm snapshot") words="create ls show rm revert --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm snapshot create") words="--request-id --no-wait --timeout --dry-run --description --quiesce --memory --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm snapshot ls") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm snapshot show") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm snapshot rm") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm snapshot revert") words="--request-id --no-wait --timeout --dry-run --force --discard-memory --yes --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm backup") words="create ls open renew end verify --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm backup create") words="--to --full --quiesce --disk --passphrase-file --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm backup ls") words="--open --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm backup open") words="--nbd-tls --allow-encrypted --base --quiesce --disk --lease --request-id --no-wait --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm backup renew") words="--lease --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm backup end") words="--request-id --no-wait --timeout --complete --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm backup verify") words="--backup --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm restore") words="--name --id --keep-macs --pool --passphrase-file --start --accept --without --yes --tenant --nic --dry-run --backup --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm export") words="--quiesce --passphrase-file --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm import") words="--name --id --keep-macs --pool --passphrase-file --start --accept --without --yes --tenant --nic --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=file ;;
      "vm nic") words="attach detach update --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm nic attach") words="--request-id --no-wait --timeout --dry-run --name --mac --allowed-address --allow-spoofing --link-down --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm nic detach") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm nic update") words="--request-id --no-wait --timeout --dry-run --link --inbound-rate --outbound-rate --inbound-burst --outbound-burst --no-limits --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm pci") words="attach detach --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "vm pci attach") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm pci detach") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm suspend") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm discard-saved-state") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm nmi") words="--request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm rm") words="--request-id --no-wait --timeout --keep-disks --erase --force --yes --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm console") words="--force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm screen") words="--port --viewer --no-viewer --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm screenshot") words="--output --screen --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm rescue") words="--request-id --no-wait --timeout --grace --dry-run --image --volume --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm unrescue") words="--request-id --no-wait --timeout --grace --dry-run --force --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm seed") words="--request-id --no-wait --timeout --hostname --ssh-key --no-ssh-keys --user-data --no-user-data --network-config --no-network-config --seed-pool --run-again --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "vm dump") words="--request-id --no-wait --timeout --format --volume --pool --allow-encrypted --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "image") words="ls show import rm prune --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "image ls") words="--tenant --quiet --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "image show") words="--tenant --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=image ;;
      "image import") words="--volume --sha256 --name --format --pool --tenant --request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "image rm") words="--yes --tenant --request-id --no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=image ;;
      "image prune") words="--older-than --above --unused-for --tenant --yes --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "guest") words="info password ssh-keys trim sync-time freeze thaw exec --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "guest info") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "guest password") words="--hashed --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "guest ssh-keys") words="--key-file --replace --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "guest trim") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "guest sync-time") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "guest freeze") words="--for --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "guest thaw") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "guest exec") words="--env --input --wait --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=vm ;;
      "inventory") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "pool") words="ls --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "pool ls") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "volume") words="ls create resize rm --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "volume ls") words="--pool --quiet --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "volume create") words="--request-id --no-wait --timeout --dry-run --pool --size --format --tenant --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "volume resize") words="--request-id --no-wait --timeout --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=volume ;;
      "volume rm") words="--request-id --no-wait --timeout --dry-run --erase --yes --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=volume ;;
      "network") words="ls --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "network ls") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "health") words="ack --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "health ack") words="--request-id --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ask=condition ;;
      "events") words="--after --since-start --no-follow --kind --vm --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "operations") words="ls show wait cancel settle --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "operations ls") words="--running --vm --limit --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "operations show") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "operations wait") words="--timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "operations cancel") words="--no-wait --timeout --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "operations settle") words="--as --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "reservation") words="ls create renew release --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "reservation ls") words="--all --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "reservation create") words="--vcpus --memory --accelerator --tenant --dedicated-cpus --isolate-emulator --strict --cell --page-size --device --request-id --ttl --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "reservation renew") words="--request-id --ttl --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "reservation release") words="--request-id --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "tenants") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "cordon") words="--reason --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "uncordon") words="--version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "host") words="stop-guests epoch --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "host stop-guests") words="--timeout --parallel --force --at-shutdown --yes --dry-run --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "host epoch") words="reset --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "host epoch reset") words="--to --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
      "enroll") words="--scheduler --token-file --authority-fingerprint --version --socket --address --control-epoch --person-file --ticket --break-glass --json --help" ;;
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
  fi
  word="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  if [[ "$word" == -* ]]; then ask=""; fi
  # Without a reply the shell completes file names itself.
  if [[ "$ask" == file ]]; then return; fi
  compopt +o default 2>/dev/null || true
  while IFS= read -r name; do
    # Tenants choose VM names: quote each, so that the shell runs none of it.
    printf -v name %q "$name"
    if [[ "$name" == "$word"* ]]; then COMPREPLY+=("$name"); fi
  done < <(
    for name in $words; do printf '%s\n' "$name"; done
    case "$ask" in
      vm) socle vm ls --quiet 2>/dev/null ;;
      volume) socle volume ls --quiet 2>/dev/null ;;
      image) socle image ls --quiet 2>/dev/null ;;
      condition) socle health 2>/dev/null | awk '/held until|socle health ack/ { print $1 }' | sort -u ;;
    esac
  )
}
# Sets the completion for an option's value; fails for an option without one.
_socle_value() {
  case "$place $1" in
    "vm create --id") : ;;
    "vm restore --id" | "vm import --id") words="new keep" ;;
    "vm dump --format") words="elf kdump-zlib" ;;
    "image import --format") words="qcow2 raw vmdk vhdx" ;;
    "volume create --format") words="qcow2 raw" ;;
    *) _socle_value_anywhere "$1" ;;
  esac
}
_socle_value_anywhere() {
  case "$1" in
    --socket | --person-file | --config | -f | --file | --user-data | --network-config | --passphrase-file | -o | --output | --key-file | --token-file | --directory | --key | --checkpoint | --export | --receipt) ask=file ;;
    --address | --control-epoch | --ticket | --break-glass | --filter | --delay | --tenant | --state | --label | --name | --vcpus | --max-vcpus | --memory | --max-memory | --disk | --disk-size | --cdrom | --nic | --kernel | --initrd | --cmdline | --hostname | --ssh-key | --seed-pool | --start-priority | --start-delay | --reservation | --cell | --page-size | --device | --request-id | --timeout | --grace | --remove-label | --cpu-model | --boot | --total-rate | --read-rate | --write-rate | --total-iops | --read-iops | --write-iops | --total-burst-rate | --read-burst-rate | --write-burst-rate | --total-burst-iops | --read-burst-iops | --write-burst-iops | --burst-seconds | --description | --to | --base | --lease | --backup | --pool | --mac | --allowed-address | --inbound-rate | --outbound-rate | --inbound-burst | --outbound-burst | --port | --viewer | --screen | --volume | --sha256 | --older-than | --above | --unused-for | --for | --env | --wait | --size | --after | --kind | --limit | --ttl | --reason | --parallel | --scheduler | --authority-fingerprint | --since | --who) : ;;
    --sort) words="cpu memory disk network name" ;;
    --image) ask=image ;;
    --accelerator) words="kvm tcg" ;;
    --firmware) words="bios uefi uefi-secure-boot" ;;
    --launch-security) words="sev sev-snp tdx" ;;
    --crash-policy) words="stop restart" ;;
    --graphics) words="vnc off" ;;
    --watchdog) words="reset poweroff pause none off" ;;
    --cpu-mode) words="host-passthrough host-model custom default" ;;
    --accept | --without) words="tenant networks bridges addresses spoofing volumes devices placement launch-security autostart" ;;
    --link) words="up down" ;;
    --vm) ask=vm ;;
    --as) words="done not-done" ;;
    *) return 1 ;;
  esac
}
complete -o default -F _socle socle
