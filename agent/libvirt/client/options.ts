import type { Clock } from "../internal/clock.ts";
import type { LibvirtError } from "../internal/errors.ts";
import type { Logger } from "../internal/logger.ts";
import type { Family } from "../rpc/procedure.ts";
import type { Environment } from "./locate.ts";

/** Above VIR_JOB_WAIT_TIME: a refusal that libvirt makes after 30 s must not become an unknown outcome. */
export const CALL_TIMEOUT_MS = 35_000;

export interface LibvirtOptions {
  /** `qemu:///system`, `qemu:///session`, `test:///default`, `test:///file.xml`; `?socket=/path` for another socket. */
  readonly uri: string;
  /** Without it, nothing is logged. */
  readonly log?: Logger;
  readonly clock?: Clock;
  /** For `qemu:///session`: the environment variables that locate the socket. */
  readonly environment?: Environment;
  /** Directory of the system daemons' sockets; `/run/libvirt` by default. */
  readonly runDirectory?: string;
  /** Default deadline of a call: 35 s, since libvirt itself waits 30 s for a busy guest and then refuses. */
  readonly callTimeoutMs?: number;
  /** Deadline from opening the socket to the open session, and of each registration for events after it: 10 s. */
  readonly connectTimeoutMs?: number;
  /** Calls in flight per connection: 4, one less than a daemon takes, so that keepalive gets through. */
  readonly maxInFlight?: number;
  /** Calls that may wait for a place, for each connection: 8192. */
  readonly maxQueued?: number;
  /** The connection is lost after intervalMs * (count + 1) of silence: 5 s and 5, as in libvirt's own client. */
  readonly keepalive?: { readonly intervalMs: number; readonly count: number };
  /** Delay between attempts to connect: from 100 ms up to 10 s. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
}

/**
 * Each lane has a connection of its own: bulk calls (`observation`), calls that take hours (`slow`) and calls to agents in
 * guests that may hang (`guest`) never delay commands.
 */
export type Lane = "command" | "observation" | "slow" | "guest";

export type LibvirtStatus =
  | {
      readonly connected: true;
      readonly sinceMs: number;
      readonly libVersion: number;
      readonly hypervisorVersion?: number;
    }
  | { readonly connected: false; readonly sinceMs: number; readonly error?: LibvirtError };

export type LibvirtChange =
  | { readonly kind: "connected" }
  | { readonly kind: "disconnected"; readonly error: LibvirtError };

export interface CallSettings {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** `command` by default. */
  readonly lane?: Lane | undefined;
  /** Precedes all calls that wait; the command lane reserves a place for urgent calls. */
  readonly urgent?: boolean | undefined;
}

export interface PinSettings {
  /** For opening the session only. */
  readonly signal?: AbortSignal | undefined;
  /** The driver, if each one has its own daemon; the hypervisor by default. */
  readonly family?: Family | undefined;
}

export interface StreamSettings extends Omit<CallSettings, "lane"> {
  readonly stallTimeoutMs?: number | undefined;
}
