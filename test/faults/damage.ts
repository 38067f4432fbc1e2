import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../agent/kernel/clock.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { EventLog } from "../../agent/state/events/event-log.ts";
import type { HostEvent } from "../../agent/state/events/event.ts";
import { HostRecord } from "../../agent/state/records/host-record.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import type { CampaignRun } from "./campaign.ts";

const log = silentLog;
const clock = systemClock;

/** The content of a state directory. */
interface Held {
  /** The end of each operation, by id. */
  readonly operations: ReadonlyMap<string, string>;
  readonly events: readonly HostEvent[];
  readonly nextSequence: number;
  readonly agentEpoch: number;
}

/** A copy of an agent's state that is damaged and read again. */
export class Damage {
  readonly #run: CampaignRun;
  readonly #state: string;
  readonly #directory: string;
  readonly #whole: Held;

  static async make(run: CampaignRun, stateDirectory: string): Promise<Damage> {
    const directory = await mkdtemp(join(tmpdir(), "socle-damage-"));
    const damage = new Damage(
      run,
      stateDirectory,
      directory,
      await read(await copy(stateDirectory, directory)),
    );
    return damage;
  }

  private constructor(run: CampaignRun, state: string, directory: string, whole: Held) {
    this.#run = run;
    this.#state = state;
    this.#directory = directory;
    this.#whole = whole;
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Cuts the journal at every byte of its last `bytes`: all complete records before are read. */
  async cutJournal(bytes: number): Promise<number> {
    const journal = await readFile(join(this.#state, "operations.journal"));
    let cuts = 0;
    for (let length = Math.max(0, journal.length - bytes); length < journal.length; length += 1, cuts += 1) {
      const part = journal.subarray(0, length);
      const what = `the journal cut at byte ${length} of ${journal.length}`;
      const found = await this.#operations(part);
      if (found instanceof Error) {
        const isOurs = found.message.includes("record 1 ");
        this.#run.demand(isOurs, `${what}: ${found.message}`);
        continue;
      }
      const text = part.toString("latin1", 0, part.lastIndexOf("\n") + 1);
      for (const [id, end] of this.#whole.operations) {
        const isThere = text.includes(`"operation":{"id":"${id}"`);
        this.#run.demand(!isThere || found.has(id), `${what}: operation ${id} is lost, ${end} before`);
      }
    }
    return cuts;
  }

  /** Flips one bit of the journal: every operation is unchanged, or the record is named as damaged. */
  async flipJournal(at: number): Promise<void> {
    const journal = await readFile(join(this.#state, "operations.journal"));
    const bit = at % (journal.length * 8);
    const found = await this.#operations(flipped(journal, bit));
    const what = `bit ${bit & 7} of byte ${bit >> 3} of the journal`;
    if (found instanceof Error) {
      const { reason, message } = toSocleError(found);
      const isNamed = reason === "JOURNAL_VERSION" || /record \d+ at byte \d+/.test(message);
      this.#run.demand(isNamed, `${what}: refused without a clear word: ${message}`);
      return;
    }
    for (const [id, end] of this.#whole.operations)
      this.#run.demand(
        found.get(id) === end,
        `${what}: operation ${id} is ${found.get(id) ?? "lost"}, ${end} before`,
      );
  }

  /** Flips one bit of an event file: the remaining events are unchanged, and no number is reused. */
  async flipEvents(at: number): Promise<void> {
    const target = await this.#fresh();
    const events = join(target, "events");
    const all = await readdir(events, { withFileTypes: true });
    const names = all.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
    const path = join(events, names[at % names.length] ?? "");
    const bytes = await readFile(path);
    if (bytes.length === 0) return;
    const bit = at % (bytes.length * 8);
    await writeFile(path, flipped(bytes, bit));
    const what = `bit ${bit & 7} of byte ${bit >> 3} of ${path}`;
    const found = await readEvents(target);
    const before = new Map(this.#whole.events.map((event) => [event.sequence, JSON.stringify(event)]));
    for (const event of found.events) {
      if (event.reason === "EVENTS_LOST" && event.sequence >= this.#whole.nextSequence) continue;
      this.#run.demand(
        before.get(event.sequence) === JSON.stringify(event),
        `${what}: event ${event.sequence} is another`,
      );
    }
    this.#run.demand(found.nextSequence >= this.#whole.nextSequence, `${what}: the numbers went back`);
  }

  /** Flips one bit of the host record: the same facts, or a named error. */
  async flipRecord(at: number): Promise<void> {
    const target = await this.#fresh();
    const path = join(target, "host.json");
    const bytes = await readFile(path);
    const bit = at % (bytes.length * 8);
    await writeFile(path, flipped(bytes, bit));
    const what = `bit ${bit & 7} of byte ${bit >> 3} of host.json`;
    try {
      const { agentEpoch } = await HostRecord.open(target);
      this.#run.demand(agentEpoch === this.#whole.agentEpoch, `${what}: the epoch is ${agentEpoch}`);
    } catch (thrown) {
      this.#run.demand(toSocleError(thrown).reason === "HOST_RECORD_CORRUPT", `${what}: ${String(thrown)}`);
    }
  }

  async #operations(journal: Buffer): Promise<ReadonlyMap<string, string> | Error> {
    const target = join(this.#directory, "journal");
    await rm(target, { recursive: true, force: true });
    await mkdir(target);
    await writeFile(join(target, "operations.journal"), journal);
    try {
      return await readOperations(target);
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  }

  async #fresh(): Promise<string> {
    return await copy(this.#state, this.#directory);
  }
}

async function copy(from: string, directory: string): Promise<string> {
  const to = join(directory, "copy");
  await rm(to, { recursive: true, force: true });
  await mkdir(join(to, "events"), { recursive: true });
  for (const name of ["operations.journal", "host.json"]) await copyFile(join(from, name), join(to, name));
  // Symbolic links stay links, since short records are stored in their targets.
  await cp(join(from, "events"), join(to, "events"), { recursive: true, verbatimSymlinks: true });
  return to;
}

async function read(directory: string): Promise<Held> {
  const operations = await readOperations(directory);
  const { agentEpoch } = await HostRecord.open(directory);
  return { operations, agentEpoch, ...(await readEvents(directory)) };
}

async function readOperations(directory: string): Promise<ReadonlyMap<string, string>> {
  const operations = await Operations.open({ directory, clock, log, retentionMs: 86_400_000 });
  const all = operations.list({ limit: 100_000 });
  await operations.drain(0);
  return new Map(all.map(({ id, state, error }) => [id, `${state} ${error?.reason ?? ""}`]));
}

async function readEvents(directory: string): Promise<{ events: HostEvent[]; nextSequence: number }> {
  const log_ = await EventLog.open({ directory, maxEvents: 100_000, agentEpoch: 999, clock, log });
  const { newestSequence } = log_;
  const events: HostEvent[] = [];
  const over = new AbortController();
  for await (const event of log_.subscribe({}, over.signal)) {
    if (event.kind !== "overflow") events.push(event);
    if (event.kind === "overflow" || event.sequence >= newestSequence) break;
  }
  await log_.flush();
  return { events, nextSequence: newestSequence };
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const bad = Buffer.from(bytes);
  bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return bad;
}
