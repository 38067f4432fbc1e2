import { randomInt } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/log.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
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
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** By backup: until the table shows it. */
  readonly #claims = new Map<string, { readonly port: number; readonly freeAtMs: number }>();

  /** `ports`: FIRST-LAST. */
  constructor(options: {
    readonly address: string;
    readonly ports: string;
    readonly table: Pick<VmTable, "all">;
    readonly clock: Pick<Clock, "monotonicMs">;
  }) {
    const [first = 0, last = 0] = options.ports.split("-").map(Number);
    this.#address = options.address;
    this.#first = first;
    this.#last = last;
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
    for (let port = this.#first; port <= this.#last; port += 1) if (!used.has(port)) free.push(port);
    return free.length === 0 ? undefined : free[randomInt(free.length)];
  }
}

/** Longer than any observation of a change takes. */
const SHOWN_WITHIN_MS = 60_000;

/** libvirt's text would tell the VM's tenant of the host. */
export async function beginOverTls(
  { log }: { readonly log: Pick<Logger, "warn"> },
  vmId: string,
  begin: () => Promise<void>,
): Promise<void> {
  try {
    await begin();
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (error.kind !== "internal") throw thrown;
    log.warn({ vm: vmId, err: error }, "QEMU cannot serve a backup by NBD over TLS");
    const message =
      "QEMU could not serve NBD over TLS, for its certificates or the port: the agent's log has the cause, and socle doctor looks at the certificates; repeat the request for another port";
    throw new SocleError("unavailable", "NBD_TLS_FAILED", message, { cause: error });
  }
}

export const nbdNotAllowed = (): SocleError =>
  new SocleError(
    "denied",
    "NBD_TLS_NOT_ALLOWED",
    "callers of one tenant read backups with ReadExtents alone: leave nbd_tls out",
  );

export const noNbd = (): SocleError =>
  new SocleError(
    "conflict",
    "NBD_TLS_NOT_CONFIGURED",
    "this host serves no NBD over TLS: leave nbd_tls out, or set backups.nbdAddress in the agent's configuration",
    { details: { fields: { nbd_tls: "is not configured on this host" } } },
  );

const inUse = (): SocleError =>
  new SocleError(
    "exhausted",
    "NBD_PORTS_IN_USE",
    "all ports of this host for backups over NBD are in use: end a backup, or raise backups.nbdPorts in the agent's configuration",
  );
