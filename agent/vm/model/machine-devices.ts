import { join } from "node:path";
import type { VmSpec } from "../../contract/spec.ts";
import type { DomainDevices } from "../../libvirt/xml/index.ts";
import { defined } from "../../kernel/defined.ts";

/** Where the devices of `spec-machine.ts` are made. */
export interface MachinePlace {
  /** x86_64, aarch64. */
  readonly architecture: string;
  /** The directory of the sockets that QEMU makes for the agent. */
  readonly socketDirectory: string;
}

const VRAM_BYTES = 16 * 2 ** 20;

export const basenameOfScreen = (vmId: string): string => `${vmId}.vnc`;

/** The screen on its socket, and the video card behind it. libvirt adds a keyboard and a mouse. */
export function screenOf(
  { id, graphics }: Pick<VmSpec, "id" | "graphics">,
  { architecture, socketDirectory }: MachinePlace,
): Pick<DomainDevices, "graphics" | "videos"> {
  if (graphics === undefined) return { graphics: [], videos: [] };
  const vga = { model: "vga", vramBytes: VRAM_BYTES };
  return {
    graphics: [{ type: graphics, socket: join(socketDirectory, basenameOfScreen(id)) }],
    // Every firmware, boot loader and guest of x86 knows VGA; other machines have none.
    videos: [architecture === "x86_64" ? vga : { model: "virtio" }],
  };
}

/** libvirt adds the chipset's on x86, with the same action. */
export const watchdogsOf = (
  { watchdog }: Pick<VmSpec, "watchdog">,
  { architecture }: Pick<MachinePlace, "architecture">,
): DomainDevices["watchdogs"] =>
  watchdog === undefined
    ? []
    : [
        defined({
          model: watchdog.model ?? (architecture === "x86_64" ? "itco" : "i6300esb"),
          action: watchdog.action,
        }),
      ];
