import { enumWords } from "./enum.ts";

/** The enums of a spec: their words here and in a file, and their names on the wire. */
export const specEnums = {
  accelerator: enumWords("ACCELERATOR", ["kvm", "tcg"]),
  firmware: enumWords("FIRMWARE", ["bios", "uefi", "uefi-secure-boot"]),
  launchSecurity: enumWords("LAUNCH_SECURITY", ["sev", "sev-snp", "tdx"]),
  cpuMode: enumWords("CPU_MODE", ["host-passthrough", "host-model", "custom"]),
  diskFormat: enumWords("DISK_FORMAT", ["qcow2", "raw"]),
  /** Of an image's source. */
  sourceFormat: enumWords("DISK_FORMAT", ["qcow2", "raw", "vmdk", "vhdx"]),
  encryption: enumWords("VOLUME_ENCRYPTION", ["luks"]),
  cellPolicy: enumWords("CELL_POLICY", ["any", "strict"]),
  crashPolicy: enumWords("CRASH_POLICY", ["stop", "restart"]),
  graphics: enumWords("GRAPHICS", ["vnc"]),
  watchdogModel: enumWords("WATCHDOG_MODEL", ["i6300esb", "itco"]),
  watchdogAction: enumWords("WATCHDOG_ACTION", ["reset", "poweroff", "pause", "none"]),
} as const;

export const dumpFormats = enumWords("DUMP_FORMAT", ["elf", "kdump-zlib"]);
export const nicLinks = enumWords("NIC_LINK", ["up", "down"]);
