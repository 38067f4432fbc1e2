import type { Family } from "../rpc/procedure.ts";
import type * as protocol from "../protocol/index.ts";
import type { Domain, Network, NodeDevice, Secret, StoragePool } from "../protocol/index.ts";
import type { DomainEventDetail } from "./domain-reasons.ts";
import type { TypedParameter } from "../rpc/xdr.ts";

/** Names in lower snake case for the numbers of a table; `unknown` for one that is newer than it. */
export type NameOf<T> = Lowercase<Extract<keyof T, string>> | "unknown";

export function namer<T extends Readonly<Record<string, number>>>(table: T): (value: number) => NameOf<T> {
  const names = new Map(
    Object.entries(table).map(([name, value]) => [value, name.toLowerCase() as NameOf<T>]),
  );
  return (value) => names.get(value) ?? "unknown";
}

type Details = typeof DomainEventDetail;

/** `event` with its own `detail`s, e.g. `stopped` by `shutdown`, `destroyed`, `crashed`, `migrated`, ... */
export type LifecycleEvent =
  | {
      [Type in keyof Details]: {
        readonly kind: "lifecycle";
        readonly domain: Domain;
        readonly event: Lowercase<Type>;
        readonly detail: NameOf<Details[Type]>;
      };
    }[keyof Details]
  | {
      readonly kind: "lifecycle";
      readonly domain: Domain;
      readonly event: "unknown";
      readonly detail: "unknown";
    };

/** One end of a connection to a screen: an address and a port, or the path of a unix socket as `node`. */
export interface GraphicsAddress {
  readonly family: NameOf<typeof protocol.DomainEventGraphicsAddressType>;
  readonly node: string;
  readonly service: string;
}

/** An event of a domain. `domain.id` is -1 while it does not run. */
export type DomainEvent =
  | LifecycleEvent
  | ({ readonly domain: Domain } & (
      | { readonly kind: "reboot" }
      | { readonly kind: "watchdog"; readonly action: NameOf<typeof protocol.DomainEventWatchdogAction> }
      | {
          readonly kind: "io_error";
          readonly path: string;
          readonly device: string;
          readonly action: NameOf<typeof protocol.DomainEventIOErrorAction>;
          /** `enospc`, or empty. */
          readonly reason: string;
        }
      | { readonly kind: "control_error" }
      | {
          readonly kind: "block_job";
          /** Target of the disk, e.g. `vda`. */
          readonly disk: string;
          readonly job: NameOf<typeof protocol.DomainBlockJobType>;
          readonly status: NameOf<typeof protocol.ConnectDomainEventBlockJobStatus>;
        }
      | { readonly kind: "balloon_change"; readonly memoryBytes: number }
      | { readonly kind: "device_added"; readonly device: string }
      | { readonly kind: "device_removed"; readonly device: string }
      | { readonly kind: "device_removal_failed"; readonly device: string }
      | { readonly kind: "tunable"; readonly parameters: readonly TypedParameter[] }
      | {
          readonly kind: "agent_lifecycle";
          readonly state: NameOf<typeof protocol.ConnectDomainEventAgentLifecycleState>;
          readonly reason: NameOf<typeof protocol.ConnectDomainEventAgentLifecycleReason>;
        }
      | { readonly kind: "migration_iteration"; readonly iteration: number }
      | { readonly kind: "job_completed"; readonly parameters: readonly TypedParameter[] }
      | {
          readonly kind: "metadata_change";
          readonly part: "description" | "title" | "element" | "unknown";
          readonly namespace: string | null;
        }
      | {
          readonly kind: "block_threshold";
          readonly device: string;
          readonly path: string | null;
          readonly thresholdBytes: number;
          readonly excessBytes: number;
        }
      | {
          readonly kind: "memory_failure";
          readonly recipient: NameOf<typeof protocol.DomainMemoryFailureRecipientType>;
          readonly action: NameOf<typeof protocol.DomainMemoryFailureActionType>;
          readonly actionRequired: boolean;
          readonly recursive: boolean;
        }
      | {
          readonly kind: "graphics";
          /** A viewer connects, has authenticated, or disconnects. */
          readonly phase: NameOf<typeof protocol.DomainEventGraphicsPhase>;
          readonly local: GraphicsAddress;
          readonly remote: GraphicsAddress;
          /** e.g. `vnc`, `x509`, `none`. */
          readonly authentication: string;
          readonly identities: readonly { readonly type: string; readonly name: string }[];
        }
      | {
          readonly kind: "disk_change";
          readonly device: string;
          readonly reason: NameOf<typeof protocol.ConnectDomainEventDiskChangeReason>;
          readonly oldPath: string | null;
          readonly newPath: string | null;
        }
      | {
          readonly kind: "tray_change";
          readonly device: string;
          readonly tray: NameOf<typeof protocol.DomainEventTrayChangeReason>;
        }
      | {
          readonly kind: "nic_mac_change";
          readonly device: string;
          readonly oldMac: string;
          readonly newMac: string;
        }
      | { readonly kind: "memory_device_size_change"; readonly device: string; readonly sizeBytes: number }
    ));

export type ObjectEvent =
  | {
      readonly kind: "network";
      readonly network: Network;
      readonly event: NameOf<typeof protocol.NetworkEventLifecycleType>;
    }
  | {
      readonly kind: "storage_pool";
      readonly pool: StoragePool;
      readonly event: NameOf<typeof protocol.StoragePoolEventLifecycleType> | "refreshed";
    }
  | {
      readonly kind: "node_device";
      readonly device: NodeDevice;
      readonly event: NameOf<typeof protocol.NodeDeviceEventLifecycleType> | "updated";
    }
  | {
      readonly kind: "secret";
      readonly secret: Secret;
      readonly event: NameOf<typeof protocol.SecretEventLifecycleType> | "value_changed";
    };

/**
 * Events may have been missed, or a driver's daemon was lost or is back: clients with a copy of libvirt's state must list
 * again. One loss may cause more than one resync.
 */
export interface ResyncEvent {
  readonly kind: "resync";
  /** The kind of objects; "hypervisor" is domains, and all objects of a monolithic daemon. */
  readonly family: Family;
  readonly reason: "reconnected" | "disconnected" | "unreadable_event" | "overflow";
}

export type LibvirtEvent = DomainEvent | ObjectEvent | ResyncEvent;
