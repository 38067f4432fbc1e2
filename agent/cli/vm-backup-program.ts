import { Option, type Command as Cli } from "commander";
import { requestKinds, type RequestKind } from "./backup/host-requests.ts";
import { usageError } from "./errors.ts";
import {
  addMutationOptions,
  collect,
  duration,
  noWaitOption,
  quiesceOption,
  requestIdOption,
} from "./options.ts";
import type { Bind } from "./session.ts";

const HOUR_MS = 3_600_000;
const VM = ["<vm>", "Its name or id."] as const;

/** `socle vm backup`. */
export function addVmBackups(vm: Cli, bind: Bind): void {
  const backups = vm
    .command("backup")
    .description("Backups of a VM's disks in a directory, also while it runs.");
  const load = () => import("./commands/vm-backup.ts");
  addDiskOptions(
    backups
      .command("create")
      .description(
        "Back a VM up: only what has changed since the newest backup in the directory, where that is possible.",
      )
      .argument(...VM)
      .requiredOption("--to <directory>", "The VM's own directory: qcow2 files and a manifest.")
      .option("--full", "Read the disks whole."),
  )
    .addOption(
      passphraseOption("Encrypt the files with the passphrase in this file: for a VM with encrypted disks."),
    )
    .action(bind(async () => (await load()).createBackup));
  backups
    .command("ls")
    .alias("list")
    .description("The backups that the host knows: the open one of a VM, and the newest complete one.")
    .argument("[vm]", "Its name or id. Default: all VMs.")
    .option("--open", "Only those that are open.")
    .action(bind(async () => (await load()).listBackups));
  addDiskOptions(
    backups
      .command("open")
      .description("Open a backup for a program that reads it by NBD, and print where.")
      .argument(...VM)
      .option("--nbd-tls", "For a program on another host: over TLS, at backups.nbdAddress.")
      .option("--allow-encrypted", "Also encrypted disks, whose data the program then reads in clear.")
      .option("--base <backup>", "Only what has changed since this one, the newest complete one."),
  )
    .addOption(leaseOption())
    .addOption(requestIdOption())
    .addOption(noWaitOption())
    .action(bind(async () => (await load()).openForReaders));
  backups
    .command("renew")
    .description("Keep an open backup for longer: programs that read it by NBD do not.")
    .argument(...VM)
    .argument("<backup>", "Its id.")
    .addOption(leaseOption())
    .action(bind(async () => (await load()).renewBackup));
  addMutationOptions(
    backups.command("end").description("End a backup that is open: abandon it, or complete it."),
  )
    .argument(...VM)
    .argument("<backup>", "Its id.")
    .option("--complete", "It was read whole and is durable: the next one may be over it.")
    .action(bind(async () => (await load()).endBackup));
  backups
    .command("verify")
    .description("Read a directory of backups again and compare the digests. Needs no agent.")
    .argument("<directory>", "Where socle vm backup create wrote them.")
    .option("--backup <id>", "Only this backup, and what it needs.")
    .action(bind(async () => (await import("./commands/backup-verify.ts")).verifyBackup));
}

const addDiskOptions = (command: Cli): Cli =>
  command.addOption(quiesceOption()).option("--disk <name>", "Only this disk; may be repeated.", collect);

const passphraseOption = (description: string): Option => new Option("--passphrase-file <file>", description);

const leaseOption = (): Option =>
  new Option(
    "--lease <duration>",
    "Abandon it after this time without a renewal or a read by the agent: 1m to 24h.",
  )
    .argParser(duration("--lease"))
    .default(HOUR_MS, "1h");

/** `socle vm restore`. */
export function addVmRestore(vm: Cli, bind: Bind): void {
  addRestoreOptions(vm.command("restore"))
    .description("Make a VM of a backup. It has a new id and new MAC addresses, unless you keep them.")
    .argument("<directory>", "Where socle vm backup create wrote it.")
    .option("--backup <id>", "This backup in place of the newest.")
    .action(bind(async () => (await import("./commands/vm-restore.ts")).restoreVm));
}

const addRestoreOptions = (command: Cli): Cli =>
  command
    .option("--name <name>", "Its name, unique on the host; default: as before.")
    .addOption(new Option("--id <which>", "Its id.").choices(["new", "keep"]).default("new"))
    .option("--keep-macs", "With the MAC addresses of before: for a VM that is gone.")
    .option("--pool <pool>", "The storage pool of all its disks; default: as before.")
    .addOption(passphraseOption("The passphrase of encrypted files is in this file."))
    .option("--start", "Start it afterwards.")
    .addOption(kindsOption("--accept <kinds>", "Give it these of what its spec requests of this host"))
    .addOption(kindsOption("--without <kinds>", "Leave these of its spec's requests out"))
    .option("-y, --yes", "Accept all that its spec requests: do not ask.")
    .option("--tenant <tenant>", 'Its tenant in place of the spec\'s; "": none.')
    .option(
      "--nic <nic=network>",
      "The network of a NIC in place of the spec's, or bridge:NAME; may be repeated.",
      collect,
    )
    .option("--dry-run", "Show the VM and what its spec requests of this host, and change nothing.");

const kindsOption = (flags: string, description: string): Option =>
  new Option(flags, `${description}; separated by commas, may be repeated.`)
    .choices(requestKinds)
    .argParser((text: string, before: readonly RequestKind[] | undefined) => [
      ...(before ?? []),
      ...parseKinds(flags, text),
    ]);

function parseKinds(flags: string, text: string): readonly RequestKind[] {
  const isKind = (word: string): word is RequestKind => requestKinds.some((kind) => kind === word);
  const words = text.split(",");
  const wrong = words.find((word) => !isKind(word));
  if (wrong === undefined) return words.filter(isKind);
  throw usageError(`${flags.split(" ")[0] ?? ""} takes ${requestKinds.join(", ")}, not '${wrong}'`);
}

/** `socle vm export` and `socle vm import`. */
export function addVmArchives(vm: Cli, bind: Bind): void {
  const load = () => import("./commands/vm-export.ts");
  vm.command("export")
    .description("Write a VM with its disks as one archive (tar), also while it runs.")
    .argument(...VM)
    .argument("<file>", "The archive; - is stdout.")
    .addOption(quiesceOption())
    .addOption(
      passphraseOption("Encrypt the disks with the passphrase in this file: for a VM with encrypted disks."),
    )
    .action(bind(async () => (await load()).exportVm));
  addRestoreOptions(vm.command("import"))
    .description("Make a VM of an archive of socle vm export.")
    .argument("<file>", "The archive.")
    .action(bind(async () => (await load()).importVm));
}
