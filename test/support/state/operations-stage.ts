import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import type { Operation } from "../../../agent/state/operations/operation.ts";
import { Operations, type OperationsOptions } from "../../../agent/state/operations/operations.ts";

export const never = new AbortController().signal;

export const dayMs = 86_400_000;

export const soonMs = 60_000;

export const open = (directory: string, options: Partial<OperationsOptions> = {}): Promise<Operations> =>
  Operations.open({ directory, clock: systemClock, log: silentLog, retentionMs: dayMs, ...options });

export const request = (requestId: string, more: object = {}) => ({
  requestId,
  caller: "operator",
  kind: "START_VM",
  vmId: "vm-1",
  fingerprint: "same",
  intent: { wanted: true },
  ...more,
});

export const nothing = (): Promise<Record<string, string>> => Promise.resolve({});

export const refusedAs = (kind: string, reason: string) => (error: unknown) =>
  error instanceof SocleError && error.kind === kind && error.reason === reason;

export const outcomes = (operation: Operation): (string | undefined)[][] =>
  operation.steps.map(({ name, outcome }) => [name, outcome]);

/** A finished operation. */
export async function done(operations: Operations, requestId: string, more: object = {}): Promise<Operation> {
  const { operation } = await operations.begin(request(requestId, more));
  operations.run(operation, nothing);
  return await operations.wait(operation.id, soonMs, never);
}

/** Copies the journal as a SIGKILL at this moment would leave it, into a new directory. */
export async function killed(directory: string, into: string): Promise<void> {
  await writeFile(join(into, "operations.journal"), await readFile(join(directory, "operations.journal")));
}

/** A clock that a test sets. */
export function setClock(): { clock: Clock; pass: (ms: number) => void; stepWall: (ms: number) => void } {
  let monotonic = 0;
  let wall = 1_700_000_000_000;
  return {
    clock: { ...systemClock, now: () => wall, monotonicMs: () => monotonic },
    pass: (ms) => {
      monotonic += ms;
      wall += ms;
    },
    stepWall: (ms) => {
      wall += ms;
    },
  };
}
