import { domainGetJobStats, DomainJobOperation, type Domain, type Libvirt } from "../../libvirt/index.ts";
import { defined } from "../../kernel/defined.ts";

/** Progress of an outgoing migration, memory and disks together. */
export interface MigrationProgress {
  readonly processedBytes?: number;
  readonly remainingBytes?: number;
}

const TIMEOUT_MS = 2000;

/**
 * Reads the progress of migrations. The bulk call does not report it, and one call for each guest and round would cost
 * too much: libvirt's event at the start of each migration pass names the VMs that migrate.
 */
export class MigrationWatch {
  readonly #libvirt: Pick<Libvirt, "call">;
  readonly #migrating = new Map<string, Domain>();

  constructor(libvirt: Pick<Libvirt, "call">) {
    this.#libvirt = libvirt;
  }

  /** Records the start of a migration pass. */
  began(dom: Domain): void {
    this.#migrating.set(dom.uuid, dom);
  }

  /** Progress of the VMs that migrate, by id, without the unresponsive guests in `except`. */
  async progress(
    except: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, MigrationProgress>> {
    const found = new Map<string, MigrationProgress>();
    await Promise.all(
      [...this.#migrating.values()].map(async (dom) => {
        if (except.has(dom.uuid)) return;
        const progress = await this.#ask(dom, signal);
        if (progress === undefined) this.#migrating.delete(dom.uuid);
        else found.set(dom.uuid, progress);
      }),
    );
    return found;
  }

  /** Undefined once nothing migrates, or libvirt does not answer: the next pass starts the watch again. */
  async #ask(dom: Domain, signal: AbortSignal): Promise<MigrationProgress | undefined> {
    const options = { lane: "observation", timeoutMs: TIMEOUT_MS, signal } as const;
    const job = await this.#libvirt
      .call(domainGetJobStats, { dom, flags: 0 }, options)
      .catch(() => undefined);
    const fields = new Map(job?.params.map(({ field, value }) => [field, value.value]));
    if (fields.get("operation") !== DomainJobOperation.MIGRATION_OUT) return undefined;
    const processedBytes = fields.get("data_processed");
    const remainingBytes = fields.get("data_remaining");
    return defined({
      processedBytes: typeof processedBytes === "number" ? processedBytes : undefined,
      remainingBytes: typeof remainingBytes === "number" ? remainingBytes : undefined,
    });
  }
}
