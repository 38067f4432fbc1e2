import { join } from "node:path";
import * as z from "../../kernel/zod.ts";
import { runChild, type ChildOptions } from "../privileged/child.ts";
import { meaningful, readDmi } from "./dmi.ts";
import { Privileged } from "../privileged/privileged.ts";
import { isNotWatched, reading, valueOf, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";
import { messageOf } from "../../kernel/thrown.ts";

/** Vendor, model and serial number of this machine. Unknown fields are "". */
export interface MachineIdentity {
  readonly vendor: string;
  readonly model: string;
  readonly serial: string;
}

interface IdentifiedMachine {
  readonly identity: MachineIdentity;
  /** Why systeminformation's answer, or the serial number, is missing. */
  readonly incompleteReason?: string;
}

const PROBE_TIMEOUT_MS = 10_000;
const SERIAL_TIMEOUT_MS = 10_000;
const text = z.string().max(512).catch("");
const probeLine = z.object({ vendor: text, model: text, serial: text, boardVendor: text, boardModel: text });

/**
 * The command that runs the probe: Node on `probePath`. From source it needs this process's loader (`--import tsx`),
 * but no debugger option, since its port is in use.
 */
export function probeCommand(probePath: string): readonly [string, ...string[]] {
  const loader = process.execArgv.filter((flag) => !flag.startsWith("--inspect"));
  return [process.execPath, ...(probePath.endsWith(".ts") ? loader : []), probePath];
}

/** Runs systeminformation in a child for at most 10 s; the firmware's tables fill in missing fields. */
export async function identifyMachine(
  command: readonly [string, ...string[]],
  roots: Roots,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<IdentifiedMachine> {
  const child = { timeoutMs: PROBE_TIMEOUT_MS, maxOutputBytes: 65_536, ...options };
  const [probed, dmi] = await Promise.all([runProbe(command, child), readDmi(roots)]);
  const reported = valueOf(probed);
  const firmware = valueOf(dmi);
  const known = meaningful(reported?.serial) ?? firmware?.productSerial;
  const serial = known === undefined ? await askSerial(roots, options.signal) : undefined;
  const identity = {
    vendor:
      meaningful(reported?.vendor) ??
      firmware?.systemVendor ??
      meaningful(reported?.boardVendor) ??
      firmware?.boardVendor ??
      "",
    model:
      meaningful(reported?.model) ??
      firmware?.productName ??
      meaningful(reported?.boardModel) ??
      firmware?.boardName ??
      "",
    serial: known ?? (serial?.kind === "read" ? (meaningful(serial.value) ?? "") : ""),
  };
  const reasons = [
    ...(probed.kind === "read" ? [] : [`systeminformation: ${probed.reason}`]),
    // Without permission to read it, the operator accepts a missing serial number.
    ...(serial?.kind === "failed" && !isNotWatched(serial) ? [`serial number: ${serial.reason}`] : []),
  ];
  return defined({ identity, incompleteReason: reasons.length === 0 ? undefined : reasons.join("; ") });
}

/** Only root may read it. */
async function askSerial(roots: Roots, signal = new AbortController().signal): Promise<Reading<string>> {
  const privileged = new Privileged(roots);
  const ask = async (): Promise<string> => (await privileged.ask("serial", signal).output).stdout;
  return await reading(join(roots.sysRoot, "class/dmi/id/product_serial"), ask, SERIAL_TIMEOUT_MS);
}

async function runProbe(
  command: readonly [string, ...string[]],
  options: ChildOptions,
): Promise<Reading<z.output<typeof probeLine>>> {
  try {
    const { stdout } = await runChild(command, options).output;
    return { kind: "read", value: probeLine.parse(JSON.parse(stdout)) };
  } catch (cause) {
    return { kind: "failed", reason: messageOf(cause) };
  }
}
