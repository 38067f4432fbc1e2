import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";

/** The first bytes of a volume. libvirt reads it: the agent may not open the file. */
export async function readVolume(
  calls: Pick<LibvirtCalls, "openStream">,
  vol: libvirt.StorageVol,
  length: number,
): Promise<Buffer> {
  const part = { vol, offset: 0, length, flags: 0 };
  const pieces: Buffer[] = [];
  for await (const piece of await calls.openStream(libvirt.storageVolDownload, part)) pieces.push(piece);
  return Buffer.concat(pieces);
}
