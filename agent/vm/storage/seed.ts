import type { SeedSecrets } from "../../contract/spec-cloud-init.ts";
import { SEED_BYTES } from "../model/volume-names.ts";
import * as z from "../../kernel/zod.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { isoFiles } from "./iso9660-reader.ts";
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

/**
 * The secret parts of a seed as they were given: a network configuration that the agent made is left out, since the NICs may
 * have changed. Throws a RangeError if the image is no seed.
 */
export function seedSecretsOf(image: Buffer): SeedSecrets {
  const files = isoFiles(image);
  const text = (name: string): string | undefined => files.get(name)?.toString("utf8");
  if (text("meta-data") === undefined) throw new RangeError("an image without meta-data");
  const [userData = "", network] = [text("user-data"), text("network-config")];
  return {
    ...(userData === "" ? {} : { userData }),
    ...(network === undefined || isOwn(network) ? {} : { networkConfig: network }),
  };
}

/** Whether the agent made this network configuration. */
function isOwn(network: string): boolean {
  const { ethernets } = madeNetwork.safeParse(parseJson(network)).data ?? {};
  if (ethernets === undefined) return false;
  return network === json(networkOf(Object.values(ethernets).map(({ match }) => match.macaddress)));
}

const madeNetwork = z.object({
  ethernets: z.record(z.string(), z.object({ match: z.object({ macaddress: z.string() }) })),
});

/** A VM's name as a host name: its name may have characters that no host name has. */
export const hostnameOf = (vmName: string): string =>
  vmName
    .toLowerCase()
    .split(".")
    .map((label) => label.replaceAll("_", "-").replace(/^-+|-+$/g, ""))
    .filter((label) => label !== "")
    .join(".");
