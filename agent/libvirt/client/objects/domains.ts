import * as protocol from "../../protocol/index.ts";
import { buildDomain } from "../../xml/domain/build.ts";
import type { DomainDocument } from "../../xml/domain/domain.ts";
import type { MetadataElement } from "../../xml/domain/metadata.ts";
import type { CallSettings } from "../options.ts";
import { listArgs, xmlOf, type ActSettings, type Caller, type ListSettings } from "./caller.ts";
import { LibvirtDomain } from "./domain.ts";
import { domainEvents, onDomainEvent } from "./domain-events.ts";
import type { DomainEventKind, ObservedDomainEvent, Subscription } from "./domain-events.ts";

export interface DefineSettings extends ActSettings {
  /** Elements for `<metadata>`, where the domain is given as a document. */
  readonly metadata?: readonly MetadataElement[] | undefined;
}

/** The domains of a host. Each function throws as `Libvirt.call`. */
export class Domains {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** All domains, or those that are `active` (or not). `flags` adds ConnectListAllDomainsFlags. */
  async list(settings: ListSettings = {}): Promise<LibvirtDomain[]> {
    const args = listArgs(settings, protocol.ConnectListAllDomainsFlags);
    const { domains } = await this.#caller.call(protocol.connectListAllDomains, args, settings);
    return domains.map((dom) => this.of(dom));
  }

  /** Throws `not_found` LIBVIRT_NO_DOMAIN, as do the other lookups. */
  async lookupByName(name: string, settings?: CallSettings): Promise<LibvirtDomain> {
    return this.of((await this.#caller.call(protocol.domainLookupByName, { name }, settings)).dom);
  }

  async lookupByUuid(uuid: string, settings?: CallSettings): Promise<LibvirtDomain> {
    return this.of((await this.#caller.call(protocol.domainLookupByUuid, { uuid }, settings)).dom);
  }

  /** The id of a running domain. */
  async lookupById(id: number, settings?: CallSettings): Promise<LibvirtDomain> {
    return this.of((await this.#caller.call(protocol.domainLookupById, { id }, settings)).dom);
  }

  /**
   * Defines a persistent domain, or redefines the one with the same UUID; it does not start it. `definition` is XML, or a
   * document, from which XML is built. `flags`: DomainDefineFlags.
   */
  async define(definition: string | DomainDocument, settings: DefineSettings = {}): Promise<LibvirtDomain> {
    const { flags = 0, metadata, ...rest } = settings;
    const args = { xml: domainXml(definition, metadata), flags };
    return this.of((await this.#caller.call(protocol.domainDefineXmlFlags, args, rest)).dom);
  }

  /** Starts a transient domain, which is gone once it stops. `flags`: DomainCreateFlags. */
  async create(definition: string | DomainDocument, settings: DefineSettings = {}): Promise<LibvirtDomain> {
    const { flags = 0, metadata, ...rest } = settings;
    const args = { xmlDesc: domainXml(definition, metadata), flags };
    return this.of((await this.#caller.call(protocol.domainCreateXml, args, rest)).dom);
  }

  /** The object for a domain that a raw call or an event named. */
  of(dom: protocol.Domain): LibvirtDomain {
    return new LibvirtDomain(this.#caller, dom);
  }

  /** Events of all domains from this call on, until the signal aborts or the loop is left. */
  events(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ObservedDomainEvent> {
    return domainEvents(this.#caller, undefined, options.signal);
  }

  /** Calls the listener for each such event of any domain. `resync`: events were missed, so list again. */
  on<K extends DomainEventKind>(
    kind: K,
    listener: (event: Extract<ObservedDomainEvent, { readonly kind: K }>) => void,
  ): Subscription {
    return onDomainEvent(this.#caller, undefined, kind, listener);
  }
}

const domainXml = (definition: string | DomainDocument, metadata?: readonly MetadataElement[]): string =>
  xmlOf(definition, (document) => buildDomain(document, metadata));
