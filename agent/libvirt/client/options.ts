import type { Clock } from "../../kernel/clock.ts";
import type { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Family } from "../rpc/procedure.ts";
import type { Environment } from "./locate.ts";

/** Above VIR_JOB_WAIT_TIME: a refusal that libvirt makes after 30 s must not become an unknown outcome. */
export const CALL_TIMEOUT_MS = 35_000;

export interface LibvirtOptions {
  /** `qemu:///system`, `qemu:///session`, `test:///default`, `test:///file.xml`; `?socket=/path` for another socket. */
  readonly uri: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** For `qemu:///session`: the process's environment, or the part that locates the socket. */
  readonly environment?: Environment;
  /** Where the system daemons keep their sockets; `/run/libvirt`. */
  readonly runDirectory?: string;
  /** Deadline of a call without its own: 35 s, since libvirt itself waits 30 s for a busy guest and then refuses. */
  readonly callTimeoutMs?: number;
  /** From the socket to the open session: 10 s. */
  readonly connectTimeoutMs?: number;
  /** Calls on their way at once, per connection: 4, one below what a daemon takes, which keepalive needs. */
  readonly maxInFlight?: number;
  /** Calls that may wait for a place, per connection: 8192. */
  readonly maxQueued?: number;
  /** A daemon that is silent for intervalMs * (count + 1) is given up: 5 s and 5, as libvirt's own client does. */
  readonly keepalive?: { readonly intervalMs: number; readonly count: number };
  /** Between attempts to connect: 100 ms, growing to 10 s. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
}

/** Commands never wait behind the observation's bulk calls, nor behind those that take hours: a `slow` one has a lane too. */
export type Lane = "command" | "observation" | "slow";

export type LibvirtStatus =
  | {
      readonly connected: true;
      readonly sinceMs: number;
      readonly libVersion: number;
      readonly hypervisorVersion?: number;
    }
  | { readonly connected: false; readonly sinceMs: number; readonly error?: SocleError };

export type LibvirtChange =
  { readonly kind: "connected" } | { readonly kind: "disconnected"; readonly error: SocleError };

export interface CallSettings {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** `command` when not said. */
  readonly lane?: Lane | undefined;
  /** Goes before all that wait, and on the command lane has a place that no other call takes. */
  readonly urgent?: boolean | undefined;
}

export interface PinSettings {
  /** For opening the session alone. */
  readonly signal?: AbortSignal | undefined;
  /** Whose daemon, where each driver has its own: the hypervisor's by default. */
  readonly family?: Family | undefined;
}

export interface StreamSettings extends Omit<CallSettings, "lane"> {
  readonly stallTimeoutMs?: number | undefined;
}
