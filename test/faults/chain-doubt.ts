import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import { eventually } from "../support/wait.ts";
import type { FaultyHost } from "./host.ts";

/** Reasons of operations whose libvirtd died as it switched a guest to another file: a person decides them. */
const IN_DOUBT = /^(MOVE|MERGE)_IN_DOUBT$/;

/** The operation, once what its error tells a person to do for a guest that runs has ended it. Returns others as they are. */
export async function decided(host: FaultyHost, operation: Operation__Output): Promise<Operation__Output> {
  const { contract } = host.client;
  const { operationId, vmId } = operation;
  const errorOf = ({ error }: Operation__Output) =>
    error === null ? undefined : fromStatus(contract, error);
  const isInDoubt = (each: Operation__Output): boolean => IN_DOUBT.test(errorOf(each)?.reason ?? "");
  if (!isInDoubt(operation)) return operation;
  const newer = await fileOf(host, vmId);
  await host.witness.virsh("destroy", vmId);
  const definition = await host.witness.virsh("dumpxml", vmId, "--inactive", "--security-info");
  const source = new RegExp(`<source file='[^']*/socle-${vmId}-data[^']*'`);
  const named = definition.replace(source, `<source file='${newer}'`);
  if (named === definition) {
    // QEMU had not switched.
    const outcome = "OUTCOME_NOT_DONE" as const;
    await host.client.ask(contract.operations.SettleOperation, { operationId, outcome });
    const copy = errorOf(operation)?.details.metadata?.["volumes"]?.split(",")[1];
    if (operation.kind === "MOVE_DISK" && copy !== undefined) await host.witness.virsh("vol-delete", copy);
  } else {
    const file = join(host.agent.directory, "decided.xml");
    await writeFile(file, named);
    await host.witness.virsh("define", file);
  }
  return await eventually(
    async () => {
      const now = await host.client.ask(contract.operations.GetOperation, { operationId });
      return now.done && !isInDoubt(now) ? now : undefined;
    },
    { what: "the operation to end as decided", timeoutMs: 180_000, intervalMs: 200 },
  );
}

/** The file that the guest's QEMU writes to. */
async function fileOf({ witness }: FaultyHost, vmId: string): Promise<string> {
  const shown = await witness.virsh("qemu-monitor-command", vmId, "--hmp", "info block");
  const lines = shown.split("\n");
  const at = lines.findIndex((line) => line.includes("/machine/peripheral/ua-disk-data/"));
  const path = /^\S+: (\S+)/.exec(lines[at - 1] ?? "")?.[1];
  if (path === undefined) throw new Error(`QEMU shows no file of the disk:\n${shown}`);
  return path;
}
