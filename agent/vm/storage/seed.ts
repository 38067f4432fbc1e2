import type { SeedSecrets } from "../../contract/spec-cloud-init.ts";
import { SEED_BYTES } from "../model/volume-names.ts";
import { isoImage } from "./iso9660.ts";

/** What cloud-init gets at the first boot. */
export interface Seed extends SeedSecrets {
  /** cloud-init runs again for another one. */
  readonly instance: string;
  readonly hostname: string;
  readonly sshKeys: readonly string[];
  /** Of each NIC. */
  readonly macs: readonly string[];
}

/** The label by which cloud-init's NoCloud data source finds the volume, on any block device. */
const LABEL = "cidata";

/** The NoCloud seed: equal parts give equal bytes. cloud-init reads JSON as the YAML that it is. */
export function seedImage({ instance, hostname, sshKeys, macs, userData = "", networkConfig }: Seed): Buffer {
  const metaData = {
    "instance-id": instance,
    "local-hostname": hostname,
    ...(sshKeys.length === 0 ? {} : { "public-keys": sshKeys }),
  };
  const network = networkConfig ?? (macs.length === 0 ? undefined : json(networkOf(macs)));
  const files = [
    { name: "meta-data", text: json(metaData) },
    { name: "user-data", text: userData },
    ...(network === undefined ? [] : [{ name: "network-config", text: network }]),
  ];
  return isoImage(
    LABEL,
    files.map(({ name, text }) => ({ name, data: Buffer.from(text) })),
    SEED_BYTES,
  );
}

const json = (value: unknown): string => `${JSON.stringify(value)}\n`;

/**
 * Version 2: every NIC asks DHCP for its addresses, also with allowed addresses, since the gateway is known only there.
 * NICs are found by MAC address, and named, since not every distribution configures a NIC without a name. Only the
 * first one delays the boot.
 */
const networkOf = (macs: readonly string[]): object => ({
  version: 2,
  ethernets: Object.fromEntries(
    macs.map((macaddress, index) => {
      const name = `eth${index}`;
      const optional = index === 0 ? {} : { optional: true };
      return [name, { match: { macaddress }, "set-name": name, dhcp4: true, dhcp6: true, ...optional }];
    }),
  ),
});

/** A VM's name as a host name: its name may have characters that no host name has. */
export const hostnameOf = (vmName: string): string =>
  vmName
    .toLowerCase()
    .split(".")
    .map((label) => label.replaceAll("_", "-").replace(/^-+|-+$/g, ""))
    .filter((label) => label !== "")
    .join(".");
