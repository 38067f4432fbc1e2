import { randomUUID } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { Certainty, type LibvirtCalls } from "./certainty.ts";
import { instanceOf } from "../model/instance.ts";
import { defined } from "../../kernel/defined.ts";
import {
  buildStamp,
  operationStamp,
  parseStamp,
  readVmMetadata,
  vmMetadata,
  type DomainMetadata,
  type OperationStamp,
} from "../model/vm-domain.ts";

/** A hung guest holds its domain's job, which a write needs: no stop waits longer than this for it. */
const QUICKLY = { urgent: true, timeoutMs: 2000 } as const;
/** Stops and state queries bypass the creation queue. */
export const AHEAD = { urgent: true } as const;
const OFF = -1;
const NO_DOMAIN = Symbol("no domain");

/** The VM that a domain is. */
interface Origin {
  /** The domain has Socle's metadata. */
  readonly isManaged: boolean;
  /** Undefined if the metadata cannot be read. */
  readonly instance?: string;
  readonly createdAtMs?: number;
}

/** The VM that a domain is, and the operations recorded in it. */
export interface Standing extends Origin {
  /** On the persistent definition. */
  readonly config?: OperationStamp;
  /** On this run of the guest. */
  readonly live?: OperationStamp;
  /** libvirt's number of this run; undefined while it is off. Numbers are reused. */
  readonly runNumber?: number;
}

/** The operation records of domains, in a metadata element of their own. Reads do not take the domain's job. */
export class Stamps {
  readonly #started = randomUUID().slice(0, 8);
  readonly #libvirt: LibvirtCalls;
  readonly #certainty: Certainty;

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#certainty = new Certainty(calls, clock);
  }

  /** Changes with each connection, since a restarted libvirt reuses run numbers. */
  get numbering(): string {
    return `${this.#started}.${this.#libvirt.reconnects ?? 0}`;
  }

  /** Undefined: the domain does not exist. */
  async origin(id: string): Promise<Origin | undefined> {
    return (await this.identity(id)).origin;
  }

  /** Socle's metadata, also of a domain whose XML cannot be read. Undefined: the domain does not exist, or has none. */
  async facts(id: string): Promise<DomainMetadata | undefined> {
    return (await this.identity(id)).facts;
  }

  /** As `origin` and `facts`, from one read. */
  async identity(id: string): Promise<{ readonly origin?: Origin; readonly facts?: DomainMetadata }> {
    const xml = await this.#metadata(id, vmMetadata.uri, libvirt.DomainModificationImpact.CURRENT);
    if (xml === NO_DOMAIN) return {};
    if (xml === undefined) return { origin: { isManaged: false } };
    const facts = readVmMetadata(xml);
    return { origin: originOf(id, facts), facts };
  }

  /** Undefined: the domain does not exist. */
  async standing(id: string): Promise<Standing | undefined> {
    const origin = await this.origin(id);
    if (origin === undefined) return undefined;
    const runNumber = await this.runNumber(id);
    const config = await this.#stamp(id, libvirt.DomainModificationImpact.CONFIG);
    const live =
      runNumber === undefined ? undefined : await this.#stamp(id, libvirt.DomainModificationImpact.LIVE);
    return defined({ ...origin, config, live, runNumber });
  }

  /** Whether it has a persistent definition. A running domain has none after an undefine. */
  async isDefined(id: string): Promise<boolean> {
    try {
      return (
        (await this.#metadata(id, vmMetadata.uri, libvirt.DomainModificationImpact.CONFIG)) !== NO_DOMAIN
      );
    } catch (thrown) {
      if (lacksDefinition(thrown)) return false;
      throw thrown;
    }
  }

  async runNumber(id: string): Promise<number | undefined> {
    return await ifPresent("LIBVIRT_NO_DOMAIN", async () => {
      const { dom } = await this.#libvirt.call(libvirt.domainLookupByUuid, { uuid: id }, AHEAD);
      return dom.id === OFF ? undefined : dom.id;
    });
  }

  /** Stamps the persistent definition: durable when it resolves. */
  async begin(id: string, operation: string): Promise<void> {
    const { CONFIG } = libvirt.DomainModificationImpact;
    await this.#certainty.ensure(
      () => this.#set(id, { operation, phase: "begun" }, CONFIG),
      async () => (await this.#stamp(id, CONFIG))?.operation === operation,
    );
  }

  /** Stamps this run of the guest. Throws after the short timeout. */
  async mark(id: string, stamp: OperationStamp): Promise<void> {
    await this.#set(id, stamp, libvirt.DomainModificationImpact.LIVE, QUICKLY);
  }

  /** Stamps all definitions of the domain. Throws after the short timeout. */
  async complete(id: string, operation: string, isActive: boolean): Promise<void> {
    const { LIVE, CONFIG } = libvirt.DomainModificationImpact;
    await this.#set(id, { operation, phase: "complete" }, isActive ? LIVE | CONFIG : CONFIG, QUICKLY);
  }

  async #set(
    id: string,
    stamp: OperationStamp,
    flags: number,
    settings: Parameters<LibvirtCalls["call"]>[2] = {},
  ): Promise<void> {
    const args = {
      dom: reference(id),
      type: libvirt.DomainMetadataType.ELEMENT,
      metadata: buildStamp(stamp),
      key: operationStamp.key,
      uri: operationStamp.uri,
      flags,
    };
    await this.#libvirt.call(libvirt.domainSetMetadata, args, settings);
  }

  /** Also undefined if the domain lacks this definition: it is off, or transient. */
  async #stamp(id: string, flags: number): Promise<OperationStamp | undefined> {
    try {
      const xml = await this.#metadata(id, operationStamp.uri, flags);
      return xml === undefined || xml === NO_DOMAIN ? undefined : parseStamp(xml);
    } catch (thrown) {
      if (lacksDefinition(thrown)) return undefined;
      throw thrown;
    }
  }

  async #metadata(id: string, uri: string, flags: number): Promise<string | typeof NO_DOMAIN | undefined> {
    const args = { dom: reference(id), type: libvirt.DomainMetadataType.ELEMENT, uri, flags };
    try {
      return (await this.#libvirt.call(libvirt.domainGetMetadata, args, AHEAD)).metadata;
    } catch (thrown) {
      const { reason } = toSocleError(thrown);
      if (reason === "LIBVIRT_NO_DOMAIN") return NO_DOMAIN;
      if (reason === "LIBVIRT_NO_DOMAIN_METADATA") return undefined;
      throw thrown;
    }
  }
}

function originOf(id: string, { socle, instance }: DomainMetadata): Origin {
  if (socle === undefined) return defined({ isManaged: true, instance });
  return { isManaged: true, instance: instanceOf(id, socle), createdAtMs: Date.parse(socle.createdAt) };
}

/** libvirt refused a call for a live or persistent definition that the domain does not have. */
function lacksDefinition(thrown: unknown): boolean {
  const { kind, reason } = toSocleError(thrown);
  return kind === "conflict" || reason === "LIBVIRT_INVALID_ARG";
}

/** libvirt finds a domain by its UUID and ignores the name. */
export const reference = (id: string): libvirt.Domain => ({ name: "", uuid: id, id: OFF });

/** The VM that an operation was admitted for. */
export interface Admitted {
  readonly operationId: string;
  readonly vmId: string;
  /** Undefined in operations of version 0.1.0, and for VMs whose metadata could not be read at admission. */
  readonly instance: string | undefined;
  readonly createdAtMs: number;
}

/** Whether the domain is the VM that the operation was admitted for. */
export const isSameVm = (
  { instance, createdAtMs }: Pick<Admitted, "instance" | "createdAtMs">,
  origin: Origin,
): boolean =>
  instance === undefined
    ? origin.isManaged && (origin.createdAtMs ?? 0) <= createdAtMs
    : origin.instance === instance;

/** Throws `conflict` VM_REPLACED unless `isSameVm`. */
export function requireSameVm(admitted: Admitted, origin: Origin): void {
  if (isSameVm(admitted, origin)) return;
  const { vmId } = admitted;
  throw new SocleError(
    "conflict",
    "VM_REPLACED",
    `the VM ${vmId} that this operation was admitted for is gone, and another VM has its id now; that VM was not changed`,
  );
}

/**
 * Requires that no later operation had an effect on the domain. Ids are in order of admission, but a provider's
 * operation overtakes waiting ones of the tenant. No operation overtakes one that has begun, so an operation with a
 * higher id that has ended in this journal ran before the interrupted one. Throws `conflict` OPERATION_SUPERSEDED.
 */
export function requireNewest(
  { operationId, hasEnded }: Pick<Admitted, "operationId"> & { readonly hasEnded: (id: string) => boolean },
  standing: { readonly config?: OperationStamp | undefined; readonly live?: OperationStamp | undefined },
): void {
  const newer = [standing.config, standing.live].find(
    (stamp) => stamp && stamp.operation > operationId && !hasEnded(stamp.operation),
  );
  if (newer === undefined) return;
  throw new SocleError(
    "conflict",
    "OPERATION_SUPERSEDED",
    `operation ${newer.operation} has changed the VM since, so this older, interrupted operation is not continued. ` +
      "Whether it had an effect is not known: read the VM",
    { details: { metadata: { operation_id: newer.operation } } },
  );
}

/** The operation's complete effect is on record. */
export const isComplete = ({ operationId }: Pick<Admitted, "operationId">, standing: Standing): boolean =>
  [standing.config, standing.live].some(
    (stamp) => stamp?.operation === operationId && stamp.phase === "complete",
  );
