import type { CreateRequest, Vms } from "../../vm/operations/vms.ts";
import type { Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import type { EventLog } from "../../state/events/event-log.ts";
import type { HostUsage, HostView } from "../../host/host.ts";
import type { TenantShare } from "../../host/capacity/tenant-quotas.ts";
import type { SocleError } from "../../kernel/errors.ts";
import type { Material } from "../../trust/index.ts";
import type { Reservations } from "../../host/capacity/reservations.ts";
import type { VmView } from "../../vm/model/vm.ts";
import type { AuditReader } from "./audit-service.ts";
import type { ControlEpochs } from "../auth/control-epoch.ts";
import type { Position } from "../../gen/socle/v1/Position.ts";

/** A guest's console: iterate for its output. */
export interface ConsoleStream extends AsyncIterable<Uint8Array> {
  write(input: Uint8Array): Promise<void>;
  /** Gives the console up, at once. */
  abort(): Promise<void>;
}

/** What this host proves itself with. */
export interface TrustFacts {
  readonly domain: string | null;
  /** Where the API is served over TCP without TLS. */
  readonly insecureListen?: string | undefined;
  readonly material?: Material | undefined;
  /** Absent where somebody else puts certificates there. */
  readonly renewsAtMs?: number | undefined;
  readonly problem?: SocleError | undefined;
}

/** What the services stand on; the composition root hands it in. vm/operations/vms.ts is the mutations' home. */
export interface Doors {
  readonly vmView: VmView;
  readonly vms: {
    create: (request: CreateRequest, caller: string) => Promise<Operation>;
    begin: Vms["begin"];
    /** A person says what became of an operation whose outcome is unknown. */
    settle(id: string, as: "done" | "not done", caller: string): Promise<Operation>;
    openConsole(
      vm: string,
      options: { readonly force: boolean },
      signal: AbortSignal,
    ): Promise<ConsoleStream>;
  };
  readonly operations: Pick<Operations, "get" | "list" | "wait" | "cancel" | "watch" | "failure">;
  readonly reservations: Pick<
    Reservations,
    "reserve" | "renew" | "release" | "get" | "list" | "count" | "leftMs" | "failure"
  >;
  /** What a VM runs on where nobody says. */
  readonly defaultAccelerator: () => "kvm" | "tcg";
  readonly events: Pick<EventLog, "subscribe" | "newestSequence" | "logId">;
  readonly host: HostView & {
    usage(): HostUsage;
    tenants(): readonly TenantShare[];
    setScheduling(state: "active" | "cordoned", reason: string): Promise<void>;
    acknowledge(condition: string, requestId: string): Promise<void>;
  };
  readonly controlEpochs: ControlEpochs;
  readonly audit: AuditReader;
  readonly trust: {
    state(): TrustFacts;
    enroll(address: string, token: string, fingerprint: string | null, signal: AbortSignal): Promise<unknown>;
  };
  /** Where the host's report stands now. */
  readonly position: () => Position;
}
