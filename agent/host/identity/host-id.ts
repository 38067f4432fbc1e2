import { createHmac, randomUUID } from "node:crypto";
import { uuidOf } from "../../kernel/text/uuid.ts";

/** Application id for this derivation: other programs derive other ids. Never change it. */
const APPLICATION_ID = Buffer.from("3c1f0b8e5d6a4f0f9a3de0c57b1a2f46", "hex");

/**
 * The UUID of a new host: libvirt's host uuid, else one derived from the machine id, else a random one.
 * libvirt's uuid comes from the firmware; without firmware tables it changes at each start of the daemon, so the
 * machine id comes first.
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
 * HMAC-SHA256 of the application id, keyed by the machine id, cut to 128 bits and marked as a version 4 UUID, as in
 * sd_id128_get_machine_app_specific(3). The secret machine id cannot be derived from it.
 */
const deriveHostId = (machineId: string): string =>
  uuidOf(createHmac("sha256", Buffer.from(machineId, "hex")).update(APPLICATION_ID).digest(), 4);
