import { randomUUID } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import {
  buildStamp,
  parseStamp,
  readVmMetadata,
  stampKey,
  stampNamespace,
  vmMetadataNamespace,
  type OperationStamp,
} from "../../libvirt/xml/index.ts";
import { Certainty, type LibvirtCalls } from "./certainty.ts";
import { instanceOf } from "../model/instance.ts";
import { defined } from "../../kernel/defined.ts";

/** A guest that hangs holds its domain's job, which writing takes: no stop waits longer than this for it. */
const QUICKLY = { urgent: true, timeoutMs: 2000 } as const;
const AHEAD = { urgent: true } as const;
const OFF = -1;
const NO_DOMAIN = Symbol("no domain");

/** Which VM a domain is. */
export interface Origin {
  /** It has metadata of Socle's. */
  readonly isManaged: boolean;
  /** Undefined where the metadata cannot be read. */
  readonly instance?: string;
  readonly createdAtMs?: number;
}

/** Which VM a domain is, and what it has on record about operations. */
export interface Standing extends Origin {
  /** On the persistent definition. */
  readonly config?: OperationStamp;
  /** On this run of the guest. */
  readonly live?: OperationStamp;
  /** libvirt's number of this run; undefined while it is off. Numbers are used again. */
  readonly runNumber?: number;
}

/** The domains' records of operations, in a metadata element of their own. Reading them takes no job of the domain's. */
export class Stamps {
  readonly #started = randomUUID().slice(0, 8);
  readonly #libvirt: LibvirtCalls;
  readonly #certainty: Certainty;

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#certainty = new Certainty(calls, clock);
  }

  /** Changes with each connection to libvirt, since a restarted libvirt reuses the numbers of runs. */
  get numbering(): string {
    return `${this.#started}.${this.#libvirt.reconnects ?? 0}`;
  }

  /** Undefined: there is no domain. */
  async origin(id: string): Promise<Origin | undefined> {
    const xml = await this.#metadata(id, vmMetadataNamespace, libvirt.DomainModificationImpact.CURRENT);
    if (xml === NO_DOMAIN) return undefined;
    if (xml === undefined) return { isManaged: false };
    const { socle, instance } = readVmMetadata(xml);
    if (socle === undefined) return defined({ isManaged: true, instance });
    const createdAtMs = Date.parse(socle.createdAt);
    return { isManaged: true, instance: instanceOf(id, socle), createdAtMs };
  }

  /** Undefined: there is no domain. */
  async standing(id: string): Promise<Standing | undefined> {
    const origin = await this.origin(id);
    if (origin === undefined) return undefined;
    const runNumber = await this.runNumber(id);
    const config = await this.#stamp(id, libvirt.DomainModificationImpact.CONFIG);
    const live =
      runNumber === undefined ? undefined : await this.#stamp(id, libvirt.DomainModificationImpact.LIVE);
    return {
      ...origin,
      ...(config === undefined ? {} : { config }),
      ...(live === undefined ? {} : { live }),
      ...(runNumber === undefined ? {} : { runNumber }),
    };
  }

  /** Whether it has a persistent definition. A running domain lacks one where it was undefined. */
  async isDefined(id: string): Promise<boolean> {
    try {
      return (
        (await this.#metadata(id, vmMetadataNamespace, libvirt.DomainModificationImpact.CONFIG)) !== NO_DOMAIN
      );
    } catch (thrown) {
      if (lacksDefinition(thrown)) return false;
      throw thrown;
    }
  }

  async runNumber(id: string): Promise<number | undefined> {
    try {
      const { dom } = await this.#libvirt.call(libvirt.domainLookupByUuid, { uuid: id }, AHEAD);
      return dom.id === OFF ? undefined : dom.id;
    } catch (thrown) {
      if (toSocleError(thrown).reason === "LIBVIRT_NO_DOMAIN") return undefined;
      throw thrown;
    }
  }

  /** On the persistent definition: certain when it resolves. */
  async begin(id: string, operation: string): Promise<void> {
    const { CONFIG } = libvirt.DomainModificationImpact;
    await this.#certainty.ensure(
      () => this.#set(id, { operation, phase: "begun" }, CONFIG),
      async () => (await this.#stamp(id, CONFIG))?.operation === operation,
      "again",
    );
  }

  /** On this run of the guest. Throws where that takes long. */
  async mark(id: string, stamp: OperationStamp): Promise<void> {
    await this.#set(id, stamp, libvirt.DomainModificationImpact.LIVE, QUICKLY);
  }

  /** Wherever the domain is defined. Throws where that takes long. */
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
      key: stampKey,
      uri: stampNamespace,
      flags,
    };
    await this.#libvirt.call(libvirt.domainSetMetadata, args, settings);
  }

  /** Undefined as well where the domain has no such definition: it is off, or will be gone when it is. */
  async #stamp(id: string, flags: number): Promise<OperationStamp | undefined> {
    try {
      const xml = await this.#metadata(id, stampNamespace, flags);
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

/** libvirt refused a call for the definition, live or persistent, that the domain does not have. */
function lacksDefinition(thrown: unknown): boolean {
  const { kind, reason } = toSocleError(thrown);
  return kind === "conflict" || reason === "LIBVIRT_INVALID_ARG";
}

const reference = (id: string): libvirt.Domain => ({ name: "", uuid: id, id: OFF });

/** What an operation was admitted for. */
export interface Admitted {
  readonly operationId: string;
  readonly vmId: string;
  /** Undefined in operations of version 0.1.0, and on VMs whose metadata could not be read then. */
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

/** Throws `conflict` VM_REPLACED where `isSameVm` says no. */
export function requireSameVm(admitted: Admitted, origin: Origin): void {
  if (isSameVm(admitted, origin)) return;
  const { vmId } = admitted;
  throw new SocleError(
    "conflict",
    "VM_REPLACED",
    `the VM ${vmId} that this operation was admitted for is gone, and another has its id now; nothing was done to it`,
  );
}

/**
 * No later operation had an effect on the domain. Ids are in the order of admission, and a provider's operation passes
 * the tenant's that wait: one with a higher id that has an end in this journal ran before the interrupted one, since
 * nothing passes an operation that has begun. Throws `conflict` OPERATION_SUPERSEDED.
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
    `operation ${newer.operation} changed the VM since, so this older one, which was interrupted, is not continued. ` +
      "Whether it had an effect before that is not known: read the VM",
    { details: { metadata: { operation_id: newer.operation } } },
  );
}

/** The operation's effect is on record as whole. */
export const isComplete = ({ operationId }: Pick<Admitted, "operationId">, standing: Standing): boolean =>
  [standing.config, standing.live].some(
    (stamp) => stamp?.operation === operationId && stamp.phase === "complete",
  );
