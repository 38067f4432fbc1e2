import { stat } from "node:fs/promises";
import { SocleError } from "../../kernel/errors.ts";
import { unreachable } from "../rpc/errors.ts";
import type { Family } from "../rpc/procedure.ts";

/** The part of the process's environment that says where a session's sockets are. */
export type Environment = {
  readonly [Name in "XDG_RUNTIME_DIR" | "XDG_CACHE_HOME" | "HOME"]?: string | undefined;
};

export interface Target {
  /** What CONNECT_OPEN is told. */
  readonly uri: string;
  readonly driver: "qemu" | "test";
  readonly session: boolean;
  /** Given with `?socket=`. */
  readonly socketPath?: string;
}

/** Where one family of procedures is answered. */
export interface Endpoint {
  readonly socketPath: string;
  readonly uri: string;
  /** The daemon is that of one driver; other families have daemons of their own. */
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

/** Understands `qemu:///system`, `qemu:///session`, `test:///default` and `test:///file.xml`, all with `?socket=`. */
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
    throw new SocleError("unsupported", "LIBVIRT_TRANSPORT_UNSUPPORTED", message);
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
 * The socket to use for a family, found as libvirt's own client finds it: the daemon of that driver if it has a
 * socket, else the monolithic libvirtd. No daemon is started. Throws `unavailable` with all that was tried.
 */
export async function locate(target: Target, family: Family, locator: Locator): Promise<Endpoint> {
  const { uri } = target;
  if (target.socketPath !== undefined) {
    // One explicit socket serves everything: libvirtd has all the drivers, and virtqemud passes calls on.
    return { socketPath: await mustExist([target.socketPath], uri), uri, modular: false };
  }
  const directories = target.session
    ? [sessionDirectory(target, locator)]
    : target.driver === "test" && hasSession(locator)
      ? [locator.runDirectory, sessionDirectory(target, locator)]
      : [locator.runDirectory];
  const monolithic = directories.map((directory) => `${directory}/${MONOLITHIC}`);
  // The test driver lives in libvirtd alone.
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

/** A socket that is there, or that we may not look at: opening it then says why. */
async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EACCES";
  }
}

function invalid(uri: string, problem: string, cause?: unknown): SocleError {
  return new SocleError("invalid", "LIBVIRT_BAD_URI", `${uri} ${problem}`, { cause });
}
