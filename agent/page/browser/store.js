// The agent's state, as of its last message.

/** @typedef {import("../shown.ts").ShownHost} Host */
/** @typedef {import("../shown.ts").ShownCell} Cell */
/** @typedef {import("../shown.ts").ShownVm} Vm */
/** @typedef {import("../shown.ts").ShownOperation} Operation */
/** @typedef {import("../shown.ts").ShownBackup} Backup */
/** @typedef {import("../shown.ts").ShownEvent} HostEvent */
/** @typedef {readonly (number | null)[]} Values by channel: cpu cores, resident bytes, disk and network bytes per second */

const EVENTS_KEPT = 50;
const HISTORIES_KEPT = 400;
const ROUNDS_KEPT = 60;

export class Store {
  /** @type {Host | undefined} */
  host;
  /** @type {Map<number, Vm>} */
  vms = new Map();
  /** Null: unknown. @type {readonly Operation[] | null} */
  operations = [];
  /** Open ones. @type {readonly Backup[]} */
  backups = [];
  /** Newest first. @type {HostEvent[]} */
  events = [];
  /** The newest sampling's readings, by key. @type {Map<number, Values>} */
  values = new Map();
  /** Readings of the visible VMs, oldest first. @type {Map<number, Values[]>} */
  histories = new Map();
  /** @type {number | undefined} */
  selected;
  linked = false;
  /** Why it is not linked; "" while that is unknown. */
  why = "";
  heardAtMs = 0;
  sampleIntervalMs = 10_000;
  /** Increases with changes of the VMs: sorting and drawing must be redone. */
  generation = 0;
  /** Increases with every sampling. */
  rounds = 0;
  #aheadMs = 0;
  /** @type {Set<number>} */
  #asked = new Set();

  /** The agent's clock: ages use it, whatever the reader's clock is. */
  nowMs() {
    return Date.now() + this.#aheadMs;
  }

  /** @param {any} state */
  takeState(state) {
    this.#synchronize(state.now);
    this.sampleIntervalMs = state.sampleIntervalMs;
    this.host = state.host;
    this.operations = state.operations;
    this.backups = state.backups;
    const before = this.selected === undefined ? undefined : this.vms.get(this.selected)?.id;
    this.vms = new Map(state.vms.map((/** @type {Vm} */ vm) => [vm.key, vm]));
    // Keys belong to one run of the agent.
    this.selected = [...this.vms.values()].find(({ id }) => id === before)?.key;
    this.events = [...state.events].reverse();
    this.histories.clear();
    this.#asked.clear();
    this.#takeRound(state.round);
    this.generation += 1;
  }

  /** @param {any} patch */
  takePatch(patch) {
    this.#synchronize(patch.now);
    if (patch.host) this.host = patch.host;
    if (patch.operations !== undefined) this.operations = patch.operations;
    if (patch.backups) this.backups = patch.backups;
    for (const vm of patch.put ?? []) this.vms.set(vm.key, vm);
    for (const key of patch.gone ?? []) {
      this.vms.delete(key);
      this.values.delete(key);
      this.histories.delete(key);
      if (this.selected === key) this.selected = undefined;
    }
    if (patch.put || patch.gone) this.generation += 1;
    if (patch.events) this.events = [...patch.events.reverse(), ...this.events].slice(0, EVENTS_KEPT);
    if (patch.round) this.#takeRound(patch.round);
  }

  /**
   * Fetches the missing histories of these VMs; true when there are new ones.
   * @param {readonly number[]} keys
   */
  async fetchHistories(keys) {
    const missing = keys.filter((key) => !this.histories.has(key) && !this.#asked.has(key)).slice(0, 200);
    if (missing.length === 0) return false;
    for (const key of missing) this.#asked.add(key);
    try {
      const response = await fetch(`/page/history?keys=${missing.join(",")}`);
      if (!response.ok) return false;
      const { vms } = await response.json();
      for (const [key, values] of Object.entries(vms)) this.histories.set(Number(key), values);
      for (const key of [...this.histories.keys()].slice(0, -HISTORIES_KEPT)) this.histories.delete(key);
      return true;
    } catch {
      return false; // The stream reports connection failures.
    } finally {
      for (const key of missing) this.#asked.delete(key);
    }
  }

  /** @param {{ atMs: number, values: Record<string, Values> }} round */
  #takeRound(round) {
    this.rounds += 1;
    this.values = new Map(Object.entries(round.values).map(([key, values]) => [Number(key), values]));
    for (const [key, history] of this.histories) {
      history.push(this.values.get(key) ?? [null, null, null, null]);
      if (history.length > ROUNDS_KEPT) history.shift();
    }
  }

  /** @param {number} nowMs */
  #synchronize(nowMs) {
    this.heardAtMs = Date.now();
    this.#aheadMs = nowMs - this.heardAtMs;
  }
}
