import type { PciAddress } from "../pci-address.ts";
import type { IoTune } from "./io-tune.ts";

export interface DomainDevices {
  readonly emulator?: string;
  readonly disks: readonly Disk[];
  readonly interfaces: readonly Interface[];
  readonly controllers: readonly Controller[];
  readonly serials: readonly CharacterDevice[];
  readonly consoles: readonly CharacterDevice[];
  readonly channels: readonly Channel[];
  readonly rngs: readonly Rng[];
  readonly memoryDevices: readonly MemoryDevice[];
  readonly memoryBalloon?: MemoryBalloon;
  readonly watchdogs: readonly Watchdog[];
  readonly tpms: readonly Tpm[];
  /** vnc is written; other types are read only. */
  readonly graphics: readonly Graphics[];
  readonly videos: readonly Video[];
  readonly hostDevices: readonly HostDevice[];
  readonly inputs: readonly { readonly type: string; readonly bus?: string }[];
  readonly panics: readonly { readonly model?: string }[];
  readonly vsock?: { readonly model?: string; readonly autoCid?: boolean; readonly cid?: number };
}

/** To spread under the devices that a document has. */
export const noDevices: DomainDevices = {
  disks: [],
  interfaces: [],
  controllers: [],
  serials: [],
  consoles: [],
  channels: [],
  rngs: [],
  memoryDevices: [],
  watchdogs: [],
  tpms: [],
  graphics: [],
  videos: [],
  hostDevices: [],
  inputs: [],
  panics: [],
};

/** Where a disk's bytes are. `network` and `other` are read only. */
export type DiskSource =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "block"; readonly path: string }
  | { readonly type: "volume"; readonly pool: string; readonly volume: string }
  | {
      readonly type: "network";
      readonly protocol: string;
      readonly name?: string;
      readonly hosts: readonly string[];
    }
  | { readonly type: "other"; readonly kind: string };

export interface BackingImage {
  readonly format?: string;
  readonly source?: DiskSource;
}

export interface Disk {
  /** disk and cdrom are written; floppy and lun are read only. */
  readonly device: string;
  /** Absent: a drive without a medium. */
  readonly source?: DiskSource;
  /** The driver's format: raw or qcow2 are written. */
  readonly format?: string;
  readonly cache?: string;
  readonly io?: string;
  readonly discard?: string;
  readonly detectZeroes?: string;
  readonly iothread?: number;
  readonly queues?: number;
  readonly target: { readonly device: string; readonly bus?: string };
  readonly readOnly?: boolean;
  readonly shareable?: boolean;
  readonly serial?: string;
  readonly bootOrder?: number;
  readonly ioTune?: IoTune;
  /** LUKS: the libvirt secret with the passphrase, by reference only. */
  readonly encryptionSecretUuid?: string;
  /** libvirt's name for the device; on writing only "ua-..." has an effect. */
  readonly alias?: string;
  /** Nearest first, as libvirt found it: only on parse. */
  readonly backingChain?: readonly BackingImage[];
  /** The image that a block job copies the disk to: only on parse. */
  readonly mirror?: DiskSource;
  /** Of the block job of the mirror: only on parse. */
  readonly mirrorJob?: MirrorJob;
}

export interface MirrorJob {
  /** copy, active-commit. */
  readonly job?: string;
  readonly format?: string;
  /** yes: the copy is complete and may be pivoted to; absent: it is not. */
  readonly ready?: string;
}

/** What an interface is plugged into. `direct` and `other` are read only. */
export type InterfaceSource =
  | {
      readonly type: "network";
      readonly network: string;
      readonly portGroup?: string;
      readonly bridge?: string;
    }
  | { readonly type: "bridge"; readonly bridge: string }
  | { readonly type: "direct"; readonly device: string; readonly mode?: string }
  | { readonly type: "ethernet" }
  | { readonly type: "user" }
  | { readonly type: "hostdev"; readonly address: PciAddress; readonly managed?: boolean }
  | { readonly type: "other"; readonly kind: string };

export interface Interface {
  readonly source: InterfaceSource;
  readonly mac?: string;
  readonly model?: string;
  /** The host's end, e.g. vnet3. */
  readonly targetDevice?: string;
  readonly queues?: number;
  readonly filter?: {
    readonly name: string;
    /** A parameter may be there several times: IP, once for each address. */
    readonly parameters: readonly { readonly name: string; readonly value: string }[];
  };
  readonly mtuBytes?: number;
  readonly bootOrder?: number;
  readonly linkState?: "up" | "down";
  /** `inbound`: to the guest. */
  readonly bandwidth?: { readonly inbound?: Bandwidth; readonly outbound?: Bandwidth };
  readonly alias?: string;
}

/** libvirt counts in KiB: on writing, values are rounded up. */
export interface Bandwidth {
  readonly averageBytesPerSecond?: number;
  readonly peakBytesPerSecond?: number;
  /** Guaranteed; of inbound only. */
  readonly floorBytesPerSecond?: number;
  readonly burstBytes?: number;
}

export interface Controller {
  readonly type: string;
  readonly index?: number;
  readonly model?: string;
  /** Of a PCIe port. libvirt chooses them in a definition, and requires them of a port that is added to one. */
  readonly port?: {
    /** The device that QEMU emulates. */
    readonly device: string;
    /** Unique in the domain. */
    readonly chassis: number;
    readonly number: number;
  };
  readonly iothread?: number;
  readonly queues?: number;
  readonly alias?: string;
}

/** A serial port or console; types other than pty and unix are read only. */
export interface CharacterDevice {
  readonly type: string;
  /** The pseudo terminal of a running guest, or the socket's path. */
  readonly path?: string;
  /** Of a unix socket: bind means that QEMU listens. */
  readonly mode?: "bind" | "connect";
  readonly log?: { readonly path: string; readonly append?: boolean };
  readonly target?: { readonly type?: string; readonly port?: number; readonly model?: string };
  readonly alias?: string;
}

/** A virtio-serial channel; types other than unix are read only. */
export interface Channel {
  readonly type: string;
  readonly path?: string;
  readonly mode?: "bind" | "connect";
  readonly targetType?: string;
  /** org.qemu.guest_agent.0 for the guest agent. */
  readonly targetName?: string;
  /** Whether the guest holds it open; only of a running guest. */
  readonly state?: "connected" | "disconnected";
  readonly alias?: string;
}

export interface Rng {
  readonly model?: string;
  /** random (a device of the host, `path`) or builtin; egd is read only. */
  readonly backend: string;
  readonly path?: string;
  readonly rate?: { readonly bytes: number; readonly periodMs?: number };
}

export interface MemoryBalloon {
  /** virtio, virtio-transitional, none. */
  readonly model: string;
  readonly statsPeriodSeconds?: number;
  readonly freePageReporting?: boolean;
  readonly autoDeflate?: boolean;
}

export interface Watchdog {
  readonly model: string;
  readonly action?: string;
}

export interface Tpm {
  readonly model?: string;
  /** emulator is written; passthrough and external are read only. */
  readonly backend: string;
  readonly version?: string;
  readonly encryptionSecretUuid?: string;
}

/** Memory beside that of the NUMA cells; the domain's memoryBytes includes it. */
export interface MemoryDevice {
  /** dimm and virtio-mem are written; nvdimm, virtio-pmem and sgx-epc are read only. */
  readonly model: string;
  readonly access?: "shared" | "private";
  readonly discard?: boolean;
  readonly sizeBytes: number;
  readonly guestCell?: number;
  readonly pageSizeBytes?: number;
  readonly hostCells?: readonly number[];
  /** virtio-mem: the unit in which it grows and shrinks. */
  readonly blockBytes?: number;
  /** virtio-mem: how much of it the guest may use. */
  readonly requestedBytes?: number;
  /** virtio-mem: how much of it the guest uses; only on parse. */
  readonly currentBytes?: number;
  /** Where it is in the guest's memory: of a running guest. */
  readonly baseAddress?: number;
  readonly alias?: string;
  readonly address?: PciAddress;
}

/** A screen. Without `socket` it is on TCP; only loopback addresses are written. */
export interface Graphics {
  readonly type: string;
  readonly port?: number;
  /** libvirt chooses the port at start. */
  readonly autoPort?: boolean;
  readonly listen?: string;
  /** A unix socket. */
  readonly socket?: string;
  /** Of VNC, at most 8 characters count. libvirt gives it with the flag SECURE alone. */
  readonly password?: string;
}

export interface Video {
  readonly model: string;
  readonly vramBytes?: number;
  readonly heads?: number;
}

/** A device of the host given to the guest; kinds other than pci are read only. */
export type HostDevice = {
  readonly managed?: boolean;
  readonly alias?: string;
} & (
  | {
      readonly type: "pci";
      readonly address: PciAddress;
      /** vfio, or another driver's name. */
      readonly driver?: string;
      readonly bootOrder?: number;
      readonly rom?: boolean;
    }
  | { readonly type: "mdev"; readonly uuid: string; readonly model?: string }
  | { readonly type: "other"; readonly kind: string }
);
