import { withoutUndefined } from "../kernel/defined.ts";
import type { CloudInit } from "../gen/socle/v1/CloudInit.ts";
import { usageError } from "./errors.ts";
import type { Session } from "./session.ts";
import { readText } from "./text-file.ts";

/** The flags of `socle vm create` for the guest's first boot. */
export interface CloudInitFlags {
  readonly hostname?: string;
  readonly sshKey?: readonly string[];
  /** Files: what they hold is secret, and a command line is not. */
  readonly userData?: string;
  readonly networkConfig?: string;
  readonly seedPool?: string;
}

/** The flags in place of the spec's own values; undefined if neither gives one. */
export async function withCloudInitFlags(
  session: Session,
  given: CloudInit | null | undefined,
  { hostname, sshKey, userData, networkConfig, seedPool }: CloudInitFlags,
): Promise<CloudInit | undefined> {
  const read = async (file: string | undefined): Promise<string | undefined> =>
    file === undefined ? undefined : await readText(session, file);
  const keys =
    sshKey === undefined ? undefined : await Promise.all(sshKey.map((key) => keysOf(session, key)));
  const flags = withoutUndefined({
    hostname,
    sshKeys: keys?.flat(),
    userData: await read(userData),
    networkConfig: await read(networkConfig),
    pool: seedPool,
  });
  return Object.keys(flags).length === 0 ? (given ?? undefined) : { ...given, ...flags };
}

/** A public key, or a file of them. */
async function keysOf(session: Session, keyOrFile: string): Promise<string[]> {
  if (/^(ssh|ecdsa|sk)-\S+ \S/.test(keyOrFile)) return [keyOrFile];
  const words = await readText(session, keyOrFile);
  const isPrivate = words.includes("PRIVATE KEY");
  const lines = words.split("\n").map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (isPrivate || keys.length === 0) {
    const found = isPrivate ? "a private key; its public key is usually in the file with .pub" : "no key";
    throw usageError(`--ssh-key takes a public key or a file of them, and ${keyOrFile} has ${found}`);
  }
  return keys;
}
