import * as protocol from "../../protocol/index.ts";
import type { LibvirtStream } from "../../rpc/stream.ts";
import type { DomainDocument } from "../../xml/domain/domain.ts";
import { parseDomain } from "../../xml/domain/parse.ts";
import { DomainStateReason } from "../domain-reasons.ts";
import { namer, type NameOf } from "../events.ts";
import type { CallSettings, StreamSettings } from "../options.ts";
import type { ActSettings } from "./caller.ts";
import { domainEvents, onDomainEvent } from "./domain-events.ts";
import type { DomainEventKind, ObservedDomainEvent, Subscription } from "./domain-events.ts";
import { LibvirtObject } from "./object.ts";

const KIB = 1024;
const stateName = namer(protocol.DomainState);

export type DomainStateName = NameOf<typeof protocol.DomainState>;

export interface DomainInfo {
  readonly state: DomainStateName;
  /** What the domain may be given at most, and what it has now. */
  readonly maxMemoryBytes: number;
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** CPU time used since the start. */
  readonly cpuTimeNs: number;
}

export interface MetadataSettings extends ActSettings {
  /** Namespace of the element. */
  readonly uri: string;
}

/** One domain. It holds the name, the UUID and the id at the time of the lookup, no connection and no state. */
export class LibvirtDomain extends LibvirtObject<protocol.Domain> {
  get uuid(): string {
    return this.ref.uuid;
  }

  /** -1 if it did not run at the lookup. */
  get id(): number {
    return this.ref.id;
  }

  /** Resolves once the guest runs. `flags`: DomainCreateFlags. */
  async start({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainCreateWithFlags, { dom: this.ref, flags }, settings);
  }

  /** Asks the guest to shut down, and does not wait for it: see `on("lifecycle")`. `flags`: DomainShutdownFlagValues. */
  async shutdown({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainShutdownFlags, { dom: this.ref, flags }, settings);
  }

  /** Ends the guest at once, as if its power was cut. `flags`: DomainDestroyFlagsValues. */
  async destroy({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainDestroyFlags, { dom: this.ref, flags }, settings);
  }

  /** Asks the guest to reboot, and does not wait for it. `flags`: DomainRebootFlagValues. */
  async reboot({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainReboot, { dom: this.ref, flags }, settings);
  }

  /** As a reset button: the guest is not asked. */
  async reset({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainReset, { dom: this.ref, flags }, settings);
  }

  /** Pauses the guest's CPUs; memory and devices stay. */
  async suspend(settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.domainSuspend, { dom: this.ref }, settings);
  }

  async resume(settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.domainResume, { dom: this.ref }, settings);
  }

  /** Removes the definition; a running guest goes on as transient. `flags`: DomainUndefineFlagsValues. */
  async undefine({ flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainUndefineFlags, { dom: this.ref, flags }, settings);
  }

  /** Whether libvirt starts it with the host. */
  async setAutostart(autostart: boolean, settings?: CallSettings): Promise<void> {
    await this.caller.call(protocol.domainSetAutostart, { dom: this.ref, autostart }, settings);
  }

  async info(settings?: CallSettings): Promise<DomainInfo> {
    const info = await this.caller.call(protocol.domainGetInfo, { dom: this.ref }, settings);
    return {
      state: stateName(info.state),
      maxMemoryBytes: info.maxMem * KIB,
      memoryBytes: info.memory * KIB,
      vcpus: info.nrVirtCpu,
      cpuTimeNs: info.cpuTime,
    };
  }

  /** The state with its reason, e.g. `shutoff` by `destroyed`; `unknown` for one that is newer than this package. */
  async state(
    settings?: CallSettings,
  ): Promise<{ readonly state: DomainStateName; readonly reason: string }> {
    const args = { dom: this.ref, flags: 0 };
    const { state, reason } = await this.caller.call(protocol.domainGetState, args, settings);
    const name = stateName(state);
    const reasons = Object.entries(DomainStateReason).find(([key]) => key.toLowerCase() === name)?.[1] ?? {};
    return { state: name, reason: namer(reasons)(reason) };
  }

  /** The definition as XML: the live one of a running domain. `flags`: DomainXMLFlags. */
  async xml({ flags = 0, ...settings }: ActSettings = {}): Promise<string> {
    return (await this.caller.call(protocol.domainGetXmlDesc, { dom: this.ref, flags }, settings)).xml;
  }

  /** The definition as data, with sizes in bytes. Throws `internal` XML_... for XML that cannot be read. */
  async document(settings?: ActSettings): Promise<DomainDocument> {
    return parseDomain(await this.xml(settings));
  }

  /** The XML of the element with that namespace in `<metadata>`. Throws `not_found` LIBVIRT_NO_DOMAIN_METADATA. */
  async metadata({ uri, flags = 0, ...settings }: MetadataSettings): Promise<string> {
    const args = { dom: this.ref, type: protocol.DomainMetadataType.ELEMENT, uri, flags };
    return (await this.caller.call(protocol.domainGetMetadata, args, settings)).metadata;
  }

  /**
   * Sets the element with that namespace: `xml` without prefixes, or null to remove it. `key` becomes its prefix.
   * `flags`: DomainModificationImpact.
   */
  async setMetadata(
    xml: string | null,
    settings: MetadataSettings & { readonly key: string },
  ): Promise<void> {
    const { uri, key, flags = 0, ...rest } = settings;
    const args = { dom: this.ref, type: protocol.DomainMetadataType.ELEMENT, metadata: xml, key, uri, flags };
    await this.caller.call(protocol.domainSetMetadata, args, rest);
  }

  /** The device's XML is that of `buildDisk`, `buildInterface`, ... `flags`: DomainDeviceModifyFlags. */
  async attachDevice(xml: string, { flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainAttachDeviceFlags, { dom: this.ref, xml, flags }, settings);
  }

  /** For a running guest the device is gone with the event `device_removed`, which may be later. */
  async detachDevice(xml: string, { flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainDetachDeviceFlags, { dom: this.ref, xml, flags }, settings);
  }

  async updateDevice(xml: string, { flags = 0, ...settings }: ActSettings = {}): Promise<void> {
    await this.caller.call(protocol.domainUpdateDeviceFlags, { dom: this.ref, xml, flags }, settings);
  }

  /**
   * Opens a console, to read and to write; `device` is an alias, by default that of the first console. A silent one stays
   * open, unless `stallTimeoutMs` is set. `flags`: DomainConsoleFlags.
   */
  async openConsole(
    settings: StreamSettings & { readonly device?: string; readonly flags?: number } = {},
  ): Promise<LibvirtStream> {
    const { device = null, flags = 0, stallTimeoutMs = Infinity, ...rest } = settings;
    const args = { dom: this.ref, devName: device, flags };
    return this.caller.openStream(protocol.domainOpenConsole, args, { ...rest, stallTimeoutMs });
  }

  /** Events of this domain from this call on, until the signal aborts or the loop is left. */
  events(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ObservedDomainEvent> {
    return domainEvents(this.caller, this.uuid, options.signal);
  }

  /** Calls the listener for each such event of this domain. `resync`: events were missed, so read the state again. */
  on<K extends DomainEventKind>(
    kind: K,
    listener: (event: Extract<ObservedDomainEvent, { readonly kind: K }>) => void,
  ): Subscription {
    return onDomainEvent(this.caller, this.uuid, kind, listener);
  }
}
