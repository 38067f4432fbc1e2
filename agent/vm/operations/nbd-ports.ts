import { randomInt } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import type { NbdServer } from "../model/backups.ts";
import type { VmTable } from "../observation/vm-table.ts";

/**
 * The ports of this host at which QEMU serves backups over TLS, each to one backup at a time. Which client may connect is decided
 * by the certificates that libvirt's configuration (qemu.conf) names.
 */
export class NbdPorts {
  readonly #address: string;
  readonly #first: number;
  readonly #last: number;
  readonly #table: Pick<VmTable, "all">;
  /** By backup: the table does not show it yet. */
  readonly #taken = new Map<string, number>();

  /** `ports`: FIRST-LAST. */
  constructor(options: {
    readonly address: string;
    readonly ports: string;
    readonly table: Pick<VmTable, "all">;
  }) {
    const [first = 0, last = 0] = options.ports.split("-").map(Number);
    this.#address = options.address;
    this.#first = first;
    this.#last = last;
    this.#table = options.table;
  }

  /**
   * For a backup that begins, until `release`. Any of the free ports: a next try differs from one at which a program listens that is
   * not known here. Throws `exhausted` NBD_PORTS_IN_USE.
   */
  take(backupId: string): NbdServer {
    const used = new Set(this.#taken.values());
    for (const { backups } of this.#table.all())
      if (backups?.open?.nbd !== undefined) used.add(backups.open.nbd.port);
    const free = Array.from({ length: this.#last - this.#first + 1 }, (_, at) => this.#first + at).filter(
      (port) => !used.has(port),
    );
    const port = free[free.length === 0 ? 0 : randomInt(free.length)];
    if (port === undefined) throw inUse(used.size);
    this.#taken.set(backupId, port);
    return { address: this.#address, port };
  }

  /** The backup has begun, and the table shows it; or it has not. */
  release(backupId: string): void {
    this.#taken.delete(backupId);
  }
}

export const noNbd = (): SocleError =>
  new SocleError(
    "conflict",
    "NBD_TLS_NOT_CONFIGURED",
    "this host serves no NBD over TLS: leave nbd_tls out, or set backups.nbdAddress in the agent's configuration",
    { details: { fields: { nbd_tls: "is not configured on this host" } } },
  );

const inUse = (count: number): SocleError =>
  new SocleError(
    "exhausted",
    "NBD_PORTS_IN_USE",
    `all ports for backups over NBD are in use (${count}): end a backup, or raise backups.nbdPorts`,
  );
