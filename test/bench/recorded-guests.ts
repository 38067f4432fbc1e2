import { join } from "node:path";
import type { Domain, TypedParameter } from "../../agent/libvirt/index.ts";

/** The format of record-guests.ts. */
export const recordedGuests = join(import.meta.dirname, "../fixtures/libvirt/guests.json");

export interface RecordedGuest {
  readonly dom: Domain;
  readonly xml: string;
  /** From the bulk-stats reply. */
  readonly params: readonly TypedParameter[];
}
