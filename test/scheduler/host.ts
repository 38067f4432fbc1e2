import { createHash } from "node:crypto";
import type { Delta__Output } from "../../agent/gen/socle/v1/Delta.ts";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import type { Hello__Output } from "../../agent/gen/socle/v1/Hello.ts";
import type { Host__Output } from "../../agent/gen/socle/v1/Host.ts";
import type { ReportPart__Output } from "../../agent/gen/socle/v1/ReportPart.ts";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";

/** The digest of proto/socle/v1/scheduler.proto. */
export function digestOf(hostEtag: string, vms: Iterable<Vm__Output>): string {
  const lines = [...vms].map(({ vmId, etag }) => `vm ${vmId} ${etag}\n`).sort();
  return createHash("sha256")
    .update([`host ${hostEtag}\n`, ...lines].join(""))
    .digest("hex");
}

/** A scheduler's state of one host. */
export class KnownHost {
  readonly hostId: string;
  hello: Hello__Output | undefined;
  connected = false;
  sessions = 0;
  agentEpoch = 0;
  generation = 0;
  host: Host__Output | undefined;
  vms = new Map<string, Vm__Output>();
  digest = "";
  readonly events: Event__Output[] = [];
  eventSequence = 0;
  heartbeats = 0;
  reports = 0;
  deltas = 0;
  /** The number of digest mismatches with the host. */
  mismatches = 0;
  goodbye: string | undefined;

  constructor(hostId: string) {
    this.hostId = hostId;
  }

  /** False: the delta does not follow the held state, so a report is needed. */
  applyDelta(delta: Delta__Output): boolean {
    if (delta.generation <= this.generation) return true; // overtaken by a report
    if (delta.baseGeneration !== this.generation) return false;
    if (delta.host !== null) this.host = delta.host;
    for (const vm of delta.changedVms) this.vms.set(vm.vmId, vm);
    for (const id of delta.removedVmIds) this.vms.delete(id);
    this.#hold(delta.generation);
    this.deltas += 1;
    return this.digest === delta.digest;
  }

  /** All parts of a report, applied at once. */
  applyReport(parts: readonly ReportPart__Output[]): void {
    const [first] = parts;
    if (first?.host == null || first.position === null) throw new Error("a report must begin with the host");
    this.host = first.host;
    this.vms = new Map(parts.flatMap(({ vms }) => vms).map((vm) => [vm.vmId, vm]));
    this.agentEpoch = first.position.agentEpoch;
    this.#hold(first.position.generation);
    this.reports += 1;
  }

  /** Events arrive in order, each once; a gap is only allowed at a resync. */
  applyEvent(event: Event__Output): void {
    const isResync = event.kind === "EVENT_KIND_RESYNC";
    const isFirst = this.eventSequence === 0;
    if (!isFirst && !isResync && event.sequence !== this.eventSequence + 1) {
      throw new Error(`event ${event.sequence} follows ${this.eventSequence}`);
    }
    this.events.push(event);
    this.eventSequence = event.sequence;
  }

  /** Known free capacity over all cells. */
  available(resource: string): number {
    const cells = this.host?.capacity?.cells ?? [];
    const found = cells.flatMap(({ resources }) => resources).filter((each) => each.resource === resource);
    return found.reduce((sum, { available = 0 }) => sum + available, 0);
  }

  #hold(generation: number): void {
    this.generation = generation;
    this.digest = digestOf(this.host?.etag ?? "", this.vms.values());
  }
}
