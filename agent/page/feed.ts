import type { Clock } from "../kernel/clock.ts";
import type { HostEvent } from "../state/events/event.ts";
import { channels, type History } from "./history.ts";
import type { Listener } from "./listener.ts";
import { showEvent, showHost, showOperation, showVm } from "./shown.ts";
import type { PageSources } from "./sources.ts";

/** What happens within this time is told at once. */
const COALESCE_MS = 500;
/** So often a browser hears that the agent is there. */
const HEARTBEAT_MS = 5000;
const EVENTS_SHOWN = 50;
/** So far back is looked for those that are shown, and for the names of VMs that are gone. */
const EVENTS_SEARCHED = 500;
const RUNNING_SHOWN = 50;
const ENDED_SHOWN = 8;

interface Row {
  readonly key: number;
  /** What it is made of, to find out whether it is still true. */
  readonly mark: string;
  readonly json: string;
}

/**
 * What browsers are told: everything when they come, then what changed, many changes in one. It is put into words once
 * for all of them, and follows what happens only while somebody watches.
 */
export class Feed {
  readonly #sources: PageSources;
  readonly #history: History;
  readonly #clock: Clock;
  readonly #listeners = new Set<Listener>();
  /** What listeners have been told; kept when they go, so that who comes and goes does not cost the agent all of it. */
  readonly #rows = new Map<string, Row>();
  #hostJson = "";
  #operationsJson = "";
  #events: HostEvent[] = [];
  #roundAtMs = 0;
  #following: AbortController | undefined;
  #wake: () => void = () => undefined;
  #dirty = false;

  constructor(sources: PageSources, history: History, clock: Clock) {
    this.#sources = sources;
    this.#history = history;
    this.#clock = clock;
  }

  add(listener: Listener): void {
    if (this.#following === undefined) this.#follow();
    // The others first, so that what everybody has been told is the same again.
    this.#flush();
    this.#listeners.add(listener);
    listener.send("state", this.#state());
  }

  remove(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size === 0) this.#forget();
  }

  /** Something may have changed. */
  mark(): void {
    this.#dirty = true;
    this.#wake();
  }

  end(): void {
    for (const listener of this.#listeners) listener.end();
    this.#listeners.clear();
    this.#forget();
  }

  #follow(): void {
    const { vms, host, operations, events } = this.#sources;
    const following = new AbortController();
    this.#following = following;
    const { signal } = following;
    for (const changes of [vms.subscribe(signal), host.subscribe(signal), operations.watch(signal)])
      void this.#markEach(changes);
    void this.#collect(events.subscribe({ fromNow: true }, signal));
    void this.#pump(signal);
  }

  #forget(): void {
    this.#following?.abort();
    this.#following = undefined;
    this.#events = [];
    [this.#hostJson, this.#operationsJson] = ["", ""];
  }

  async #markEach(changes: AsyncIterable<unknown>): Promise<void> {
    for await (const _ of changes) this.mark();
  }

  async #collect(events: ReturnType<PageSources["events"]["subscribe"]>): Promise<void> {
    for await (const event of events) {
      if (event.kind === "overflow") this.#events = [...this.#recent()];
      else if (isNews(event)) this.#events = [...this.#events, event].slice(-EVENTS_SHOWN);
      this.mark();
    }
  }

  async #pump(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (!this.#dirty) await this.#quiet(signal);
      if (this.#following?.signal !== signal) return;
      this.#flush();
      await this.#clock.sleep(COALESCE_MS, signal).catch(() => undefined);
    }
  }

  /** Until something is marked, or for so long as nobody may hear nothing. */
  async #quiet(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await this.#clock.sleep(HEARTBEAT_MS, AbortSignal.any([signal, woken.signal])).catch(() => undefined);
  }

  #flush(): void {
    this.#dirty = false;
    const patch = this.#patch();
    for (const listener of this.#listeners) {
      if (!listener.ready) listener.behind = true;
      else if (listener.behind) {
        listener.behind = false;
        listener.send("state", this.#state());
      } else listener.send("patch", patch);
    }
  }

  /** What differs from what was told; from here on it counts as told. */
  #patch(): string {
    const parts = [`"now":${this.#sources.nowMs()}`];
    const host = JSON.stringify(showHost(this.#sources));
    if (host !== this.#hostJson) parts.push(`"host":${(this.#hostJson = host)}`);
    const operations = this.#operations();
    if (operations !== this.#operationsJson)
      parts.push(`"operations":${(this.#operationsJson = operations)}`);
    const { put, gone } = this.#changedRows();
    if (put.length > 0) parts.push(`"put":[${put.join(",")}]`);
    if (gone.length > 0) parts.push(`"gone":${JSON.stringify(gone)}`);
    const roundAtMs = this.#history.endedAtMs.at(-1) ?? 0;
    if (roundAtMs !== this.#roundAtMs) {
      this.#roundAtMs = roundAtMs;
      parts.push(`"round":${this.#round()}`);
    }
    const events = this.#events.splice(0);
    if (events.length > 0) parts.push(`"events":${this.#inWords(events)}`);
    return `{${parts.join(",")}}`;
  }

  /** Everything, as the last patch left it. */
  #state(): string {
    const { sampleIntervalMs, nowMs } = this.#sources;
    return `{${[
      `"now":${nowMs()}`,
      `"sampleIntervalMs":${sampleIntervalMs}`,
      `"channels":${JSON.stringify(channels)}`,
      `"host":${this.#hostJson}`,
      `"operations":${this.#operationsJson}`,
      `"vms":[${[...this.#rows.values()].map(({ json }) => json).join(",")}]`,
      `"round":${this.#round()}`,
      `"events":${this.#inWords(this.#recent())}`,
    ].join(",")}}`;
  }

  #round(): string {
    return JSON.stringify({ atMs: this.#roundAtMs, values: this.#history.newest() });
  }

  #operations(): string {
    const { operations } = this.#sources;
    // Its journal was not read whole: which there are is not known.
    if (operations.failure?.reason === "STATE_UNREADABLE") return "null";
    const running = operations.list({ onlyRunning: true, limit: RUNNING_SHOWN });
    const ended = operations.list({ limit: RUNNING_SHOWN }).filter(({ state }) => state !== "running");
    const shown = [...running, ...ended.slice(0, ENDED_SHOWN)];
    const unique = new Map(shown.map((operation) => [operation.id, operation]));
    return JSON.stringify([...unique.values()].map((operation) => showOperation(operation, this.#nameOf)));
  }

  #changedRows(): { put: string[]; gone: number[] } {
    const [put, gone]: [string[], number[]] = [[], []];
    const seen = new Set<string>();
    for (const vm of this.#sources.vms.all()) {
      seen.add(vm.id);
      const key = this.#history.keyOf(vm.id);
      const mark = `${vm.etag} ${String(vm.stats?.unresponsive === true)}`;
      const told = this.#rows.get(vm.id);
      if (told?.key === key && told.mark === mark) continue;
      if (told !== undefined && told.key !== key) gone.push(told.key);
      const json = JSON.stringify(showVm(vm, key));
      this.#rows.set(vm.id, { key, mark, json });
      put.push(json);
    }
    for (const [id, { key }] of this.#rows) {
      if (seen.has(id)) continue;
      this.#rows.delete(id);
      gone.push(key);
    }
    return { put, gone };
  }

  #inWords(events: readonly HostEvent[]): string {
    return JSON.stringify(events.map((event) => showEvent(event, this.#nameOf)));
  }

  #recent(): readonly HostEvent[] {
    return this.#sources.events.recent(EVENTS_SEARCHED).filter(isNews).slice(-EVENTS_SHOWN);
  }

  readonly #nameOf = (vmId: string): string => {
    const { vms, events } = this.#sources;
    const isOf = (event: HostEvent): boolean => event.vmId === vmId && event.vmName !== undefined;
    return vms.get(vmId)?.name ?? events.recent(EVENTS_SEARCHED).findLast(isOf)?.vmName ?? vmId;
  };
}

/** That a condition is found healthy at first, when the agent starts, is no change, and would bury what is. */
const isNews = ({ kind, details }: HostEvent): boolean =>
  !(kind === "condition_changed" && details?.["first"] === "true" && details["status"] === "false");
