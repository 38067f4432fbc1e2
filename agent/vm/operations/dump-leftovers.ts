import type { Clock } from "../../kernel/clock.ts";
import { within } from "../../kernel/concurrency/deadline.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Logger } from "../../kernel/log.ts";
import { isDone, type Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import type { Domains } from "../hypervisor/domains.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { DumpDirectory } from "../storage/dump-directory.ts";
import { operationOfDump } from "./dump-memory.ts";
import { isBeingDumped } from "./dump-rules.ts";

interface DumpLeftoversOptions {
  readonly dumps: Pick<DumpDirectory, "claimed" | "withPart" | "partOf" | "removePart" | "release">;
  readonly operations: Pick<Operations, "get" | "refusal" | "untilPermitted">;
  readonly domains: Pick<Domains, "settledState" | "memoryDumps">;
  readonly table: Pick<VmTable, "untilComplete">;
  readonly clock: Clock;
  readonly log: Logger;
}

const AGAIN_MS = 60_000;
/** Longer than libvirt takes to settle, and the file system to answer, for a few files. */
const SWEEP_WITHIN_MS = 10 * 60_000;

/**
 * Deletes the parts of dumps whose operation ended without its work, and releases their room: a person settled it, it was refused
 * before it ran again, or it could not delete the part. A part that libvirt writes stays until it has written it.
 */
export class DumpLeftovers implements Service {
  readonly name = "dump leftovers";
  readonly #options: DumpLeftoversOptions;
  /** The files that the log has named: of no operation in the journal. */
  readonly #unknown = new Set<string>();

  constructor(options: DumpLeftoversOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { table, operations, clock, log } = this.#options;
    ready();
    for (;;) {
      try {
        await table.untilComplete(signal);
        await operations.untilPermitted(signal);
        await within(clock, SWEEP_WITHIN_MS, this.sweep(signal), signal);
      } catch (thrown) {
        log.debug({ err: thrown }, "the directory for dumps cannot be read now");
      }
      try {
        await clock.sleep(AGAIN_MS, signal);
      } catch {
        return;
      }
    }
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { dumps, log } = this.#options;
    const parts = new Set(await dumps.withPart());
    for (const file of new Set([...parts, ...dumps.claimed])) {
      if (signal.aborted) return;
      try {
        await this.#settle(file, parts.has(file));
      } catch (thrown) {
        log.debug({ path: dumps.partOf(file), err: thrown }, "a part of a dump cannot be looked at now");
      }
    }
  }

  async #settle(file: string, hasPart: boolean): Promise<void> {
    const { dumps, operations, domains, log } = this.#options;
    const id = operationOfDump(file);
    if (id === undefined) return;
    const path = dumps.partOf(file);
    const operation = this.#find(id);
    if (operation === undefined) {
      // Another host's, in a directory of several, or of a journal that was lost.
      if (!this.#unknown.has(file))
        log.warn({ path }, "no operation is known that wrote this part of a dump");
      this.#unknown.add(file);
      return;
    }
    if (!isDone(operation) || (await isBeingDumped(domains, operation.vmId))) return;
    if (operations.refusal !== undefined) return;
    if (hasPart && isLeftover(operation)) {
      await dumps.removePart(file);
      log.warn({ path, operation: id }, "deleted the part of a dump whose operation has ended");
    }
    dumps.release(file);
  }

  /** Undefined: the journal has none. Throws if that is not known. */
  #find(id: string): Operation | undefined {
    try {
      return this.#options.operations.get(id);
    } catch (thrown) {
      if (toSocleError(thrown).reason === "OPERATION_NOT_FOUND") return undefined;
      throw thrown;
    }
  }
}

/** A person who was asked to look at the file, or who settled the operation as done, may want it. */
const isLeftover = ({ state, error }: Operation): boolean =>
  state !== "succeeded" && error?.reason !== "DUMP_NOT_KEPT";
