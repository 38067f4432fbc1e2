import type { XmlElement } from "../element.ts";
import type { DomainDevices } from "./devices.ts";

/**
 * A libvirt domain as data. Parsing leaves out unknown and missing members; a member marked "read only" is parsed and
 * makes `buildDomain` refuse, so that nothing known is dropped silently.
 */
export interface DomainDocument {
  /** kvm, qemu or test are written; any other is read only. */
  readonly type: string;
  readonly name: string;
  readonly uuid: string;
  readonly title?: string;
  readonly description?: string;
  /**
   * The elements of `<metadata>`, which libvirt gives no meaning. Copy what is needed: an element keeps its whole document
   * in memory. Read only: `buildDomain` takes what to write as an argument.
   */
  readonly metadata?: readonly XmlElement[];
  /** What the guest boots with (`<memory>`). */
  readonly memoryBytes: number;
  /** The balloon's target; the whole memory when absent. */
  readonly currentMemoryBytes?: number;
  readonly maxMemory?: { readonly bytes: number; readonly slots?: number };
  readonly memoryBacking?: MemoryBacking;
  readonly vcpus: Vcpus;
  readonly iothreads?: number;
  readonly cpuTune?: CpuTune;
  readonly numaTune?: NumaTune;
  /** More than this of the host's memory, and the kernel ends its QEMU. */
  readonly memoryHardLimitBytes?: number;
  readonly cpu?: DomainCpu;
  readonly os: DomainOs;
  readonly features?: DomainFeatures;
  readonly clock?: DomainClock;
  readonly onPoweroff?: string;
  readonly onReboot?: string;
  readonly onCrash?: string;
  readonly devices: DomainDevices;
  /** Read only on their own: libvirt writes them, and a build leaves them to libvirt. */
  readonly securityLabels?: readonly SecurityLabel[];
  readonly launchSecurity?: LaunchSecurity;
  /** A qemu:commandline is there: arbitrary arguments to QEMU. Read only. */
  readonly hasCommandLine?: boolean;
}

export interface Vcpus {
  readonly max: number;
  readonly current: number;
  readonly cpuSet?: readonly number[];
  /** How many of the current ones can be taken from the running guest. */
  readonly removable?: number;
}

export interface LaunchSecurity {
  /** sev, sev-snp and tdx are written; others are read only. */
  readonly type: string;
  /** What the CPU's firmware is to hold the host to: bits of the type's own. */
  readonly policy?: number;
  /** There is more to it. Read only. */
  readonly hasMore?: boolean;
}

export interface MemoryBacking {
  /** Without a page size: the host's default one. */
  readonly hugePages?: readonly {
    readonly pageSizeBytes?: number;
    readonly guestCells?: readonly number[];
  }[];
  readonly source?: "anonymous" | "file" | "memfd";
  readonly access?: "shared" | "private";
  readonly allocation?: "immediate" | "ondemand";
  readonly noSharePages?: boolean;
  readonly locked?: boolean;
}

export interface CpuTune {
  readonly shares?: number;
  /** Length of the enforcement period of `quotaMicros`. */
  readonly periodMicros?: number;
  /** Cpu time a vcpu may use per period; negative for no limit (read only). */
  readonly quotaMicros?: number;
  readonly vcpuPins?: readonly { readonly vcpu: number; readonly cpuSet: readonly number[] }[];
  readonly emulatorPin?: readonly number[];
  readonly iothreadPins?: readonly { readonly iothread: number; readonly cpuSet: readonly number[] }[];
}

/** strict, preferred, interleave, restrictive. */
export type NumaMode = string;

export interface NumaTune {
  readonly memory?: {
    readonly mode: NumaMode;
    readonly nodeSet?: readonly number[];
    readonly placement?: string;
  };
  readonly memNodes?: readonly {
    readonly guestCell: number;
    readonly mode: NumaMode;
    readonly nodeSet: readonly number[];
  }[];
}

export interface DomainCpu {
  /** host-passthrough, host-model, custom, maximum. */
  readonly mode?: string;
  readonly match?: string;
  readonly check?: string;
  readonly migratable?: boolean;
  readonly model?: { readonly name: string; readonly fallback?: "allow" | "forbid" };
  readonly vendor?: string;
  readonly topology?: {
    readonly sockets: number;
    readonly dies?: number;
    readonly clusters?: number;
    readonly cores: number;
    readonly threads: number;
  };
  readonly features?: readonly { readonly name: string; readonly policy?: string }[];
  readonly cells?: readonly {
    readonly id?: number;
    readonly cpus?: readonly number[];
    readonly memoryBytes: number;
    readonly memoryAccess?: "shared" | "private";
  }[];
}

export interface DomainOs {
  /** hvm; others are read only. */
  readonly type: string;
  readonly arch?: string;
  readonly machine?: string;
  /** Which firmware libvirt is to choose by itself. */
  readonly firmware?: "bios" | "efi";
  readonly secureBoot?: boolean;
  readonly enrolledKeys?: boolean;
  readonly loader?: {
    readonly path?: string;
    readonly readOnly?: boolean;
    readonly type?: "rom" | "pflash";
    readonly secure?: boolean;
    readonly format?: string;
  };
  readonly nvram?: { readonly path?: string; readonly template?: string; readonly format?: string };
  readonly kernel?: string;
  readonly initrd?: string;
  readonly commandLine?: string;
  /** hd, cdrom, network, fd: in this order; excludes boot orders on devices. */
  readonly bootDevices?: readonly string[];
}

export interface DomainFeatures {
  readonly acpi?: boolean;
  readonly apic?: boolean;
  readonly pae?: boolean;
  readonly smm?: boolean;
  readonly vmport?: boolean;
  readonly kvmHidden?: boolean;
  readonly ioapic?: "kvm" | "qemu";
  readonly tcgCacheBytes?: number;
  /** Hyper-V enlightenments are there. Read only. */
  readonly hyperv?: boolean;
}

export interface DomainClock {
  /** utc, localtime, timezone, variable, absolute. Only utc and localtime are written. */
  readonly offset: string;
  readonly timers?: readonly {
    readonly name: string;
    readonly present?: boolean;
    readonly tickPolicy?: string;
    readonly mode?: string;
    readonly frequencyHz?: number;
  }[];
}

export interface SecurityLabel {
  readonly type?: string;
  readonly model?: string;
  readonly relabel?: boolean;
  readonly label?: string;
  readonly imageLabel?: string;
}
