import type {
  DomainEvent,
  LibvirtEvent,
  Procedure,
  StoragePool,
  StorageVol,
} from "../../../../agent/libvirt/index.ts";
import type { Domain } from "../../../../agent/libvirt/index.ts";
import type { EffectCall, Stamp } from "../history.ts";
import type { Element } from "./element.ts";

/** A domain, which survives the daemon: its configuration on disk, and its guest while it runs. */
export interface ModelDomain {
  readonly uuid: string;
  name: string;
  /** -1 while it does not run. */
  id: number;
  state: number;
  reason: number;
  /** The XML of the next start; for a transient domain, of the current one. */
  config: Element;
  /** False: the domain disappears once its guest ends. */
  isPersistent: boolean;
  /** Undefined while it does not run. */
  live: Element | undefined;
  autostart: boolean;
  /** The number of starts of its guest. */
  starts: number;
  /** A start is in progress: a crash of the daemon ends the guest. */
  isStarting: boolean;
  /** Its managed save image. Not whole: it is being written, or its daemon died meanwhile. */
  saved: SavedMemory | undefined;
}

export interface SavedMemory {
  readonly live: Element;
  /** The count of starts of the saved guest. */
  readonly run: number;
  readonly isPaused: boolean;
  isWhole: boolean;
}

export interface ModelVolume {
  readonly name: string;
  readonly path: string;
  format: string;
  capacityBytes: number;
  allocationBytes: number;
  readonly backing?: { readonly path: string; readonly format?: string };
  readonly secretUuid?: string;
  /** Identifies the content: changes with each creation, upload and wipe. */
  mark: string;
}

export interface ModelPool {
  readonly name: string;
  readonly uuid: string;
  /** `dir`, or `logical`, whose volumes are not checked in the host's filesystem. */
  readonly type: string;
  readonly path: string;
  active: boolean;
  autostart: boolean;
  readonly capacityBytes: number;
  readonly volumes: Map<string, ModelVolume>;
}

export interface ModelSecret {
  readonly uuid: string;
  /** VIR_SECRET_USAGE_TYPE; a usage belongs to one secret. */
  readonly usageType: number;
  readonly usageId: string;
  readonly xml: Element;
  readonly ephemeral: boolean;
  value?: Uint8Array;
}

export interface ModelNetwork {
  readonly name: string;
  readonly uuid: string;
  readonly bridge: string;
  active: boolean;
}

/** libvirt's error: its number (virErrorNumber), and the errno of a system error. */
export class Refusal extends Error {
  readonly code: number;
  readonly errno: number;

  constructor(code: number, message: string, errno = 0) {
    super(message);
    this.code = code;
    this.errno = errno;
  }
}

/** The state that survives the agent: libvirt's objects and the guests. */
export class World {
  readonly domains = new Map<string, ModelDomain>();
  readonly pools = new Map<string, ModelPool>();
  readonly secrets = new Map<string, ModelSecret>();
  readonly networks = new Map<string, ModelNetwork>();
  readonly facts: HostFacts;
  readonly publish: (event: LibvirtEvent) => void;
  #numbers = 0;

  constructor(facts: HostFacts, publish: (event: LibvirtEvent) => void) {
    this.facts = facts;
    this.publish = publish;
  }

  /** A unique number of this world. */
  number(): number {
    this.#numbers += 1;
    return this.#numbers;
  }

  /** Throws the error NO_DOMAIN. */
  domain({ uuid }: Pick<Domain, "uuid">): ModelDomain {
    const found = this.domains.get(uuid);
    if (found === undefined)
      throw new Refusal(42, `Domain not found: no domain with matching uuid '${uuid}'`);
    return found;
  }

  /** Throws the error NO_STORAGE_POOL. */
  poolNamed(name: string): ModelPool {
    const found = this.pools.get(name);
    if (found !== undefined) return found;
    throw new Refusal(49, `Storage pool not found: no storage pool with matching name '${name}'`);
  }

  /** By UUID, as libvirt looks up its own handles. Throws as `poolNamed`, and OPERATION_INVALID for an inactive pool. */
  pool({ uuid }: Pick<StoragePool, "uuid">, needs: "active" | "any" = "active"): ModelPool {
    const found = [...this.pools.values()].find((pool) => pool.uuid === uuid);
    if (found === undefined)
      throw new Refusal(49, `Storage pool not found: no storage pool with matching uuid '${uuid}'`);
    if (needs === "active" && !found.active)
      throw new Refusal(55, `storage pool '${found.name}' is not active`);
    return found;
  }

  /** Throws as `poolNamed`, and OPERATION_INVALID for an inactive pool. */
  poolOf({ pool }: StorageVol): ModelPool {
    return this.pool(this.poolNamed(pool));
  }

  emit(domain: ModelDomain, what: DistributedOmit<DomainEvent, "domain">): void {
    this.publish({ ...what, domain: referenceTo(domain) });
  }
}

type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export const referenceTo = ({ name, uuid, id }: ModelDomain): Domain => ({ name, uuid, id });

/** The host's properties as libvirt reports them. */
export interface HostFacts {
  readonly libVersion: number;
  readonly hypervisorVersion: number;
  readonly capabilities: string;
  readonly domainCapabilities: string;
  readonly memoryBytes: number;
}

/** The effect of one call on the world. */
export interface Entry {
  readonly procedure: Procedure<unknown, unknown>;
  /** The first half of a call with two halves: the state in between is visible, and a crash can end the call there. */
  readonly begin?: ((world: World, args: unknown) => void) | undefined;
  readonly answer: (world: World, args: unknown) => unknown;
  /** Undefined for a read-only call, and for changes that histories do not record. */
  readonly effect?: { readonly call: EffectCall; readonly of: (args: unknown) => Subject } | undefined;
}

export interface Subject {
  readonly vm?: string;
  readonly volume?: string;
  readonly device?: string;
  readonly stamp?: Stamp;
}

export function answering<A, R>(
  procedure: Procedure<A, R>,
  answer: (world: World, args: A) => R,
  effect?: { readonly call: EffectCall; readonly of: (args: A) => Subject },
  begin?: (world: World, args: A) => void,
): Entry {
  return {
    procedure: procedure,
    answer: answer as Entry["answer"],
    effect: effect as Entry["effect"],
    begin: begin as Entry["begin"],
  };
}
