import { randomUUID } from "node:crypto";
import { readFile, readlink, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import * as z from "../../kernel/zod.ts";
import { Mutex } from "../../kernel/concurrency/mutex.ts";
import { SocleError } from "../../kernel/errors.ts";
import { FileLost } from "../journal/append-file.ts";
import { cannotWrite } from "../journal/refusals.ts";
import { isSameFence, laterFence, type ControlFence, type FenceOrigin } from "./control-fence.ts";
import { exists, replaceFile, replaceLink, UncertainWrite } from "../journal/durable-file.ts";
import { healthRecordSchema, type HealthRecord } from "./health-record.ts";
import { defined } from "../../kernel/defined.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";

const factsSchema = z.strictObject({
  version: z.literal(1),
  agentEpoch: z.number().int().min(0),
  /** Absent until it is set, once in the host's life. */
  hostId: z.uuid().optional(),
  scheduling: z.strictObject({ state: z.enum(["active", "cordoned"]), reason: z.string() }),
  /** The highest of any scheduler. */
  controlEpoch: z.number().int().min(0).default(0),
  /** Number of administrators' resets of the control epoch. */
  controlEpochResets: z.number().int().min(0).optional(),
  health: healthRecordSchema.optional(),
  /** Of this state directory; absent in records of version 0.1.0. */
  stateId: z.uuid().optional(),
  /** Its journals were created: a missing one was lost. Absent before the first start has created them. */
  hasJournals: z.literal(true).optional(),
  /** The boot of the host that the newest agent ran in. */
  boot: z
    .strictObject({
      id: z.string(),
      newestOperation: z.string().optional(),
      autostarted: z.literal(true).optional(),
    })
    .optional(),
});
type Facts = z.output<typeof factsSchema>;

type Scheduling = Readonly<Facts["scheduling"]>;
/** A boot, the newest operation before its first agent, and whether its VMs with autostart were started. */
export type HostBoot = Readonly<NonNullable<Facts["boot"]>>;

const fresh: Facts = {
  version: 1,
  agentEpoch: 0,
  scheduling: { state: "active", reason: "" },
  controlEpoch: 0,
};
/** Files that prove an earlier run of the host: they are created after the record. */
const companions = ["operations.journal", "reservations.journal"];
const maxWaiting = 64;

/** Facts about this host that must outlive the agent, in one file that is replaced as a whole. */
export class HostRecord {
  readonly #path: string;
  #facts: Facts;
  readonly #mutex = new Mutex();
  #waiting = 0;
  #controlEpoch: number;
  /** The highest accepted from a scheduler in this run, since its last reset. */
  #acceptedEpoch = 0;
  #hasReset = false;
  /** Raises that are not written yet. */
  readonly #raises = new Set<{ readonly epoch: number }>();
  /** Number of takeovers of fences in progress. */
  #follows = 0;
  #failure: SocleError | undefined;
  #unreadable: SocleError | undefined;
  /** The file that this process wrote last. */
  #written: string | undefined;

  /**
   * Counts this start: agentEpoch is one above any earlier one, durably; on a full disk in a link beside the file.
   * Throws `unavailable` and `internal`.
   */
  static async open(directory: string): Promise<HostRecord> {
    const path = join(directory, "host.json");
    const before = await read(
      path,
      companions.map((name) => join(directory, name)),
    );
    const agentEpoch = Math.max(before.agentEpoch, await countedWithoutRoom(path)) + 1;
    const record = new HostRecord(path, { ...before, agentEpoch, stateId: before.stateId ?? randomUUID() });
    try {
      await record.#write(record.#facts);
    } catch (thrown) {
      if (!(thrown instanceof SocleError && thrown.kind === "exhausted")) throw thrown;
      await replaceLink(epochPath(path), String(agentEpoch)).catch(() => Promise.reject(thrown));
    }
    return record;
  }

  /** Replaces a record that open() rejected for `why`. It takes no change, and its host no VM. */
  static unreadable(directory: string, why: SocleError, agentEpoch: number): HostRecord {
    const scheduling = { state: "cordoned", reason: "host.json cannot be read" } as const;
    const facts = { ...fresh, agentEpoch, scheduling, hasJournals: true } as const;
    const record = new HostRecord(join(directory, "host.json"), facts);
    record.#unreadable = why;
    return record;
  }

  private constructor(path: string, facts: Facts) {
    this.#path = path;
    this.#facts = facts;
    this.#controlEpoch = facts.controlEpoch;
  }

  /** Why the last write failed. */
  get failure(): SocleError | undefined {
    return this.#unreadable ?? this.#failure;
  }

  /** Retries after a failed write; the result is in `failure`. Never rejects. */
  async tryAgain(): Promise<void> {
    if (this.#failure !== undefined) await this.#change(() => ({})).catch(() => undefined);
  }

  /** Increases by one at each start of the agent. */
  get agentEpoch(): number {
    return this.#facts.agentEpoch;
  }

  /** Identifies copies of this state. */
  get stateId(): string {
    return this.#facts.stateId ?? "";
  }

  /** As setScheduling. Called before the epoch is published, if a higher earlier one was found. */
  raiseAgentEpoch(agentEpoch: number): Promise<void> {
    return this.#change((now) => ({ agentEpoch: Math.max(now.agentEpoch, agentEpoch) }));
  }

  /** Its journals exist, unless they were lost. */
  get hasJournals(): boolean {
    return this.#facts.hasJournals === true;
  }

  /** As setScheduling. Called once the journals are durable. */
  journalsMade(): Promise<void> {
    return this.#change(() => ({ hasJournals: true }));
  }

  /** The last durable value. */
  get scheduling(): Scheduling {
    return this.#facts.scheduling;
  }

  /** Latches and further state of health conditions. */
  get health(): HealthRecord {
    return this.#facts.health ?? { latches: [], acknowledgements: [] };
  }

  get boot(): HostBoot | undefined {
    return this.#facts.boot;
  }

  /** As setScheduling. */
  setBoot(boot: HostBoot): Promise<void> {
    return this.#change(() => ({ boot }));
  }

  /** The host's public id; undefined before it is first set. */
  get hostId(): string | undefined {
    return this.#facts.hostId;
  }

  /**
   * Resolves when it is durable, and takes effect only then. Throws STATE_UNWRITABLE: `exhausted` on a full disk,
   * `outcome_unknown` if a restart may find it, else `unavailable`; and STATE_LOST.
   */
  setScheduling(scheduling: Scheduling): Promise<void> {
    return this.#change(() => ({ scheduling }));
  }

  /** As setScheduling. */
  setHealth(health: HealthRecord): Promise<void> {
    return this.#change(() => ({ health }));
  }

  /** As setScheduling. */
  setHostId(hostId: string): Promise<void> {
    if (this.#unreadable !== undefined) {
      // It is set at every start; the stored id takes precedence.
      this.#facts = { ...this.#facts, hostId };
      return Promise.resolve();
    }
    return this.#change(() => ({ hostId }));
  }

  /** The highest of any scheduler, even before it is durable: older ones are rejected. */
  get controlEpoch(): number {
    return this.#controlEpoch;
  }

  /** Never lowers it. Takes effect at once; resolves when it is durable. Throws as setScheduling does. */
  async raiseControlEpoch(epoch: number): Promise<void> {
    requireEpoch(epoch);
    this.#controlEpoch = Math.max(this.#controlEpoch, epoch);
    this.#acceptedEpoch = Math.max(this.#acceptedEpoch, epoch);
    // A fence takeover in progress may be lower than the durable epoch: the raise is written after it.
    if (this.#facts.controlEpoch >= epoch && this.#follows === 0) return;
    const raise = { epoch };
    this.#raises.add(raise);
    await this.#change(() => ({})).finally(() => this.#raises.delete(raise));
  }

  /** Up or down. Takes effect once it is durable: no other change may write it before. Throws as setScheduling does. */
  async resetControlEpoch(epoch: number): Promise<void> {
    requireEpoch(epoch);
    await this.#change(
      ({ controlEpochResets: resets = 0 }) => ({ controlEpoch: epoch, controlEpochResets: resets + 1 }),
      () => {
        this.#countFrom(epoch);
        this.#acceptedEpoch = this.#controlEpoch;
        this.#hasReset = true;
      },
    );
  }

  /** The last durable value. */
  get controlFence(): ControlFence {
    const { controlEpoch: epoch, controlEpochResets: resets = 0 } = this.#facts;
    return { epoch, resets };
  }

  /**
   * Takes over a fence that is later than its own (laterFence), but never an epoch below one accepted from a scheduler
   * in this run. Throws as setScheduling does.
   */
  async followControlFence(found: ControlFence, origin: FenceOrigin): Promise<void> {
    const durable = this.controlFence;
    if (isSameFence(laterFence(durable, found, origin.isOwn), durable)) return;
    this.#controlEpoch = Math.max(this.#controlEpoch, this.#laterFence(found, origin).epoch);
    this.#follows += 1;
    const followed = this.#change(
      () => {
        // A reset or a raise may have been written since the call.
        const { epoch, resets } = this.#laterFence(found, origin);
        const isCounted = resets !== this.controlFence.resets;
        return defined({ controlEpoch: epoch, controlEpochResets: isCounted ? resets : undefined });
      },
      ({ controlEpoch }) => this.#countFrom(controlEpoch),
    );
    await followed.finally(() => (this.#follows -= 1));
  }

  #laterFence(found: ControlFence, { isOwn, isBeforeThisRun }: FenceOrigin): ControlFence {
    const own = { ...this.controlFence, epoch: this.#controlEpoch };
    // A rolled-back count of resets may not exceed the lease's: the reset in this run is still later.
    if (isOwn && isBeforeThisRun && this.#hasReset)
      return { epoch: own.epoch, resets: Math.max(own.resets, found.resets + 1) };
    const later = laterFence(own, found, isOwn);
    return { ...later, epoch: Math.max(later.epoch, this.#acceptedEpoch) };
  }

  /** Takes the written epoch, which may be lower, and the raises that are written after it. */
  #countFrom(written: number): void {
    this.#controlEpoch = Math.max(written, ...Array.from(this.#raises, ({ epoch }) => epoch));
  }

  /** Both run once earlier changes are written: `changeOf` returns the change, `onWritten` runs once it is durable. */
  #change(
    changeOf: (now: Facts) => Partial<Facts>,
    onWritten: (written: Facts) => void = () => undefined,
  ): Promise<void> {
    if (this.#unreadable !== undefined) return Promise.reject(this.#unreadable);
    if (this.#waiting >= maxWaiting) return Promise.reject(tooSlow(this.#path));
    this.#waiting += 1;
    return this.#mutex.run(async () => {
      const next = { ...this.#facts, controlEpoch: this.#controlEpoch, ...changeOf(this.#facts) };
      try {
        await this.#write(next);
      } finally {
        this.#waiting -= 1;
      }
      this.#facts = next;
      onWritten(next);
    });
  }

  async #write(facts: Facts): Promise<void> {
    const path = this.#path;
    try {
      if (this.#written !== undefined && (await identityOf(path)) !== this.#written) throw new FileLost(path);
      const fits = factsSchema.safeParse(facts);
      if (!fits.success) throw new Error(`it would not be read again: ${z.prettifyError(fits.error)}`);
      const whole = { ...facts, crc32: checksum(facts) };
      await replaceFile(path, Buffer.from(`${JSON.stringify(whole, undefined, 2)}\n`));
      this.#written = await identityOf(path);
      await rm(epochPath(path), { force: true });
      this.#failure = undefined;
    } catch (cause) {
      this.#failure = unwritable(path, cause);
      if (!(cause instanceof UncertainWrite)) throw this.#failure;
      this.#written = await identityOf(path);
      throw new SocleError("outcome_unknown", "STATE_UNWRITABLE", this.#failure.message, { cause });
    }
  }
}

const unwritable = (path: string, cause: unknown): SocleError =>
  cannotWrite(path, cause, "STATE_UNWRITABLE", "try again");

/** Identifies the file at a path as written; undefined if there is none. */
const identityOf = async (path: string): Promise<string | undefined> =>
  await stat(path, { bigint: true }).then(
    ({ dev, ino, mtimeNs }) => `${dev} ${ino} ${mtimeNs}`,
    () => undefined,
  );

function requireEpoch(epoch: number): void {
  if (factsSchema.shape.controlEpoch.safeParse(epoch).success) return;
  const message = `a control epoch is a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, not ${epoch}`;
  throw new SocleError("invalid", "CONTROL_EPOCH_INVALID", message);
}

const epochPath = (path: string): string => `${path}.epoch`;

/** The agentEpoch of the last start on a full disk, unless the file was written since. */
async function countedWithoutRoom(path: string): Promise<number> {
  let text: string;
  try {
    text = await readlink(epochPath(path));
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return 0;
    throw cannotRead(epochPath(path), thrown, `Else remove it, and edit ${path} so: ${byHand}.`);
  }
  if (!/^\d{1,15}$/.test(text)) {
    const message = `${epochPath(path)} is damaged. Remove it, and edit ${path} so: ${byHand}.`;
    throw new SocleError("internal", "HOST_RECORD_CORRUPT", message);
  }
  return Number(text);
}

async function read(path: string, companionPaths: readonly string[]): Promise<Facts> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (codeOf(thrown) !== "ENOENT")
      throw cannotRead(path, thrown, `Where it is lost, put it back from a backup, edited so: ${byHand}.`);
    // A host that ran before has one: a new record would repeat its epochs.
    if ((await Promise.all(companionPaths.map(exists))).includes(true))
      throw corrupt(path, "is missing", thrown);
    return fresh;
  }
  try {
    const { crc32: recorded, ...written } = z
      .looseObject({ crc32: z.string().optional() })
      .parse(JSON.parse(text));
    if (recorded !== undefined && recorded !== checksum(written))
      throw new Error("its checksum does not match");
    requireVersion(path, written);
    return factsSchema.parse(written);
  } catch (thrown) {
    if (thrown instanceof SocleError) throw thrown;
    throw corrupt(path, "is damaged", thrown);
  }
}

function requireVersion(path: string, { version }: { version?: unknown }): void {
  if (typeof version !== "number" || version <= 1) return;
  const message =
    `${path} is of version ${version}, which a later Socle wrote; this one reads version 1. Run that version of Socle, or ` +
    `put back the file from a backup of before the upgrade, edited so: ${byHand}.`;
  throw new SocleError("internal", "HOST_RECORD_CORRUPT", message);
}

/** Instructions for an edit of the file: its checksum covers the facts as the agent wrote them. */
const byHand =
  "raise its agentEpoch above the one the scheduler has seen, and remove its crc32 with the comma before it";

function corrupt(path: string, what: string, cause: unknown): SocleError {
  const message =
    `${path} ${what}. Put it back from a backup, edited so: ${byHand}. Without a backup, write a new one with an ` +
    `agentEpoch N above the one the scheduler has seen and the control epoch E of the scheduler in charge: ` +
    `{"version":1,"agentEpoch":N,"controlEpoch":E,"scheduling":{"state":"active","reason":""}}. With a lower E, a ` +
    "replaced scheduler could control the host again: if E is not known, write 0, and run socle host epoch reset --to E " +
    "before schedulers reach this host. A new file has no cordon: if the host was cordoned, cordon it again.";
  return new SocleError("internal", "HOST_RECORD_CORRUPT", message, { cause });
}

function cannotRead(path: string, cause: unknown, lastResort: string): SocleError {
  const why = messageOf(cause);
  const message = `${path} cannot be read (${why}): check the disk, and the owner and mode of the file. ${lastResort}`;
  return new SocleError("unavailable", "HOST_RECORD_UNREADABLE", message, { cause });
}

const tooSlow = (path: string): SocleError =>
  new SocleError("exhausted", "STATE_BUSY", `${path} is on a disk too slow for the load; retry later`, {
    details: { retryAfterMs: 1000 },
  });

/**
 * Covers the facts as written, without those that a later version adds. A file written by hand needs no checksum.
 */
const checksum = (written: object): string => crc32(JSON.stringify(written)).toString(16).padStart(8, "0");
