import type { Clock } from "../kernel/clock.ts";
import type { HostEvent } from "../state/events/event.ts";
import { channels, type History } from "./history.ts";
import type { Listener } from "./listener.ts";
import { showBackup, showEvent, showHost, showOperation, showVm } from "./shown.ts";
import type { PageSources } from "./sources.ts";

/** Changes within this time are sent together. */
const COALESCE_MS = 500;
/** Interval of keep-alive messages. */
const HEARTBEAT_MS = 5000;
const EVENTS_SHOWN = 50;
/** Age of the events that are shown, and searched for names of deleted VMs. */
const EVENTS_SEARCHED = 500;
const RUNNING_SHOWN = 50;
const ENDED_SHOWN = 8;

interface Row {
  readonly key: number;
  /** Its inputs, for detecting changes. */
  readonly mark: string;
  readonly json: string;
}

/**
 * Sends the state to browsers: everything on connection, then changes, several in one message. Messages are encoded once for
 * all, and only while a browser is connected.
 */
export class Feed {
  readonly #sources: PageSources;
  readonly #history: History;
  readonly #clock: Clock;
  readonly #listeners = new Set<Listener>();
  /** The state that was sent; kept without listeners, so that a reconnection does not cost a full rebuild. */
  readonly #rows = new Map<string, Row>();
  #hostJson = "";
  #operationsJson = "";
  #backupsJson = "";
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
    // Flushes to the others first, so that all have the same state.
    this.#flush();
    this.#listeners.add(listener);
    listener.send("state", this.#state());
  }

  remove(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size === 0) this.#forget();
  }

  /** Marks the state as possibly changed. */
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
    [this.#hostJson, this.#operationsJson, this.#backupsJson] = ["", "", ""];
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

  /** Until a mark, or until a keep-alive is due. */
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

  /** The changes since the last patch; they count as sent. */
  #patch(): string {
    const parts = [`"now":${this.#sources.nowMs()}`];
    const host = JSON.stringify(showHost(this.#sources));
    if (host !== this.#hostJson) parts.push(`"host":${(this.#hostJson = host)}`);
    const operations = this.#operations();
    if (operations !== this.#operationsJson)
      parts.push(`"operations":${(this.#operationsJson = operations)}`);
    const backups = this.#backups();
    if (backups !== this.#backupsJson) parts.push(`"backups":${(this.#backupsJson = backups)}`);
    const { put, gone } = this.#changedRows();
    if (put.length > 0) parts.push(`"put":[${put.join(",")}]`);
    if (gone.length > 0) parts.push(`"gone":${JSON.stringify(gone)}`);
    const roundAtMs = this.#history.endedAtMs.at(-1) ?? 0;
    if (roundAtMs !== this.#roundAtMs) {
      this.#roundAtMs = roundAtMs;
      parts.push(`"round":${this.#round()}`);
    }
    const events = this.#events.splice(0);
    if (events.length > 0) parts.push(`"events":${this.#eventsJson(events)}`);
    return `{${parts.join(",")}}`;
  }

  /** The full state as of the last patch. */
  #state(): string {
    const { sampleIntervalMs, nowMs } = this.#sources;
    return `{${[
      `"now":${nowMs()}`,
      `"sampleIntervalMs":${sampleIntervalMs}`,
      `"channels":${JSON.stringify(channels)}`,
      `"host":${this.#hostJson}`,
      `"operations":${this.#operationsJson}`,
      `"backups":${this.#backupsJson}`,
      `"vms":[${[...this.#rows.values()].map(({ json }) => json).join(",")}]`,
      `"round":${this.#round()}`,
      `"events":${this.#eventsJson(this.#recent())}`,
    ].join(",")}}`;
  }

  #round(): string {
    return JSON.stringify({ atMs: this.#roundAtMs, values: this.#history.newest() });
  }

  #operations(): string {
    const { operations } = this.#sources;
    // Its journal was not fully read: the list is unknown.
    if (operations.failure?.reason === "STATE_UNREADABLE") return "null";
    const running = operations.list({ onlyRunning: true, limit: RUNNING_SHOWN });
    const ended = operations.list({ limit: RUNNING_SHOWN }).filter(({ state }) => state !== "running");
    const shown = [...running, ...ended.slice(0, ENDED_SHOWN)];
    const unique = new Map(shown.map((operation) => [operation.id, operation]));
    return JSON.stringify([...unique.values()].map((operation) => showOperation(operation, this.#nameOf)));
  }

  #backups(): string {
    const { vms, backups } = this.#sources;
    return JSON.stringify([...vms.all()].flatMap((vm) => showBackup(vm, backups) ?? []));
  }

  #changedRows(): { put: string[]; gone: number[] } {
    const [put, gone]: [string[], number[]] = [[], []];
    const seen = new Set<string>();
    for (const vm of this.#sources.vms.all()) {
      seen.add(vm.id);
      const key = this.#history.keyOf(vm.id);
      const mark = `${vm.etag} ${String(vm.stats?.unresponsive === true)}`;
      const sent = this.#rows.get(vm.id);
      if (sent?.key === key && sent.mark === mark) continue;
      if (sent !== undefined && sent.key !== key) gone.push(sent.key);
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

  #eventsJson(events: readonly HostEvent[]): string {
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

/** A condition that is first found false at the agent's start is no change, and would hide those that are. */
const isNews = ({ kind, details }: HostEvent): boolean =>
  !(kind === "condition_changed" && details?.["first"] === "true" && details["status"] === "false");
