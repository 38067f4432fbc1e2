import type { Command as Cli } from "commander";
import { collect, duration } from "./options.ts";
import type { Bind } from "./session.ts";

/** The commands on the inside of guests, through the guest agent. */
export function addGuest(program: Cli, bind: Bind): void {
  const guest = program
    .command("guest")
    .description("Inside a running guest, through its agent (vm create --guest-agent, qemu-guest-agent).");
  const load = () => import("./commands/guest.ts");
  const command = (name: string, description: string): Cli =>
    guest.command(name).description(description).argument("<vm>", "Its name or id.");
  command("info", "What the guest reports: system, addresses, file systems, users, its clock.").action(
    bind(async () => (await load()).guestInfo),
  );
  command("password", "Set a user's password: from a prompt, or from stdin if it is no terminal.")
    .argument("<user>", "The user in the guest.")
    .option("--hashed", "The password is a hash as crypt(3) makes it.")
    .action(bind(async () => (await load()).guestPassword));
  command("ssh-keys", "Add SSH keys to a user's authorized keys.")
    .argument("<user>", "The user in the guest.")
    .option("--key-file <file>", "Public keys, one a line; - is stdin. May be repeated.", collect)
    .option("--replace", "Replace all of the user's keys; without --key-file, remove them.")
    .action(bind(async () => (await load()).guestSshKeys));
  command("trim", "Discard the unused blocks of the guest's file systems.").action(
    bind(async () => (await load()).guestTrim),
  );
  command("sync-time", "Set the guest's clock to the host's.").action(
    bind(async () => (await load()).guestSyncTime),
  );
  command("freeze", "Freeze the guest's file systems, for a consistent copy of its disks by other means.")
    .option("--for <duration>", "For how long at most, 1s to 5m; default 30s.", duration("--for"))
    .action(bind(async () => (await load()).guestFreeze));
  command("thaw", "Thaw the guest's file systems.").action(bind(async () => (await load()).guestThaw));
  command("exec", "Run a program in the guest and print its output. Write -- before the program.")
    .argument("<program>", "Its path in the guest.")
    .argument("[arguments...]", "Its arguments.")
    .option("--env <name=value>", "A variable of its environment; may be repeated.", collect)
    .option("--input", "Pass stdin to it, at most 64 KiB.")
    .option("--wait <duration>", "How long it may take, at most 5m; default 30s.", duration("--wait"))
    .action(bind(async () => (await load()).guestExec));
}
