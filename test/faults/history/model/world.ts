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

/** A domain as it survives the daemon: its configuration on disk, and its guest while that runs. */
export interface ModelDomain {
  readonly uuid: string;
  name: string;
  /** -1 while it does not run. */
  id: number;
  state: number;
  reason: number;
  /** As it starts the next time; of a transient domain, as it was started. */
  config: Element;
  /** False: it is gone once its guest has ended. */
  isPersistent: boolean;
  /** Undefined while it does not run. */
  live: Element | undefined;
  autostart: boolean;
  /** How often its guest was started. */
  starts: number;
  /** A start is under way: a daemon that crashes now ends it. */
  isStarting: boolean;
}

export interface ModelVolume {
  readonly name: string;
  readonly path: string;
  format: string;
  capacityBytes: number;
  allocationBytes: number;
  readonly backing?: { readonly path: string; readonly format?: string };
  readonly secretUuid?: string;
  /** What it holds: changes with each creation, upload and wipe. */
  mark: string;
}

export interface ModelPool {
  readonly name: string;
  readonly uuid: string;
  /** `dir`, or `logical`, whose volumes are not looked for in the host's file system. */
  readonly type: string;
  readonly path: string;
  active: boolean;
  autostart: boolean;
  readonly capacityBytes: number;
  readonly volumes: Map<string, ModelVolume>;
}

export interface ModelSecret {
  readonly uuid: string;
  /** VIR_SECRET_USAGE_TYPE; one secret has a usage. */
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

/** libvirt's refusal of a call: its number (virErrorNumber), and the errno of a system error. */
export class Refusal extends Error {
  readonly code: number;
  readonly errno: number;

  constructor(code: number, message: string, errno = 0) {
    super(message);
    this.code = code;
    this.errno = errno;
  }
}

/** Everything that survives the agent: libvirt's objects and the guests. */
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

  /** A number that this world has not given before. */
  number(): number {
    this.#numbers += 1;
    return this.#numbers;
  }

  /** Throws the refusal NO_DOMAIN. */
  domain({ uuid }: Pick<Domain, "uuid">): ModelDomain {
    const found = this.domains.get(uuid);
    if (found === undefined)
      throw new Refusal(42, `Domain not found: no domain with matching uuid '${uuid}'`);
    return found;
  }

  /** Throws the refusal NO_STORAGE_POOL. */
  poolNamed(name: string): ModelPool {
    const found = this.pools.get(name);
    if (found !== undefined) return found;
    throw new Refusal(49, `Storage pool not found: no storage pool with matching name '${name}'`);
  }

  /** By its UUID, as libvirt finds what it gave out. Throws as `poolNamed`, and OPERATION_INVALID for one that is not active. */
  pool({ uuid }: Pick<StoragePool, "uuid">, needs: "active" | "any" = "active"): ModelPool {
    const found = [...this.pools.values()].find((pool) => pool.uuid === uuid);
    if (found === undefined)
      throw new Refusal(49, `Storage pool not found: no storage pool with matching uuid '${uuid}'`);
    if (needs === "active" && !found.active)
      throw new Refusal(55, `storage pool '${found.name}' is not active`);
    return found;
  }

  /** Throws as `poolNamed`, and OPERATION_INVALID for a pool that is not active. */
  poolOf({ pool }: StorageVol): ModelPool {
    return this.pool(this.poolNamed(pool));
  }

  emit(domain: ModelDomain, what: DistributedOmit<DomainEvent, "domain">): void {
    this.publish({ ...what, domain: referenceTo(domain) });
  }
}

type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export const referenceTo = ({ name, uuid, id }: ModelDomain): Domain => ({ name, uuid, id });

/** What the host is, as libvirt reports it. */
export interface HostFacts {
  readonly libVersion: number;
  readonly hypervisorVersion: number;
  readonly capabilities: string;
  readonly domainCapabilities: string;
  readonly memoryBytes: number;
}

/** What one call does to the world. */
export interface Entry {
  readonly procedure: Procedure<unknown, unknown>;
  /** The first half of a call that has two: the world in between can be seen, and a crash can end it there. */
  readonly begin?: ((world: World, args: unknown) => void) | undefined;
  readonly answer: (world: World, args: unknown) => unknown;
  /** Undefined for a call that only reads, and for changes that histories do not show. */
  readonly effect?: { readonly call: EffectCall; readonly of: (args: unknown) => Subject } | undefined;
}

export interface Subject {
  readonly vm?: string;
  readonly volume?: string;
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
