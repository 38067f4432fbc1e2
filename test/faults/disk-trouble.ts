import { join } from "node:path";
import { readFile, writeFile } from "node:fs/promises";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import { eventually } from "../support/wait.ts";
import { decodeLine, isSeal } from "../../agent/state/journal/format.ts";
import type { CampaignRun } from "./campaign.ts";
import { Compaction } from "./compaction.ts";
import { Damage } from "./damage.ts";
import { mutation, type FaultyHost, type Mutation } from "./host.ts";
import type { StateDisk } from "./state-disk.ts";
import type { Watch } from "./watch.ts";

const NAME = "worker";
const CUT_BYTES = 400;
const FLIPS = 60;
const DEATHS = 3;
const END_WITHIN_MS = 60_000;
/** Longer than the agent's delay before it retries a disk. */
const WELL_WITHIN_MS = 30_000;

/** Either of the two files may fail first. */
const isOfTheDisk = (reason: string): boolean => reason === "JOURNAL_FAILED" || reason === "AUDIT_FAILED";

const kinds = ["full", "slow", "broken", "read-only", "cut", "flip", "corrupt", "compaction"] as const;
type Kind = (typeof kinds)[number];

/** Faults of the state disk, one after another, with their invariants. */
export class DiskTrouble {
  readonly counts: Partial<Record<Kind, number>> = {};
  cuts = 0;
  flips = 0;
  readonly compaction = new Compaction();
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #disk: StateDisk;
  readonly #watch: Watch;
  /** Acknowledged operations and their ends. */
  readonly #acknowledged: { readonly asked: Mutation; readonly end: Operation__Output }[] = [];
  /** Started operations without an end at the last check. */
  readonly #open: { readonly asked: Mutation; readonly end: Operation__Output }[] = [];

  static async make(
    run: CampaignRun,
    parts: { host: FaultyHost; disk: StateDisk; watch: Watch },
  ): Promise<DiskTrouble> {
    const trouble = new DiskTrouble(run, parts);
    await parts.host.succeeds(mutation("CREATE", NAME));
    return trouble;
  }

  private constructor(run: CampaignRun, parts: { host: FaultyHost; disk: StateDisk; watch: Watch }) {
    this.#run = run;
    this.#host = parts.host;
    this.#disk = parts.disk;
    this.#watch = parts.watch;
  }

  async make(count: number): Promise<string> {
    const kind = kinds[count % kinds.length] as Kind;
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.#run.log(`${this.#run.tries}/${this.#run.count} ${kind}`);
    await this.#succeeds();
    switch (kind) {
      case "full":
        await this.#full();
        break;
      case "slow":
        await this.#slow();
        break;
      case "broken":
        await this.#broken();
        break;
      case "read-only":
        await this.#readOnly();
        break;
      case "cut":
        await this.#damage(async (damage) => (this.cuts += await damage.cutJournal(CUT_BYTES)));
        break;
      case "flip":
        await this.#damage((damage) => this.#flip(damage));
        break;
      case "corrupt":
        await this.#corrupt();
        break;
      case "compaction":
        for (let death = 0; death < DEATHS; death += 1)
          await this.compaction.die(this.#run, this.#disk.stateDirectory);
        break;
    }
    await this.#succeeds();
    await this.#remembers();
    return kind;
  }

  /** Changes are refused with a clear reason, reads continue, and the agent recovers once space is free. */
  async #full(): Promise<void> {
    await this.#disk.fill();
    const refused = await this.#refused();
    const { kind, reason, message } = refused;
    const isFull = kind === "exhausted" && isOfTheDisk(reason) && message.includes("free space");
    // The last bytes held the start of a change, but not its end.
    const isBehindOne = reason === "OPERATION_UNSETTLED" && this.#open.length > 0;
    this.#run.demand(isFull || isBehindOne, `refused with ${kind} ${reason}: ${message}`);
    await this.#host.list();
    const isFirst = this.counts.full === 1;
    if (isFirst) await this.#keepsVmsAway("TRUTH_TRUE");
    await this.#restart();
    await this.#refused();
    if (isFirst) await this.#keepsVmsAway("TRUTH_TRUE");
    await this.#disk.makeRoom();
    if (isFirst) await this.#keepsVmsAway("TRUTH_FALSE");
  }

  /** The rest of the files' last blocks may hold a few more changes. */
  #refused(): Promise<SocleError> {
    return eventually(() => this.#refusal(), {
      what: "a change to be refused on a full disk",
      timeoutMs: END_WITHIN_MS,
    });
  }

  /** Whether the host reports StateUnwritable, so that schedulers stop. */
  async #keepsVmsAway(status: "TRUTH_TRUE" | "TRUTH_FALSE"): Promise<void> {
    const { client } = this.#host;
    const isSo = async (): Promise<boolean> => {
      const { health } = await client.ask(client.contract.host.GetHost, {});
      const found = health?.conditions.find(({ type }) => type === "StateUnwritable");
      const isRight = status === "TRUTH_FALSE" || health?.schedulable === "TRUTH_FALSE";
      return found?.status === status && isRight;
    };
    const what = `StateUnwritable to be ${status}`;
    await eventually(isSo, { what, timeoutMs: WELL_WITHIN_MS }).catch((thrown: unknown) =>
      this.#run.violation(String(thrown)),
    );
  }

  async #slow(): Promise<void> {
    await this.#disk.setFault("slow 300");
    await this.#succeeds();
    await this.#disk.setFault("none");
  }

  /** Any other failed write is final until the agent restarts. */
  async #broken(): Promise<void> {
    await this.#disk.setFault("EROFS");
    const refused = await eventually(async () => await this.#refusal(), {
      what: "a change to be refused on a broken disk",
      timeoutMs: END_WITHIN_MS,
    });
    const isClear = isOfTheDisk(refused.reason) && refused.message.includes("restart the agent");
    this.#run.demand(isClear, `refused with ${refused.reason}: ${refused.message}`);
    await this.#host.list();
    const isFirst = this.counts.broken === 1;
    if (isFirst) await this.#keepsVmsAway("TRUTH_TRUE");
    await this.#disk.setFault("none");
    await this.#restart();
    if (isFirst) await this.#keepsVmsAway("TRUTH_FALSE");
  }

  /** An agent that cannot write does not start, prints the cause and the remedy, and starts once it can. */
  async #readOnly(): Promise<void> {
    await this.#kill();
    await this.#disk.remount("ro");
    await this.#refusesToStart(/STATE_UNWRITABLE|read-only file system/i);
    await this.#disk.remount("rw");
    await this.#start();
  }

  /** A damaged record in the middle is named, and nothing is guessed or changed. */
  async #corrupt(): Promise<void> {
    await this.#kill();
    const path = join(this.#disk.stateDirectory, "operations.journal");
    const good = await readFile(path);
    const bad = Buffer.from(good);
    const at = good.indexOf("\n", good.length >> 1) + 20;
    bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
    await writeFile(path, bad);
    await this.#start();
    const refused = await this.#refusal();
    const isNamed = refused?.reason === "STATE_UNREADABLE" && /record \d+ at byte \d+/.test(refused.message);
    this.#run.demand(isNamed, `a change on a damaged journal: ${refused?.message ?? "taken"}`);
    await this.#host.list();
    await this.#kill();
    await writeFile(path, good);
    await this.#start();
  }

  async #damage(work: (damage: Damage) => Promise<unknown>): Promise<void> {
    await this.#isAtRest();
    await this.#kill();
    const damage = await Damage.make(this.#run, this.#disk.stateDirectory);
    try {
      await work(damage);
    } finally {
      await damage.remove();
    }
    await this.#start();
  }

  /** Until the seal follows the last record, damage to that record looks like a torn write. */
  async #isAtRest(): Promise<void> {
    const path = join(this.#disk.stateDirectory, "operations.journal");
    const hasSeal = async (): Promise<boolean> => {
      const last = (await readFile(path)).toString("latin1").trimEnd().split("\n").at(-1) ?? "";
      return isSeal(decodeLine(Buffer.from(last, "latin1"))?.record);
    };
    await eventually(hasSeal, { what: "the journal to be sealed", timeoutMs: WELL_WITHIN_MS });
  }

  async #flip(damage: Damage): Promise<void> {
    for (let count = 0; count < FLIPS; count += 1, this.flips += 3) {
      const at = Math.floor(Math.random() * 2 ** 31);
      await damage.flipJournal(at);
      await damage.flipEvents(at);
      await damage.flipRecord(at);
    }
  }

  async #refusesToStart(word: RegExp): Promise<void> {
    const startMs = performance.now();
    const why = await this.#host.startAgain().then(
      () => undefined,
      (thrown: unknown) => String(thrown),
    );
    this.#run.demand(why !== undefined, "the agent started anyway");
    if (why === undefined) return;
    this.#run.demand(word.test(why), `the agent does not print why it cannot start: ${why.slice(-600)}`);
    this.#run.demand(!/\n {4}at /.test(why), `the agent prints a stack trace: ${why.slice(-600)}`);
    this.#run.demand(performance.now() - startMs < WELL_WITHIN_MS, "the agent failed too slowly");
  }

  /** The refusal of a change; undefined: accepted. An accepted one must end once the disk is well. */
  async #refusal(): Promise<SocleError | undefined> {
    const asked = await this.#next();
    let begun: Operation__Output;
    try {
      begun = await this.#host.begin(asked);
    } catch (thrown) {
      return toSocleError(thrown);
    }
    const end = await this.#host.ended(begun, 1000);
    if (end.done) this.#acknowledged.push({ asked, end });
    else this.#open.push({ asked, end });
    return undefined;
  }

  /** A change succeeds without help once the disk is well. */
  async #succeeds(): Promise<void> {
    const asked = await this.#next();
    const begun = await eventually(() => this.#host.begin(asked), {
      what: "a change to be taken",
      timeoutMs: WELL_WITHIN_MS,
      intervalMs: 200,
    });
    this.#open.push({ asked, end: begun });
    for (const open of this.#open.splice(0)) {
      const end = await this.#host.ended(open.end, END_WITHIN_MS);
      this.#run.demand(end.done, `no end: ${this.#host.describe(end)}`);
      this.#acknowledged.push({ asked: open.asked, end });
    }
  }

  async #next(): Promise<Mutation> {
    const isPaused = (await this.#host.witness.state(NAME)) === "paused";
    return mutation(isPaused ? "RESUME" : "PAUSE", NAME);
  }

  /** Every acknowledged request has the same reply as before. */
  async #remembers(): Promise<void> {
    for (const { asked, end } of this.#acknowledged.slice(-50)) {
      const now = await this.#host.begin(asked);
      const isSame = now.operationId === end.operationId && now.state === end.state;
      this.#run.demand(
        isSame,
        `acknowledged was ${this.#host.describe(end)}, now it is ${this.#host.describe(now)}`,
      );
    }
  }

  async #restart(): Promise<void> {
    await this.#kill();
    await this.#start();
  }

  async #kill(): Promise<void> {
    this.#watch.agentIsUp(false);
    await this.#host.agent.kill();
  }

  async #start(): Promise<void> {
    await this.#host.startAgain();
    await this.#host.untilListed();
    this.#watch.agentIsUp(true);
  }
}
