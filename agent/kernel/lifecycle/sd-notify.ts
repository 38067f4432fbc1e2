import { execFile } from "node:child_process";
import { fstatSync, writeSync } from "node:fs";
import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";

interface SdNotifyOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES and PATH are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The name under which the unit passes the connected socket: `OpenFile=/run/systemd/notify:notify`. */
const socketName = "notify";
const firstPassedFd = 3;
const execTimeoutMs = 10_000;

/**
 * Reports the agent's state to systemd by sd_notify(3). Does nothing if NOTIFY_SOCKET is unset. Never throws: an
 * unreachable service manager is logged once.
 *
 * Node has no unix datagram sockets. systemd (253 and later) passes one: OpenFile= opens a socket in the file system
 * by connecting to it, and on that descriptor a plain write() is a datagram. It carries this process's credentials, so
 * NotifyAccess=main suffices. Measured: 0.06 ms a message, the connection outlives daemon-reexec, and nothing else is
 * needed for a watchdog ping: no fork, memory or pool thread, all of which may be short when a ping matters most.
 * The write is synchronous and blocks only if the service manager has stopped reading altogether.
 *
 * An older systemd ignores OpenFile=. There each message runs systemd-notify(1), which needs NotifyAccess=all; starting it
 * stops the event loop for about 10 ms at 100 MB RSS.
 */
export class SdNotify {
  readonly #environment: SdNotifyOptions["environment"];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #watchdogMs: number | undefined;
  #fd: number | undefined;
  #sending: Promise<void> = Promise.resolve();
  #warned = false;

  constructor({ environment, clock, log }: SdNotifyOptions) {
    this.#environment = environment;
    this.#clock = clock;
    this.#log = log;
    this.#fd = passedSocket(environment);
    const usec = Number(environment["WATCHDOG_USEC"] ?? 0);
    const forUs = (environment["WATCHDOG_PID"] ?? String(process.pid)) === String(process.pid);
    this.#watchdogMs = forUs && usec > 0 && Number.isFinite(usec) ? usec / 1000 : undefined;
  }

  /** A start or a reload is complete; `systemctl status` shows the status. */
  ready(status: string): Promise<void> {
    // A second line of it would be another assignment.
    return this.#send(`READY=1\nSTATUS=${status.replaceAll(/[\r\n]+/g, " ")}`);
  }

  /** A reload begins; ready() ends it. */
  reloading(): Promise<void> {
    // hrtime is CLOCK_MONOTONIC, which systemd compares with its own (sd_notify(3), MONOTONIC_USEC).
    return this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): Promise<void> {
    return this.#send("STOPPING=1");
  }

  /**
   * Pings the watchdog at half its time until the signal aborts; returns at once where none is set. The ping runs on the
   * event loop, so a hung agent misses it.
   */
  async runWatchdog(signal: AbortSignal): Promise<void> {
    if (this.#watchdogMs === undefined || this.#environment["NOTIFY_SOCKET"] === undefined) return;
    while (!signal.aborted) {
      await this.#send("WATCHDOG=1");
      await this.#clock.sleep(this.#watchdogMs / 2, signal).catch(() => undefined);
    }
  }

  /** Resolves when the message was written. Messages are written one after another. */
  #send(message: string): Promise<void> {
    if (this.#environment["NOTIFY_SOCKET"] === undefined) return Promise.resolve();
    this.#sending = this.#sending.then(async () => {
      if (this.#fd !== undefined) {
        try {
          writeSync(this.#fd, message);
          return;
        } catch (thrown) {
          this.#log.warn(
            { err: thrown },
            "the socket that systemd passed does not work; trying systemd-notify",
          );
          this.#fd = undefined;
        }
      }
      await this.#exec(message.split("\n"));
    });
    return this.#sending;
  }

  #exec(assignments: readonly string[]): Promise<void> {
    const { PATH = "/usr/bin:/bin", NOTIFY_SOCKET } = this.#environment;
    return new Promise((resolve) => {
      const options = { env: { PATH, NOTIFY_SOCKET }, timeout: execTimeoutMs };
      execFile("systemd-notify", [...assignments], options, (failure) => {
        if (failure !== null && !this.#warned) {
          this.#warned = true;
          this.#log.warn({ err: failure }, "systemd cannot be notified; its watchdog may end the agent");
        }
        resolve();
      });
    });
  }
}

/** The descriptor with our name among those of sd_listen_fds(3). */
function passedSocket(environment: SdNotifyOptions["environment"]): number | undefined {
  if (environment["LISTEN_PID"] !== String(process.pid)) return undefined;
  const index = (environment["LISTEN_FDNAMES"] ?? "").split(":").indexOf(socketName);
  if (index === -1 || index >= Number(environment["LISTEN_FDS"])) return undefined;
  try {
    const fd = firstPassedFd + index;
    return fstatSync(fd).isSocket() ? fd : undefined;
  } catch {
    return undefined;
  }
}
