import { readFile } from "node:fs/promises";
import { succeeds } from "../kernel/thrown.ts";

/** A connection over 127.0.0.1. */
interface LocalPeer {
  readonly localPort?: number | undefined;
  readonly remotePort?: number | undefined;
}

/** The user whose process is at the other end of a connection over 127.0.0.1; undefined: not known. */
export async function userOfPeer(
  { localPort = 0, remotePort = 0 }: LocalPeer,
  procRoot = "/proc",
): Promise<number | undefined> {
  const table = await readFile(`${procRoot}/net/tcp`, "utf8").catch(() => "");
  const address = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of table.split("\n")) {
    const [, local, remote, , , , , user] = line.trim().split(/\s+/);
    if (local === address(remotePort) && remote === address(localPort)) return Number(user);
  }
  return undefined;
}

/** Whether the peer is of this user, or of the one that ran sudo. Other systems than Linux do not show it. */
export async function isOwnPeer(
  socket: LocalPeer,
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  if (!(await succeeds(readFile("/proc/net/tcp")))) return true;
  const user = await userOfPeer(socket);
  return user !== undefined && [process.getuid?.(), 0, Number(env["SUDO_UID"] ?? NaN)].includes(user);
}
