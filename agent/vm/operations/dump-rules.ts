import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Domains } from "../hypervisor/domains.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import type { Vm } from "../model/vm.ts";
import { readSpec } from "./spec-change.ts";
import { known, requireState } from "./vm-state.ts";
import type { RunContext, WorkRun } from "./work.ts";

// What dumps of memory have in common, wherever libvirt writes them.

/** Beside the guest's memory a dump has that of its devices, and headers. */
const MORE_BYTES = 64 * 1024 * 1024;

export const bytesOf = ({ memoryBytes }: Pick<Vm, "memoryBytes">): number => memoryBytes + MORE_BYTES;

/** Throws `conflict` DUMP_NOT_ENCRYPTED and DUMP_UNSUPPORTED. */
export function requireDumpable({ name, spec }: Pick<Vm, "name" | "spec">, allowEncrypted: boolean): void {
  if (spec?.launchSecurity !== undefined)
    throw new SocleError(
      "conflict",
      "DUMP_UNSUPPORTED",
      `the memory of VM ${name} is encrypted, so that the host cannot dump it: have the guest's kernel dump it (kdump)`,
    );
  if (allowEncrypted || spec === undefined || keyedParts(spec).length === 0) return;
  const message = `VM ${name} has encrypted disks or a TPM, and the dump would have their data and secrets in clear: allow that (allow_encrypted, --allow-encrypted) if the dump is on encrypted storage`;
  throw new SocleError("conflict", "DUMP_NOT_ENCRYPTED", message);
}

/** As `requireDumpable`, as the VM is now: an operation admitted earlier may have changed it. Throws `conflict` VM_STATE_CONFLICT. */
export async function requireDumpableNow(
  context: RunContext,
  { vmId }: WorkRun,
  { name, allowEncrypted }: { readonly name: string; readonly allowEncrypted: boolean },
): Promise<void> {
  const { spec } = await readSpec(context, vmId);
  requireDumpable({ name, spec }, allowEncrypted);
  requireState((await known(context, vmId)).state, ["running", "paused"], "dumped");
}

/** Also for an agent that has died. */
export async function isBeingDumped(
  domains: Pick<Domains, "settledState" | "memoryDumps">,
  vmId: string,
): Promise<boolean> {
  await domains.settledState(vmId);
  return await domains.memoryDumps.isUnderWay(vmId);
}

export const cutShort = (cause?: unknown): SocleError =>
  new SocleError("conflict", "DUMP_CUT_SHORT", "a forced stop ended the VM before its memory was dumped", {
    cause,
  });

export const stillWriting = (): SocleError =>
  new SocleError("outcome_unknown", "EFFECT_UNDER_WAY", "libvirt is still writing the VM's memory");

/** libvirt may go on to write. */
export const mayGoOn = (thrown: unknown): boolean => toSocleError(thrown).kind === "outcome_unknown";
