import type { Accelerator } from "../../contract/spec.ts";
import type { ImageStore } from "../../vm/images/image-store.ts";
import type { BackupReads } from "../../vm/operations/backup-reads.ts";
import type { Images } from "../../vm/operations/images.ts";
import type { PoolVolumes } from "../../vm/operations/pool-volumes.ts";
import type { CreateRequest, Vms } from "../../vm/operations/vms.ts";
import type { Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import type { EventLog } from "../../state/events/event-log.ts";
import type { HostUsage, HostView } from "../../host/host.ts";
import type { TenantShare } from "../../host/capacity/tenant-quotas.ts";
import type { SocleError } from "../../kernel/errors.ts";
import type { Material } from "../../trust/index.ts";
import type { StorageLedger } from "../../host/capacity/storage-ledger.ts";
import type { Listings } from "../../host/inventory/listings.ts";
import type { Reservations } from "../../host/capacity/reservations.ts";
import type { Screens } from "../../vm/hypervisor/screens.ts";
import type { VmView } from "../../vm/model/vm.ts";
import type { AuditReader } from "./audit-service.ts";
import type { ControlEpochs } from "../auth/control-epoch.ts";
import type { Position } from "../../gen/socle/v1/Position.ts";

/** A guest's console: iterate for its output. */
export interface ConsoleStream extends AsyncIterable<Uint8Array> {
  write(input: Uint8Array): Promise<void>;
  /** Closes the console at once. */
  abort(): Promise<void>;
}

/** This host's own certificate and trust. */
export interface TrustFacts {
  readonly domain: string | null;
  /** The address where the API is served over TCP without TLS. */
  readonly insecureListen?: string | undefined;
  readonly material?: Material | undefined;
  /** Absent where certificates are installed from outside. */
  readonly renewsAtMs?: number | undefined;
  readonly problem?: SocleError | undefined;
}

/** The services' dependencies; the composition root provides them. Mutations: vm/operations/vms.ts. */
export interface ServiceDependencies {
  readonly vmView: VmView;
  readonly vms: {
    create: (request: CreateRequest, caller: string) => Promise<Operation>;
    begin: Vms["begin"];
    /** A person settles an operation whose outcome is unknown. */
    settle(id: string, as: "done" | "not done", caller: string): Promise<Operation>;
    openConsole(
      vm: string,
      options: { readonly force: boolean },
      signal: AbortSignal,
    ): Promise<ConsoleStream>;
    guest: Vms["guest"];
  };
  readonly screens: Pick<Screens, "require" | "connect" | "screenshot">;
  readonly backups: Pick<
    BackupReads,
    "leaseUntilMs" | "socketOf" | "scratchUsedBytes" | "renew" | "extents" | "pieces"
  >;
  readonly images: Pick<Images, "import" | "upload" | "delete" | "hold">;
  readonly poolVolumes: Pick<PoolVolumes, "create" | "resize" | "delete">;
  readonly imageStore: Pick<ImageStore, "all" | "find" | "require" | "usedAtMs" | "unreadPools">;
  readonly operations: Pick<Operations, "get" | "list" | "wait" | "cancel" | "watch" | "failure">;
  readonly reservations: Pick<
    Reservations,
    "reserve" | "renew" | "release" | "get" | "list" | "count" | "leftMs" | "failure"
  >;
  /** The default accelerator of a VM. */
  readonly defaultAccelerator: () => Accelerator;
  readonly events: Pick<EventLog, "subscribe" | "newestSequence" | "logId">;
  readonly host: HostView & {
    usage(): HostUsage;
    tenants(): readonly TenantShare[];
    setScheduling(state: "active" | "cordoned", reason: string): Promise<void>;
    acknowledge(condition: string, requestId: string): Promise<void>;
    readonly listings: Pick<Listings, "pools" | "networks" | "hasVolumes">;
    readonly ledger: { readonly storage: Pick<StorageLedger, "volumesOf" | "availableBytes"> };
  };
  /** The networks that a tenant's callers may use. */
  readonly networksOf: (tenant: string) => readonly string[];
  readonly controlEpochs: ControlEpochs;
  readonly audit: AuditReader;
  readonly trust: {
    state(): TrustFacts;
    enroll(address: string, token: string, fingerprint: string | null, signal: AbortSignal): Promise<unknown>;
  };
  /** The position of the host's report. */
  readonly position: () => Position;
}
