import { execFile } from "node:child_process";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const repository = join(import.meta.dirname, "../..");

/** The tiny guest's files (see scripts/guest-image), where one libvirtd's guests can read them. */
export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  /** The same with the QEMU guest agent in it. */
  readonly initrdWithAgent: string;
  /** A 1 MiB raw disk that prints its marker and halts. */
  readonly bootSector: string;
}

/**
 * The kernel command line of the tiny Linux guest. An emulated boot takes a fifth less CPU time without the checks of its
 * kernel's own cryptography, and without mitigations for a processor that is emulated. Its check of the timer fails if the
 * guest gets no CPU meanwhile; it then falls back to a mode in which its serial port has no interrupts.
 */
export const linuxCommandLine =
  "console=ttyS0 quiet no_timer_check mitigations=off initcall_blacklist=jent_mod_init,crypto_algapi_init,load_system_certificate_list";

/** The tiny Linux guest's output on its serial console once it is up. */
export const bootedMarker = "socle-guest: booted";

/**
 * Builds the guest if necessary and copies it into `directory`: libvirt changes the owner of a guest's files,
 * so each libvirtd has its own.
 */
export async function guestFilesIn(directory: string): Promise<GuestFiles> {
  await promisify(execFile)(join(repository, "scripts/guest-image"), [], { timeout: 300_000 });
  const copy = async (name: string): Promise<string> => {
    const to = join(directory, name);
    await copyFile(join(repository, ".cache/guest", name), to);
    return to;
  };
  const [kernel, initrd, initrdWithAgent, bootSector] = await Promise.all([
    copy("vmlinuz"),
    copy("initrd"),
    copy("initrd-ga"),
    copy("bootsector.img"),
  ]);
  return { kernel, initrd, initrdWithAgent, bootSector };
}

export interface GuestXmlOptions {
  readonly name: string;
  readonly uuid?: string;
  readonly memoryMib?: number;
  readonly vcpus?: number;
  /** The boot source: the boot sector alone, or Linux with this command line. */
  readonly boot: { readonly bootSector: string } | { readonly linux: GuestFiles; readonly words?: string };
  /** "tcg" (default) works everywhere; not every KVM can run a Linux guest. */
  readonly accelerator?: "tcg" | "kvm";
  /** Its <cpu>, as XML: topology and NUMA cells. */
  readonly cpu?: string;
  /** A file that the serial console is logged to. */
  readonly consoleLog?: string;
  /** More elements for <devices>. */
  readonly devices?: string;
}

/**
 * Domain XML of a guest as a person would write it for virsh, independent of Socle's own builder. Boot-sector
 * guests are QEMU's smallest (32 MiB, 1 MiB of translation cache), for many at a time.
 */
export function guestXml(options: GuestXmlOptions): string {
  const { name, uuid, vcpus = 1, boot, accelerator = "tcg", cpu = "", consoleLog, devices = "" } = options;
  const isLinux = "linux" in boot;
  const memoryMib = options.memoryMib ?? (isLinux ? 96 : 32);
  const os = isLinux
    ? `<kernel>${boot.linux.kernel}</kernel><initrd>${boot.linux.initrd}</initrd>` +
      `<cmdline>${linuxCommandLine} ${boot.words ?? ""}</cmdline>`
    : `<boot dev='hd'/>`;
  const disk = isLinux
    ? ""
    : `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${boot.bootSector}'/>` +
      `<target dev='vda' bus='virtio'/><readonly/><shareable/></disk>`;
  const log = consoleLog === undefined ? "" : `<log file='${consoleLog}' append='off'/>`;
  const tcg =
    accelerator === "tcg" && !isLinux
      ? "<features><acpi/><tcg><tb-cache unit='MiB'>1</tb-cache></tcg></features>"
      : "";
  return `<domain type='${accelerator === "tcg" ? "qemu" : "kvm"}'>
  <name>${name}</name>
  ${uuid === undefined ? "" : `<uuid>${uuid}</uuid>`}
  <memory unit='MiB'>${memoryMib}</memory>
  <vcpu>${vcpus}</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>${os}</os>
  ${cpu}
  ${tcg === "" ? "<features><acpi/></features>" : tcg}
  <devices>
    <controller type='usb' model='none'/>
    ${disk}
    <serial type='pty'>${log}<target port='0'/></serial>
    ${devices}
  </devices>
</domain>`;
}
