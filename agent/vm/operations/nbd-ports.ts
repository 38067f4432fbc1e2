import { randomInt } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { PortRange } from "../../kernel/text/port-range.ts";
import type { NbdServer } from "../model/backups.ts";
import type { VmTable } from "../observation/vm-table.ts";
import { noNbd } from "./nbd-refusals.ts";

/**
 * The ports of this host at which QEMU serves backups over TLS, each to one backup at a time. Which client may connect is decided
 * by the certificates that libvirt's configuration (qemu.conf) names.
 */
export class NbdPorts {
  readonly #address: string;
  readonly #ports: PortRange;
  readonly #table: Pick<VmTable, "all">;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** By backup: until the table shows it. */
  readonly #claims = new Map<string, { readonly port: number; readonly freeAtMs: number }>();

  constructor(options: {
    readonly address: string;
    readonly ports: PortRange;
    readonly table: Pick<VmTable, "all">;
    readonly clock: Pick<Clock, "monotonicMs">;
  }) {
    this.#address = options.address;
    this.#ports = options.ports;
    this.#table = options.table;
    this.#clock = options.clock;
  }

  /**
   * For a backup that begins, until `release`; only while the table is complete. Any of the free ports: a next try differs from one
   * at which a program listens that is not known here. `noted`: what an earlier run of its operation took. Throws `exhausted`
   * NBD_PORTS_IN_USE, and `conflict` NBD_TLS_NOT_CONFIGURED if the address has changed since.
   */
  take(backupId: string, noted?: NbdServer): NbdServer {
    if (noted !== undefined && noted.address !== this.#address) throw noNbd();
    const port = noted?.port ?? this.#free();
    if (port === undefined) throw inUse();
    this.#claims.set(backupId, { port, freeAtMs: Infinity });
    return { address: this.#address, port };
  }

  /** The backup has begun, and the table shows it soon; or it has not. */
  release(backupId: string): void {
    const claim = this.#claims.get(backupId);
    if (claim === undefined) return;
    const isShown = this.#table.all().some(({ backups }) => backups?.open?.id === backupId);
    if (isShown) this.#claims.delete(backupId);
    else this.#claims.set(backupId, { ...claim, freeAtMs: this.#clock.monotonicMs() + SHOWN_WITHIN_MS });
  }

  #free(): number | undefined {
    const used = new Set<number>();
    for (const [id, { port, freeAtMs }] of this.#claims)
      if (freeAtMs > this.#clock.monotonicMs()) used.add(port);
      else this.#claims.delete(id);
    for (const { backups } of this.#table.all())
      if (backups?.open?.nbd !== undefined) used.add(backups.open.nbd.port);
    const free: number[] = [];
    for (let port = this.#ports.first; port <= this.#ports.last; port += 1)
      if (!used.has(port)) free.push(port);
    return free.length === 0 ? undefined : free[randomInt(free.length)];
  }
}

/** Longer than any observation of a change takes. */
const SHOWN_WITHIN_MS = 60_000;

const inUse = (): SocleError =>
  new SocleError(
    "exhausted",
    "NBD_PORTS_IN_USE",
    "all ports of this host for backups over NBD are in use: end a backup, or raise backups.nbdPorts in the agent's configuration",
  );
