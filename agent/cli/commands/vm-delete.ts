import type { SocleError } from "../../kernel/errors.ts";
import { confirm } from "../confirm.ts";
import type { Vm__Output } from "../../gen/socle/v1/Vm.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { enumWord, printable } from "../format.ts";
import { usageError } from "../errors.ts";
import type { Command } from "../session.ts";
import { diskText } from "./vm-list.ts";

interface Options extends MutationOptions {
  readonly keepDisks?: boolean;
  readonly erase?: boolean;
  readonly force?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** Deletes a VM. On a terminal it lists what is deleted and asks for confirmation; without one it requires --yes. */
export const deleteVm: Command = async (session, [name = ""], options: Options) => {
  const keepDisks = options.keepDisks === true;
  const asks = options.yes !== true && options.dryRun !== true;
  if (asks && (session.json || session.io.stdin.isTTY !== true)) throw unconfirmed(name, session.json);
  let etag = "";
  if (asks || options.dryRun === true) {
    const agent = await session.agent();
    const vm = await agent.ask(agent.contract.vms.GetVm, { vm: name });
    if (options.dryRun === true) {
      if (session.json) session.printJson({ vm, destroys: destroyed(vm, keepDisks) });
      else session.print(`${describe(vm, keepDisks)}nothing changed (--dry-run)\n`);
      return undefined;
    }
    session.io.stderr.write(describe(vm, keepDisks));
    await confirm(session, `Delete ${printable(vm.name)}? [y/N] `);
    // The delete applies to the VM that was shown: a change since then refuses it.
    etag = vm.etag;
  }
  const request = {
    vm: name,
    keepDisks,
    eraseDisks: options.erase === true,
    force: options.force === true,
    etag,
  };
  return mutate(session, options, ({ vms }) => vms.DeleteVm, request);
};

function unconfirmed(vm: string, json: boolean): SocleError {
  const why = json ? "--json does not prompt" : "stdin is not a terminal, so there is no prompt";
  return usageError(
    `VM ${vm} was not deleted: ${why}; add --yes to delete it, or --dry-run to see what would be destroyed`,
  );
}

const destroyed = (vm: Vm__Output, keepDisks: boolean): string[] =>
  keepDisks ? [] : (vm.spec?.disks ?? []).filter(({ newVolume }) => newVolume).map(diskText);

function describe(vm: Vm__Output, keepDisks: boolean): string {
  const lines = [`VM ${vm.name} (${vm.vmId}), ${enumWord(vm.state, "VM_STATE")}`];
  const gone = destroyed(vm, keepDisks);
  const kept = (vm.spec?.disks ?? []).map(diskText).filter((text) => !gone.includes(text));
  lines.push(
    ...gone.map((text) => `  is destroyed: disk ${text}`),
    ...kept.map((text) => `  is kept: disk ${text}`),
  );
  return lines.map((line) => `${printable(line)}\n`).join("");
}
