import type { PlacementWish } from "../../state/reservations/placement.ts";

/** A tenant's request for a VM, validated by spec-check.ts before any other use. */
export interface VmSpec {
  readonly name: string;
  /** Canonical lower-case UUID. */
  readonly id: string;
  readonly vcpus: number;
  readonly cpuTopology?: { readonly sockets: number; readonly cores: number; readonly threads: number };
  readonly cpuMode?: "host-passthrough" | "host-model" | "custom";
  /** With cpuMode custom. */
  readonly cpuModel?: string;
  readonly memoryBytes: number;
  /** Absent: the host's configuration decides. */
  readonly accelerator?: Accelerator;
  readonly firmware: "bios" | "uefi" | "uefi-secure-boot";
  readonly disks: readonly DiskSpec[];
  readonly nics: readonly NicSpec[];
  readonly kernelBoot?: KernelBootSpec;
  /** A TPM of its own; its state is encrypted with a passphrase of its own. Absent: none. */
  readonly tpm?: true;
  /** Memory is encrypted against the host. Absent: it is not. */
  readonly launchSecurity?: LaunchSecurity;
  readonly guestAgent: boolean;
  readonly tenant: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly autostart: boolean;
  /** Absent: anywhere with free capacity. */
  readonly placement?: PlacementWish;
}

export type LaunchSecurity = "sev" | "sev-snp" | "tdx";

export type Accelerator = "kvm" | "tcg";

export interface VolumeRef {
  readonly pool: string;
  readonly volume: string;
}

export interface DiskSpec {
  readonly name: string;
  readonly source:
    | { readonly kind: "volume"; readonly volume: VolumeRef }
    | {
        readonly kind: "new";
        readonly pool: string;
        /** Absent: the base volume's capacity. */
        readonly capacityBytes?: number;
        readonly format: "qcow2" | "raw";
        readonly baseVolume?: string;
        /** With a passphrase of its own (guest-keys.ts). */
        readonly encryption?: "luks";
      };
  readonly readOnly: boolean;
}

export interface NicSpec {
  readonly name: string;
  readonly source:
    | { readonly kind: "network"; readonly network: string }
    | { readonly kind: "bridge"; readonly bridge: string };
  /** Absent: derived from the VM's id and the NIC's name. */
  readonly mac?: string;
  readonly allowSpoofing: boolean;
  readonly allowedAddresses: readonly string[];
}

export interface KernelBootSpec {
  readonly kernel: VolumeRef;
  readonly initrd?: VolumeRef;
  readonly commandLine: string;
}

/** Capacity of the disks made for a VM. Specs from before capacities were filled in may lack one. */
export const newDiskBytes = ({ disks }: Pick<VmSpec, "disks">): number =>
  disks.reduce((bytes, { source }) => bytes + (source.kind === "new" ? (source.capacityBytes ?? 0) : 0), 0);
