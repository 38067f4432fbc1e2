import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { succeeds } from "../../kernel/thrown.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { JobProgress } from "./block-jobs.ts";
import { Certainty, type LibvirtCalls } from "./certainty.ts";
import type { DomainReads } from "./domain-reads.ts";
import type { Overlay } from "./switch-xml.ts";
import { memoryTransfer } from "./saved-states.ts";
import { AHEAD, reference } from "./stamps.ts";
import { switchXml } from "./switch-xml.ts";
import { pastTakenNodes } from "./taken-nodes.ts";

const LOOK_EVERY_MS = 500;
/** A libvirt that does not answer a look must not hold up an abort. */
const LOOK_MS = 5000;
/** libvirt's own answer to an abort. */
const ABORT_MS = 60_000;
/**
 * What libvirt reports of an image that it read and does not load: it is of no use, also later. A failed read has the same number,
 * so that the words decide; other words, also translated ones, are no proof.
 */
const NO_IMAGE =
  /image is incomplete|image magic is incorrect|image version is not supported|save image format|invalid header data length/;
const UNREADABLE: ReadonlySet<string> = new Set(["LIBVIRT_XML_ERROR", "LIBVIRT_XML_DETAIL"]);

/** Memory, and the definition of its guest. */
export interface RestoredMemory {
  readonly path: string;
  readonly xml: string;
}

interface Watched {
  readonly memoryBytes: number;
  readonly report: (job: JobProgress) => void;
  /** Called before the guest is held: it may be paused from then on. */
  readonly held?: () => Promise<void>;
  /** Ends the write, after which the guest goes on without a snapshot. */
  readonly aborted: AbortSignal;
}

interface Taking extends Watched {
  readonly overlays: readonly Overlay[];
  /** libvirt creates it with mode 0600, or overwrites it. */
  readonly path: string;
  /** Whether libvirt shows the switch. */
  readonly isSwitched: () => Promise<boolean>;
}

/** Twice: what a guest changes meanwhile is written again, until it is held. */
const transfer = (memoryBytes: number) => memoryTransfer(2 * memoryBytes);

/**
 * Snapshots of running guests with their memory: libvirt writes the memory while the guest runs, and switches the disks at the
 * moment at which it has all of it. No snapshot of libvirt's own is left.
 */
export class MemorySnapshots {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;
  readonly #certainty: Certainty;
  readonly #reads: DomainReads;
  /** The domains whose hold has no end yet. */
  readonly #holding = new Set<string>();

  constructor(calls: LibvirtCalls, clock: Clock, reads: DomainReads) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#certainty = new Certainty(calls, clock);
    this.#reads = reads;
  }

  /**
   * Asks libvirt once. Throws libvirt's refusals, `unavailable` EFFECT_NOT_OBSERVED if the reply was lost and libvirt shows no
   * switch, and `outcome_unknown` while it writes.
   */
  async take(id: string, { overlays, path, isSwitched, ...watched }: Taking): Promise<void> {
    const { LIVE, ATOMIC, NO_METADATA, REUSE_EXT } = libvirt.DomainSnapshotCreateFlags;
    const disks = (await this.#reads.document(id, "running"))?.devices.disks ?? [];
    const args = {
      dom: reference(id),
      xmlDesc: switchXml(disks, overlays, path),
      flags: LIVE | ATOMIC | NO_METADATA | REUSE_EXT,
    };
    const { lane, timeoutMs } = transfer(watched.memoryBytes);
    const settings = { lane, timeoutMs: timeoutMs + ABORT_MS };
    const ask = () => this.#libvirt.call(libvirt.domainSnapshotCreateXml, args, settings);
    const happened = async (): Promise<boolean | undefined> =>
      (await this.isUnderWay(id)) ? undefined : await isSwitched();
    await this.#watched(id, watched, () =>
      // Each attempt writes the memory again: libvirt adds the overlays to QEMU after that.
      pastTakenNodes(() => this.#certainty.ensure(ask, happened, "once")),
    );
  }

  /** Resolves once libvirt writes no memory of this domain, for an earlier run of the work; `aborted` ends the write. */
  async untilEnded(id: string, watch: Watched): Promise<void> {
    await this.#watched(id, watch, async () => {
      while (await this.isUnderWay(id)) await this.#clock.sleep(LOOK_EVERY_MS);
    });
  }

  /** Watches a write until the work has ended, and ends the write at its deadline. */
  async #watched(id: string, watched: Watched, work: () => Promise<void>): Promise<void> {
    const limit = new AbortController();
    const ended = new AbortController();
    const late = this.#clock.sleep(transfer(watched.memoryBytes).timeoutMs, ended.signal).then(
      () => limit.abort(),
      () => undefined,
    );
    const watch = { ...watched, aborted: AbortSignal.any([watched.aborted, limit.signal]) };
    const watching = this.#watch(id, watch, ended.signal);
    try {
      await work();
    } finally {
      ended.abort();
      await Promise.all([watching, late]);
    }
  }

  /** Whether libvirt takes a snapshot of the domain. */
  async isUnderWay(id: string): Promise<boolean> {
    return (await this.#job(id)) !== undefined;
  }

  /**
   * Resolves once no hold takes effect any more, also one of an earlier agent: libvirt may pause the guest after the write that it
   * was to end. Throws `outcome_unknown`.
   */
  async untilNotHeld(id: string): Promise<void> {
    await this.#certainty.once(
      () => Promise.resolve(this.#holding.has(id)),
      (isHolding) => !isHolding,
    );
    await this.#certainty.quiet();
  }

  /**
   * The domain as it was, from an image; undefined if libvirt has read it and does not load it: it marks an image only once all
   * memory is written. Throws if it cannot be read.
   */
  async savedXml(path: string): Promise<string | undefined> {
    const args = { file: path, flags: 0 };
    try {
      return (await this.#libvirt.call(libvirt.domainSaveImageGetXmlDesc, args, { lane: "slow" })).xml;
    } catch (thrown) {
      const { reason, message } = toSocleError(thrown);
      const isRead =
        UNREADABLE.has(reason) || (reason === "LIBVIRT_OPERATION_FAILED" && NO_IMAGE.test(message));
      if (!isRead) throw thrown;
      return undefined;
    }
  }

  /** For Domains.start: a guest must not continue twice over the same disks. */
  async restore({ path, xml }: RestoredMemory, settings: libvirt.CallSettings): Promise<void> {
    const flags = libvirt.DomainSaveRestoreFlags.RUNNING;
    await this.#libvirt.call(libvirt.domainRestoreFlags, { from: path, dxml: xml, flags }, settings);
  }

  /**
   * A guest that changes its memory faster than the disk takes it would never be written: once as much is written as it has, it
   * stands still for the rest. libvirt resumes it at the end, and after its own restart.
   */
  async #watch(
    id: string,
    { report, memoryBytes, held, aborted }: Watched,
    ended: AbortSignal,
  ): Promise<void> {
    let isHeld = false;
    for (;;) {
      await this.#clock.sleep(LOOK_EVERY_MS, ended).catch(() => undefined);
      if (ended.aborted) return;
      const job = await this.#job(id).catch(() => "not known" as const);
      if (aborted.aborted) {
        if (job !== undefined) await this.#abort(id);
        continue;
      }
      if (job === undefined || job === "not known") continue;
      if (job.totalBytes > 0) report(job);
      if (isHeld || this.#holding.has(id) || job.doneBytes <= memoryBytes) continue;
      // It is not held if that cannot be noted.
      const isNoted = await succeeds(held?.() ?? Promise.resolve());
      isHeld = isNoted && (await this.#hold(id));
    }
  }

  /** Whether the guest is held for certain. A lost reply may still come, which holds up nothing. */
  async #hold(id: string): Promise<boolean> {
    const settings = { ...AHEAD, timeoutMs: LOOK_MS };
    this.#holding.add(id);
    const end = (): void => void this.#holding.delete(id);
    try {
      await this.#libvirt.call(libvirt.domainSuspend, { dom: reference(id) }, settings);
      end();
      return true;
    } catch (thrown) {
      if (thrown instanceof libvirt.OutcomeUnknown) void thrown.reply.then(end, end);
      else end();
      return false;
    }
  }

  async #abort(id: string): Promise<void> {
    const settings = { ...AHEAD, timeoutMs: LOOK_MS };
    // The next look tries again.
    await this.#libvirt.call(libvirt.domainAbortJob, { dom: reference(id) }, settings).catch(() => undefined);
  }

  async #job(id: string): Promise<JobProgress | undefined> {
    try {
      const args = { dom: reference(id), flags: 0 };
      const settings = { ...AHEAD, timeoutMs: LOOK_MS };
      const job = await this.#libvirt.call(libvirt.domainGetJobStats, args, settings);
      const fields = new Map(job.params.map(({ field, value }) => [field, value.value]));
      const { SNAPSHOT } = libvirt.DomainJobOperation;
      if (fields.get(libvirt.VIR_DOMAIN_JOB_OPERATION) !== SNAPSHOT) return undefined;
      const bytes = (field: string): number => {
        const value = fields.get(field);
        return typeof value === "number" ? value : 0;
      };
      return {
        doneBytes: bytes(libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED),
        totalBytes: bytes(libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL),
      };
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      // It is off, or gone.
      if (kind === "conflict" || reason === "LIBVIRT_NO_DOMAIN") return undefined;
      throw thrown;
    }
  }
}
