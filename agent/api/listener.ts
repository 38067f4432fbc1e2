import { once } from "node:events";
import { chmod, lstat, unlink } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { SocleError } from "../kernel/errors.ts";
import { makeDirectory } from "../kernel/make-directory.ts";
import type { ConnectionLimits } from "./connection-limits.ts";
import { loopbackCaller, operator, type Caller } from "./auth/identity.ts";
import { PendingConnections } from "./pending-connections.ts";
import { codeOf, messageOf } from "../kernel/thrown.ts";

/** The longest path that fits a sockaddr_un. */
const maxSocketPath = 107;
/** The kernel's accept backlog: beyond it, connecting to a unix socket fails at once. */
const backlog = 1024;
const probeTimeoutMs = 1000;

/** A listening socket that hands its connections on. */
export interface Listener {
  /** The TCP port; 0 for a unix socket. */
  readonly port: number;
  /** Closes connections that were not handed on yet; the caller owns the others. */
  close(): void;
}

/**
 * Listens on a unix socket of mode 0660. A stale socket file (the agent before crashed) is replaced. Throws `unavailable`
 * ADDRESS_IN_USE when another process serves it, `invalid` LISTEN_FAILED when the path cannot be used.
 */
export async function listenOnSocket(
  path: string,
  places: ConnectionLimits,
  onConnection: (socket: Socket) => void,
): Promise<Listener> {
  if (Buffer.byteLength(path) > maxSocketPath)
    throw cannotListen(path, `the path is longer than ${maxSocketPath} bytes`);
  try {
    await makeDirectory(dirname(path), 0o750);
  } catch (thrown) {
    throw cannotListen(path, messageOf(thrown), thrown);
  }
  await removeStale(path);
  const listener = await listen(path, { path }, { places, callerOf: () => operator, onConnection });
  await chmod(path, 0o660);
  return listener;
}

/**
 * Listens on a loopback TCP address. Throws `unsupported` NOT_LOOPBACK for any other, `unavailable` ADDRESS_IN_USE for a
 * busy port, `invalid` LISTEN_FAILED for an unusable one.
 */
export async function listenOnLoopback(
  address: string,
  places: ConnectionLimits,
  onConnection: (socket: Socket) => void,
): Promise<Listener> {
  const { host, port } = splitAddress(address);
  if (!isLoopback(host)) {
    const message =
      `${address} is not a loopback address: without trust.domain the agent listens on loopback only; ` +
      "set it, and enroll this host";
    throw new SocleError("unsupported", "NOT_LOOPBACK", message);
  }
  const callerOf = ({ remoteAddress = "" }: Socket): Caller => loopbackCaller(remoteAddress);
  return await listen(address, { host, port }, { places, callerOf, onConnection });
}

/** `host:port` or `[v6]:port`. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
    port: Number(address.slice(colon + 1)),
  };
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);

interface Entrance {
  readonly places: ConnectionLimits;
  readonly callerOf: (socket: Socket) => Caller;
  readonly onConnection: (socket: Socket) => void;
}

/** A connection takes a place once it sends its preface. */
async function listen(
  place: string,
  where: { path: string } | { host: string; port: number },
  { places, callerOf, onConnection }: Entrance,
): Promise<Listener> {
  const pending = new PendingConnections();
  const server = createServer({ noDelay: true }, (socket) => {
    const caller = callerOf(socket);
    const refuse = (thrown: unknown): void => places.refuse(socket, thrown, caller);
    const take = (): void => {
      try {
        places.take(socket, caller);
      } catch (thrown) {
        refuse(thrown);
        return;
      }
      onConnection(socket);
    };
    pending.receive(socket, take, refuse);
  });
  const listener = await bind(server, place, where);
  return {
    port: listener.port,
    close() {
      listener.close();
      pending.close();
    },
  };
}

/** Binds a server. Throws `unavailable` ADDRESS_IN_USE, `invalid` LISTEN_FAILED. */
export async function bind(
  server: Server,
  place: string,
  where: { path: string } | { host: string; port: number },
): Promise<Listener> {
  server.listen({ ...where, backlog });
  try {
    await once(server, "listening");
  } catch (thrown) {
    if (codeOf(thrown) === "EADDRINUSE") throw inUse(place, thrown);
    throw cannotListen(place, messageOf(thrown), thrown);
  }
  // An error of a later accept (no descriptors left) affects only that connection.
  server.on("error", () => undefined);
  return { port: portOf(server), close: () => void server.close() };
}

function portOf(server: Server): number {
  const address: string | AddressInfo | null = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Removes a stale socket file; the agent does not remove any other file. */
async function removeStale(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) {
      throw cannotListen(
        path,
        "a file that is not a socket exists there; remove it or configure another path",
      );
    }
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return;
    throw thrown instanceof SocleError ? thrown : cannotListen(path, messageOf(thrown), thrown);
  }
  const socket = connect(path);
  socket.setTimeout(probeTimeoutMs, () => socket.destroy(new Error("no answer")));
  try {
    await once(socket, "connect");
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT") return;
    if (code !== "ECONNREFUSED") throw cannotListen(path, messageOf(thrown), thrown);
    await unlink(path);
    return;
  } finally {
    socket.destroy();
  }
  throw inUse(path);
}

function inUse(place: string, cause?: unknown): SocleError {
  const message = `${place} is in use by another agent or program; stop that one or configure another`;
  return new SocleError("unavailable", "ADDRESS_IN_USE", message, { cause });
}

const cannotListen = (place: string, why: string, cause?: unknown): SocleError =>
  new SocleError("invalid", "LISTEN_FAILED", `cannot listen on ${place}: ${why}`, { cause });
