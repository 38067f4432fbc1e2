import { abortReason, type Clock } from "../internal/clock.ts";
import { LibvirtError } from "../internal/errors.ts";
import { Connection, type CallOptions } from "../rpc/connection.ts";
import { unreachable } from "../rpc/errors.ts";
import type { Frame } from "../rpc/frame.ts";
import type { Endpoint } from "./locate.ts";
import {
  authList,
  authPolkit,
  AuthType,
  connectGetLibVersion,
  connectGetVersion,
  connectOpen,
  connectSupportsFeature,
  DriverFeature,
} from "../protocol/index.ts";

/** libvirt 7.0.0: the oldest whose procedures and event callbacks are all known to be as declared here. */
const OLDEST_LIBVIRT = 7_000_000;

export interface SessionOptions {
  readonly clock: Clock;
  readonly maxInFlight: number;
  readonly reserved?: number;
  readonly pinned?: boolean;
  readonly maxQueued: number;
  /** Deadline from opening the socket to the open session. */
  readonly connectTimeoutMs: number;
  readonly keepalive?: { readonly intervalMs: number; readonly count: number };
  readonly onEvent?: (frame: Frame) => void;
  readonly onStream?: (frame: Frame) => void;
  readonly onStreamData?: (chunk: Buffer) => void;
}

/** A connection over which a driver is open. Versions are major * 1,000,000 + minor * 1,000 + micro. */
export interface Session {
  readonly connection: Connection;
  readonly libVersion: number;
  readonly hypervisorVersion?: number;
}

/** Connects, authenticates and opens the driver. If it throws, nothing is left open. */
export async function openSession(
  endpoint: Endpoint,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<Session> {
  const { clock, connectTimeoutMs } = options;
  const ending = new AbortController();
  const done = new AbortController();
  const onAbort = (): void => ending.abort(abortReason(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  const late = (): void => {
    ending.abort(
      unreachable("UNRESPONSIVE", `${endpoint.socketPath} did not answer within ${connectTimeoutMs} ms`),
    );
  };
  clock.sleep(connectTimeoutMs, done.signal).then(late, () => undefined);
  let connection: Connection | undefined;
  try {
    connection = await Connection.open({ ...options, socketPath: endpoint.socketPath }, ending.signal);
    return await introduce(connection, endpoint.uri, options, ending.signal);
  } catch (thrown) {
    connection?.close(unreachable("CLOSED", "the session could not be opened"));
    throw ending.signal.aborted ? abortReason(ending.signal) : thrown;
  } finally {
    done.abort();
    signal.removeEventListener("abort", onAbort);
  }
}

async function introduce(
  connection: Connection,
  uri: string,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<Session> {
  // The session's deadline, in `signal`, decides: the deadline of a call must not win with another error.
  const call: CallOptions = { timeoutMs: 2 * options.connectTimeoutMs, signal };
  await authenticate(connection, call);
  await connection.call(connectOpen, { name: uri, flags: 0 }, call);
  const hypervisor = connection.call(connectGetVersion, {}, call).then(
    ({ hvVer }) => ({ hypervisorVersion: hvVer }),
    // The drivers of networks, pools and so on have no hypervisor.
    () => ({}),
  );
  if (options.keepalive !== undefined) {
    const feature = { feature: DriverFeature.PROGRAM_KEEPALIVE };
    const { supported } = await connection.call(connectSupportsFeature, feature, call);
    const { intervalMs, count } = options.keepalive;
    if (supported) void connection.keepAlive(intervalMs, count);
  }
  const { libVer } = await connection.call(connectGetLibVersion, {}, call);
  if (libVer < OLDEST_LIBVIRT) throw tooOld(libVer);
  return { connection, libVersion: libVer, ...(await hypervisor) };
}

async function authenticate(connection: Connection, call: CallOptions): Promise<void> {
  const { types } = await connection.call(authList, {}, call);
  if (types.length === 0 || types.includes(AuthType.NONE)) return;
  if (!types.includes(AuthType.POLKIT)) {
    const message =
      "libvirt asks for SASL, which is not supported; set auth_unix_rw to none or polkit in its configuration";
    throw new LibvirtError("unsupported", "LIBVIRT_AUTH_UNSUPPORTED", message);
  }
  try {
    await connection.call(authPolkit, {}, call);
  } catch (thrown) {
    // libvirt reports an unreachable polkit as an internal error; either way access is denied.
    if (!(thrown instanceof LibvirtError) || thrown.kind !== "internal") throw thrown;
    const message = `libvirt could not let us in through polkit; join its group (libvirt) or add a rule: ${thrown.message}`;
    throw new LibvirtError("denied", "LIBVIRT_AUTH_FAILED", message, {
      cause: thrown,
      details: thrown.details,
    });
  }
}

function tooOld(libVersion: number): LibvirtError {
  const text = `${Math.floor(libVersion / 1_000_000)}.${Math.floor(libVersion / 1000) % 1000}.${libVersion % 1000}`;
  return new LibvirtError(
    "unsupported",
    "LIBVIRT_TOO_OLD",
    `libvirt ${text} is too old; 7.0.0 or newer is needed`,
  );
}
