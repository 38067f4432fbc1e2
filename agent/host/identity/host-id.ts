import { createHmac, randomUUID } from "node:crypto";

/** Names this use of the machine id: other programs derive other ids from it. Never change it. */
const APPLICATION_ID = Buffer.from("3c1f0b8e5d6a4f0f9a3de0c57b1a2f46", "hex");

/**
 * The UUID of a host that has none yet: libvirt's host uuid, else one derived from the machine id, else a new one.
 * libvirt takes its own from the firmware, and where there is none makes a new one at each start of its daemon: so
 * without firmware tables the machine id goes first.
 */
export function chooseHostId(sources: {
  readonly libvirtUuid?: string | undefined;
  readonly hasFirmwareTables: boolean;
  readonly machineId?: string | undefined;
}): string {
  const derived = sources.machineId === undefined ? undefined : deriveHostId(sources.machineId);
  const [first, second] = sources.hasFirmwareTables
    ? [sources.libvirtUuid, derived]
    : [derived, sources.libvirtUuid];
  return first ?? second ?? randomUUID();
}

/**
 * HMAC-SHA256 of the application's id, keyed by the machine id, cut to 128 bits and marked as a version 4 UUID: the
 * way of sd_id128_get_machine_app_specific(3). The machine id is a secret that cannot be found from it.
 */
function deriveHostId(machineId: string): string {
  const bytes = createHmac("sha256", Buffer.from(machineId, "hex"))
    .update(APPLICATION_ID)
    .digest()
    .subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
