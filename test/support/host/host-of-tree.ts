import { configSchema, type Config } from "../../../agent/config/schema.ts";
import { FilesystemProbe } from "../../../agent/hardware/storage/filesystem.ts";
import type { Roots } from "../../../agent/hardware/roots.ts";
import { hostConditions, type HostConditions } from "../../../agent/host/health/conditions/table.ts";
import { Health } from "../../../agent/host/health/health.ts";
import { hostReaders, type HostReadings, type ReaderName } from "../../../agent/host/health/readers/table.ts";
import type { WatchedJournal } from "../../../agent/host/health/readers/journals.ts";
import { Readers } from "../../../agent/host/health/readers/readers.ts";
import { eventually } from "../wait.ts";
import { FakeClock } from "./fake-clock.ts";

/** The real readers and conditions on a machine's tree, with time that the test advances. */
export class HostOfTree {
  readonly clock = new FakeClock();
  readonly health: Health;
  readonly #table: ReturnType<typeof hostReaders>;
  readonly #readers: Readers<ReturnType<typeof hostReaders>>;
  readonly #stop = new AbortController();
  readonly #looks = new Map<ReaderName, number>();
  #running: Promise<void> = Promise.resolve();

  constructor(roots: Roots, settings: Partial<Config> = {}, journals: readonly WatchedJournal[] = []) {
    const config = { ...configSchema.parse({}), ...settings };
    const { clock } = this;
    const filesystems = new FilesystemProbe({ timeoutMs: 1000 });
    const at = () => ({ wallMs: clock.now(), monotonicMs: clock.monotonicMs() });
    this.health = new Health({
      rules: hostConditions({ config, offersKvm: () => undefined }),
      flapping: { flips: config.health.flips, withinMs: config.health.flapSeconds * 1000 },
      at: at(),
      onChange: () => undefined,
    });
    this.#table = hostReaders({
      roots,
      config,
      clock,
      certificate: () => ({ kind: "unsupported", reason: "there is no trust domain" }),
      filesystems,
      journals,
      memory: { seen: this.health.seen, seenLogs: {}, keepSeen: () => undefined },
      watchedPaths: () => [],
      vmPaths: () => [],
    });
    this.#readers = new Readers(this.#table, {
      clock,
      onRead: (name) => {
        this.#looks.set(name, (this.#looks.get(name) ?? 0) + 1);
        this.health.judge(name, this.#readers, at());
      },
    });
  }

  get readings(): HostReadings {
    return this.#readers;
  }

  /** Resolves when every reader has read once. */
  async start(): Promise<this> {
    this.#running = this.#readers.run(this.#stop.signal);
    await eventually(() => this.#readers.states().every(({ state }) => state !== "pending"));
    return this;
  }

  /** Advances time, interval by interval, until the reader has read that many times more. */
  async readAgain(reader: ReaderName, times = 1): Promise<void> {
    const everyMs = this.#table[reader].everyMs;
    for (let time = 0; time < times; time += 1) {
      const before = this.#looks.get(reader) ?? 0;
      this.clock.advance(everyMs);
      await eventually(() => (this.#looks.get(reader) ?? 0) > before, {
        what: `a look of ${reader}`,
        timeoutMs: 60_000,
      });
    }
  }

  condition(type: keyof HostConditions): string {
    const found = this.health.conditions.find((condition) => condition.type === type);
    return `${found?.status} ${found?.effect} ${found?.reason}: ${found?.evidence}`;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
