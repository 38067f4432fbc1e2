import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { SocleError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { deviceName } from "../../contract/spec-values.ts";

const schema = z.object({
  /** The disks whose restoration has begun and is not complete. */
  restoring: z.array(deviceName),
});

/** Of a VM that was created to stay off, and has never started: its disks may be restored. */
export type Unstarted = Immutable<z.output<typeof schema>>;

export const unstarted: Unstarted = { restoring: [] };

/** Throws if the text is not what `unstartedText` returned. */
export const unstartedOf = (text: string): Unstarted => schema.parse(parseJson(text));

export const unstartedText = (value: Unstarted): string => JSON.stringify(value);

/** Throws `conflict` VM_RESTORE_INCOMPLETE. */
export function requireRestored({ name, unstarted: { restoring = [] } = {} }: Named): void {
  if (restoring.length === 0) return;
  const message =
    `the restoration of disk ${restoring.join(", ")} of VM ${name} is not complete, so its disks may be half written: ` +
    "restore it again (RestoreDisk), or delete the VM";
  throw new SocleError("conflict", "VM_RESTORE_INCOMPLETE", message, {
    details: { metadata: { disks: restoring.join(",") } },
  });
}

interface Named {
  readonly name: string;
  readonly unstarted?: Partial<Unstarted> | undefined;
}
