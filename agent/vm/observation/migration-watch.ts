import { domainGetJobStats, DomainJobOperation, type Domain, type Libvirt } from "../../libvirt/index.ts";
import { defined } from "../../kernel/defined.ts";

/** How far a migration out of this host has got, of memory and disks together. */
export interface MigrationProgress {
  readonly processedBytes?: number;
  readonly remainingBytes?: number;
}

const TIMEOUT_MS = 2000;

/**
 * Asks for the progress of migrations. The bulk call does not tell it, and asking every guest would be a call each a
 * round: libvirt's event at the start of each pass says which ones migrate.
 */
export class MigrationWatch {
  readonly #libvirt: Pick<Libvirt, "call">;
  readonly #migrating = new Map<string, Domain>();

  constructor(libvirt: Pick<Libvirt, "call">) {
    this.#libvirt = libvirt;
  }

  /** A pass of its migration began. */
  began(dom: Domain): void {
    this.#migrating.set(dom.uuid, dom);
  }

  /** Of those that migrate, `except` guests that do not answer, by their id. */
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

  /** Undefined once nothing migrates any more, or nobody can be asked: the next pass tells of it again. */
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
