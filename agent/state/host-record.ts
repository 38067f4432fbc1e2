import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import * as z from "zod";
import { SocleError } from "../kernel/errors.ts";
import { replaceFile } from "./durable-file.ts";
import { healthRecordSchema, type HealthRecord } from "./health-record.ts";

const factsSchema = z.strictObject({
  version: z.literal(1),
  agentEpoch: z.number().int().min(0),
  /** Absent until it is decided, which is once in the host's life. */
  hostId: z.uuid().optional(),
  scheduling: z.strictObject({ state: z.enum(["active", "cordoned"]), reason: z.string() }),
  /** The highest that any scheduler had. */
  controlEpoch: z.number().int().min(0).default(0),
  health: healthRecordSchema.optional(),
});
type Facts = z.output<typeof factsSchema>;

export type Scheduling = Readonly<Facts["scheduling"]>;

const fresh: Facts = {
  version: 1,
  agentEpoch: 0,
  scheduling: { state: "active", reason: "" },
  controlEpoch: 0,
};
/** What the directory holds of a host that ran before. */
const companion = "operations.journal";
const maxWaiting = 64;

/** The few facts about this host that must survive the agent, in one file that is replaced as a whole. */
export class HostRecord {
  readonly #path: string;
  #facts: Facts;
  #writing: Promise<void> = Promise.resolve();
  #waiting = 0;
  #controlEpoch: number;

  /** Counts this start: agentEpoch is one higher than ever before, durably. Throws `unavailable` and `internal`. */
  static async open(directory: string): Promise<HostRecord> {
    const path = join(directory, "host.json");
    const before = await read(path, join(directory, companion));
    const facts = { ...before, agentEpoch: before.agentEpoch + 1 };
    await write(path, facts);
    return new HostRecord(path, facts);
  }

  private constructor(path: string, facts: Facts) {
    this.#path = path;
    this.#facts = facts;
    this.#controlEpoch = facts.controlEpoch;
  }

  /** +1 per start of the agent. */
  get agentEpoch(): number {
    return this.#facts.agentEpoch;
  }

  /** As last made durable. */
  get scheduling(): Scheduling {
    return this.#facts.scheduling;
  }

  /** What holds health conditions. */
  get health(): HealthRecord {
    return this.#facts.health ?? { latches: [], acknowledgements: [] };
  }

  /** By which everybody knows this host; undefined before it was decided a first time. */
  get hostId(): string | undefined {
    return this.#facts.hostId;
  }

  /** Resolves when it is durable, and shows only then. Throws `unavailable` STATE_UNWRITABLE. */
  setScheduling(scheduling: Scheduling): Promise<void> {
    return this.#change({ scheduling });
  }

  /** As setScheduling. */
  setHealth(health: HealthRecord): Promise<void> {
    return this.#change({ health });
  }

  /** As setScheduling. */
  setHostId(hostId: string): Promise<void> {
    return this.#change({ hostId });
  }

  /** The highest that any scheduler had, before it is durable too: one that is older is refused. */
  get controlEpoch(): number {
    return this.#controlEpoch;
  }

  /** Never lowers it. Counts at once; resolves when it is durable. Throws as setScheduling does. */
  async raiseControlEpoch(epoch: number): Promise<void> {
    this.#controlEpoch = Math.max(this.#controlEpoch, epoch);
    if (this.#facts.controlEpoch < epoch) await this.#change({});
  }

  #change(facts: Partial<Facts>): Promise<void> {
    if (this.#waiting >= maxWaiting) return Promise.reject(tooSlow(this.#path));
    this.#waiting += 1;
    const change = this.#writing.then(async () => {
      const next = { ...this.#facts, controlEpoch: this.#controlEpoch, ...facts };
      try {
        await write(this.#path, next);
      } finally {
        this.#waiting -= 1;
      }
      this.#facts = next;
    });
    this.#writing = change.catch(() => undefined);
    return change;
  }
}

async function write(path: string, facts: Facts): Promise<void> {
  try {
    const whole = { ...facts, crc32: checksum(facts) };
    await replaceFile(path, Buffer.from(`${JSON.stringify(whole, undefined, 2)}\n`));
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const message = `${path} cannot be written: ${why}; free space or mend the disk, then try again`;
    throw new SocleError("unavailable", "STATE_UNWRITABLE", message, { cause: thrown });
  }
}

async function read(path: string, companionPath: string): Promise<Facts> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT")) {
      throw new SocleError("unavailable", "STATE_UNREADABLE", `${path} cannot be read`, { cause: thrown });
    }
    // A host that ran before has one: to begin anew would count its epochs again.
    if (await exists(companionPath)) throw corrupt(path, "is missing", thrown);
    return fresh;
  }
  try {
    const { crc32: told, ...written } = z
      .looseObject({ crc32: z.string().optional() })
      .parse(JSON.parse(text));
    if (told !== undefined && told !== checksum(written)) throw new Error("its checksum is another");
    return factsSchema.parse(written);
  } catch (thrown) {
    throw corrupt(path, "is damaged or of another version", thrown);
  }
}

function corrupt(path: string, what: string, cause: unknown): SocleError {
  const message =
    `${path} ${what}. Put it back from a backup, or write a new one with a higher agentEpoch than the scheduler ` +
    `has seen: {"version":1,"agentEpoch":N,"scheduling":{"state":"active","reason":""}}`;
  return new SocleError("internal", "HOST_RECORD_CORRUPT", message, { cause });
}

const tooSlow = (path: string): SocleError =>
  new SocleError("exhausted", "STATE_BUSY", `${path} is on a disk too slow for the load; try again later`, {
    details: { retryAfterMs: 1000 },
  });

/**
 * Of what was written, as it was written: facts that a later version adds are none of it. A file written by hand needs
 * none.
 */
const checksum = (written: object): string => crc32(JSON.stringify(written)).toString(16).padStart(8, "0");

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
