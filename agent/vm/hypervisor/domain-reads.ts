import { isActive } from "./domain-state.ts";
import type { VmState } from "../model/vm.ts";
import type { VmDomain } from "../model/vm-domain.ts";

/** Reads of a domain; undefined: libvirt reports that it does not exist. */
export interface DomainReads {
  state(id: string): Promise<{ readonly state: VmState } | undefined>;
  document(id: string, as: "defined" | "running"): Promise<VmDomain | undefined>;
}

/** What the guest runs with, in one round trip. Undefined: no guest runs. */
export async function runningOf(reads: DomainReads, id: string): Promise<VmDomain | undefined> {
  const [seen, document] = await Promise.all([reads.state(id), reads.document(id, "running")]);
  return isActive(seen) ? document : undefined;
}
