import * as protocol from "../../protocol/index.ts";
import { buildNetwork, parseNetwork, type Network } from "../../xml/network/network.ts";
import type { CallSettings } from "../options.ts";
import { listArgs, xmlOf, type ActSettings, type Caller, type ListSettings } from "./caller.ts";
import { LibvirtObject } from "./object.ts";

export interface DhcpLease {
  readonly mac: string;
  readonly ipAddress: string;
  readonly prefixLength: number;
  readonly hostname: string | undefined;
  /** Seconds since the Unix epoch. */
  readonly expiresAtSeconds: number;
}

/** The networks of a host. Each function throws as `Libvirt.call`. */
export class Networks {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** All networks, or those that are `active` (or not). `flags` adds ConnectListAllNetworksFlags. */
  async list(settings: ListSettings = {}): Promise<LibvirtNetwork[]> {
    const args = listArgs(settings, protocol.ConnectListAllNetworksFlags);
    const { nets } = await this.#caller.call(protocol.connectListAllNetworks, args, settings);
    return nets.map((net) => this.of(net));
  }

  /** Throws `not_found` LIBVIRT_NO_NETWORK, as does `lookupByUuid`. */
  async lookupByName(name: string, settings?: CallSettings): Promise<LibvirtNetwork> {
    return this.of((await this.#caller.call(protocol.networkLookupByName, { name }, settings)).net);
  }

  async lookupByUuid(uuid: string, settings?: CallSettings): Promise<LibvirtNetwork> {
    return this.of((await this.#caller.call(protocol.networkLookupByUuid, { uuid }, settings)).net);
  }

  /** Defines a persistent network and does not start it. */
  async define(definition: string | Network, settings?: CallSettings): Promise<LibvirtNetwork> {
    const xml = xmlOf(definition, buildNetwork);
    return this.of((await this.#caller.call(protocol.networkDefineXml, { xml }, settings)).net);
  }

  /** Starts a transient network, which libvirt forgets once it stops. */
  async create(definition: string | Network, settings?: CallSettings): Promise<LibvirtNetwork> {
    const xml = xmlOf(definition, buildNetwork);
    return this.of((await this.#caller.call(protocol.networkCreateXml, { xml }, settings)).net);
  }

  /** The object for a network that a raw call or an event named. */
  of(net: protocol.Network): LibvirtNetwork {
    return new LibvirtNetwork(this.#caller, net);
  }
}

export class LibvirtNetwork extends LibvirtObject<protocol.Network> {
  get uuid(): string {
    return this.ref.uuid;
  }

  async start(settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.networkCreate, { net: this.ref }, settings);
  }

  /** Stops the network. */
  async destroy(settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.networkDestroy, { net: this.ref }, settings);
  }

  /** Removes the definition; an active network goes on as transient. */
  async undefine(settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.networkUndefine, { net: this.ref }, settings);
  }

  /** Whether libvirt starts it with the host. */
  async setAutostart(autostart: boolean, settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.networkSetAutostart, { net: this.ref, autostart }, settings);
  }

  async isActive(settings?: CallSettings): Promise<boolean> {
    return (await this.caller.call(protocol.networkIsActive, { net: this.ref }, settings)).active;
  }

  /** `flags`: NetworkXMLFlags. */
  async xml({ flags = 0, ...settings }: ActSettings = {}): Promise<string> {
    return (await this.caller.call(protocol.networkGetXmlDesc, { net: this.ref, flags }, settings)).xml;
  }

  /** The definition as data. */
  async document(settings?: ActSettings): Promise<Network> {
    return parseNetwork(await this.xml(settings));
  }

  /** The leases of libvirt's own DHCP server, of one MAC address or of all. */
  async leases(settings: CallSettings & { readonly mac?: string } = {}): Promise<DhcpLease[]> {
    const { mac = null, ...rest } = settings;
    const args = { net: this.ref, mac, needResults: true, flags: 0 };
    const { leases } = await this.caller.call(protocol.networkGetDhcpLeases, args, rest);
    return leases.map((lease) => ({
      mac: lease.mac ?? "",
      ipAddress: lease.ipaddr,
      prefixLength: lease.prefix,
      hostname: lease.hostname ?? undefined,
      expiresAtSeconds: lease.expirytime,
    }));
  }
}
