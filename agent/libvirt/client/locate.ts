import { stat } from "node:fs/promises";
import { LibvirtError } from "../internal/errors.ts";
import { unreachable } from "../rpc/errors.ts";
import type { Family } from "../rpc/procedure.ts";

/** The environment variables that locate a session's sockets. */
export type Environment = {
  readonly [Name in "XDG_RUNTIME_DIR" | "XDG_CACHE_HOME" | "HOME"]?: string | undefined;
};

export interface Target {
  /** The URI for CONNECT_OPEN. */
  readonly uri: string;
  readonly driver: "qemu" | "test";
  readonly session: boolean;
  /** Given with `?socket=`. */
  readonly socketPath?: string;
}

/** The daemon for one family of procedures. */
export interface Endpoint {
  readonly socketPath: string;
  readonly uri: string;
  /** Each driver has a daemon of its own. */
  readonly modular: boolean;
}

export interface Locator {
  readonly environment: Environment;
  /** Where the system daemons keep their sockets: `/run/libvirt`. */
  readonly runDirectory: string;
}

/** The daemon of each driver, and its part of a URI, as libvirt's remote driver names them. */
const daemons: Readonly<Record<Exclude<Family, "hypervisor">, string>> = {
  network: "virtnetworkd",
  storage: "virtstoraged",
  nodedev: "virtnodedevd",
  secret: "virtsecretd",
  nwfilter: "virtnwfilterd",
  interface: "virtinterfaced",
};

const MONOLITHIC = "libvirt-sock";

/** Accepts `qemu:///system`, `qemu:///session`, `test:///default` and `test:///file.xml`, all with `?socket=`. */
export function parseUri(text: string): Target {
  let url: URL;
  let path: string;
  try {
    url = new URL(text);
    path = decodeURIComponent(url.pathname);
  } catch (cause) {
    throw invalid(text, "is no URI; use qemu:///system", cause);
  }
  const [driver, transport] = url.protocol.slice(0, -1).split("+");
  if ((transport !== undefined && transport !== "unix") || url.host !== "") {
    const message = `${text}: only a libvirt on this host, over its unix socket, is supported (no TLS, TCP, SSH or SASL)`;
    throw new LibvirtError("unsupported", "LIBVIRT_TRANSPORT_UNSUPPORTED", message);
  }
  for (const name of url.searchParams.keys()) {
    if (name !== "socket") throw invalid(text, `has a parameter that means nothing here: ${name}`);
  }
  const socketPath = url.searchParams.get("socket");
  if (socketPath !== null && !socketPath.startsWith("/"))
    throw invalid(text, "needs an absolute path in ?socket=");
  const common = { uri: `${driver}://${path}`, ...(socketPath === null ? {} : { socketPath }) };
  if (driver === "qemu" && (path === "/system" || path === "/session")) {
    return { ...common, driver, session: path === "/session" };
  }
  if (driver === "test" && path.length > 1) return { ...common, driver, session: false };
  throw invalid(
    text,
    "is none of qemu:///system, qemu:///session, test:///default, test:///path/to/file.xml",
  );
}

/**
 * The socket for a family, found as libvirt's own client finds it: that of the driver's daemon if it exists, else that
 * of the monolithic libvirtd. Starts no daemon. Throws `unavailable` with the paths that were tried.
 */
export async function locate(target: Target, family: Family, locator: Locator): Promise<Endpoint> {
  const { uri } = target;
  if (target.socketPath !== undefined) {
    // An explicit socket serves all families: libvirtd has all drivers, and virtqemud forwards calls.
    return { socketPath: await mustExist([target.socketPath], uri), uri, modular: false };
  }
  const directories = target.session
    ? [sessionDirectory(target, locator)]
    : target.driver === "test" && hasSession(locator)
      ? [locator.runDirectory, sessionDirectory(target, locator)]
      : [locator.runDirectory];
  const monolithic = directories.map((directory) => `${directory}/${MONOLITHIC}`);
  // Only libvirtd has the test driver.
  if (target.driver === "test") return { socketPath: await mustExist(monolithic, uri), uri, modular: false };

  const [directory = ""] = directories;
  const hypervisor = `${directory}/virtqemud-sock`;
  const isModular = await exists(hypervisor);
  if (family === "hypervisor" || !isModular) {
    return { socketPath: await mustExist([hypervisor, ...monolithic], uri), uri, modular: isModular };
  }
  const familyUri = `${family}:///${target.session ? "session" : "system"}`;
  const own = `${directory}/${daemons[family]}-sock`;
  return { socketPath: await mustExist([own], familyUri), uri: familyUri, modular: true };
}

function sessionDirectory(target: Target, { environment }: Locator): string {
  const { XDG_RUNTIME_DIR, XDG_CACHE_HOME, HOME } = environment;
  if (XDG_RUNTIME_DIR !== undefined) return `${XDG_RUNTIME_DIR}/libvirt`;
  if (XDG_CACHE_HOME !== undefined) return `${XDG_CACHE_HOME}/libvirt`;
  if (HOME !== undefined) return `${HOME}/.cache/libvirt`;
  throw invalid(target.uri, "needs XDG_RUNTIME_DIR or HOME to find the session's sockets");
}

function hasSession({ environment }: Locator): boolean {
  return Object.values(environment).some((value) => value !== undefined);
}

async function mustExist(candidates: readonly string[], uri: string): Promise<string> {
  for (const path of candidates) if (await exists(path)) return path;
  const message = `no libvirt daemon for ${uri}: tried ${candidates.join(", ")}; install and start libvirt`;
  throw unreachable("SOCKET_MISSING", message);
}

/** True also for a path without permission: opening the socket then fails with the reason. */
async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EACCES";
  }
}

function invalid(uri: string, problem: string, cause?: unknown): LibvirtError {
  return new LibvirtError("invalid", "LIBVIRT_BAD_URI", `${uri} ${problem}`, { cause });
}
