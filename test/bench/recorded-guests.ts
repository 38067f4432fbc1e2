import { join } from "node:path";
import type { Domain, TypedParameter } from "../../agent/libvirt/index.ts";

/** What record-guests.ts wrote. */
export const recordedGuests = join(import.meta.dirname, "../fixtures/libvirt/guests.json");

export interface RecordedGuest {
  readonly dom: Domain;
  readonly xml: string;
  /** Of the bulk-stats reply. */
  readonly params: readonly TypedParameter[];
}
