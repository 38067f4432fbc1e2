import { randomUUID } from "node:crypto";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { eventually, within } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import {
  bytesOf,
  BLOCK_BYTES,
  contentOf,
  difference,
  FORGED,
  nothing,
  type Content,
} from "./chain-content.ts";
import { decided } from "./chain-doubt.ts";
import type { ChainFault, ChainStrikes } from "./chain-faults.ts";
import { asSeen, ChainSight, disagreementsOf, type Model, type SightOptions } from "./chain-sight.ts";
import { mutation, type FaultyHost } from "./host.ts";

const END_WITHIN_MS = 180_000;
const COMES_BACK_WITHIN_MS = 180_000;
/** Blocks that are written before an operation, and while a backup is read. */
const WRITES = 3;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const ZEROS = "\0";

export type ChainAct = "SNAPSHOT" | "REVERT" | "UNSNAP" | "BACKUP" | "FINISH" | "MOVE";

/** An operation, and the snapshot that it concerns. */
export type Step = readonly [act: ChainAct, snapshot?: string];

/**
 * Branches of snapshots, full and incremental backups over them, and moves between pools. The first ten steps have each kind of
 * operation.
 */
export const lifeOfAChain: readonly Step[] = [
  ["SNAPSHOT", "one"],
  ["BACKUP"],
  ["FINISH"],
  ["SNAPSHOT", "two"],
  ["BACKUP"],
  ["FINISH"],
  ["REVERT", "one"],
  ["UNSNAP", "two"],
  ["UNSNAP", "one"],
  ["MOVE"],
  ["BACKUP"],
  ["FINISH"],
  ["MOVE"],
  ["SNAPSHOT", "three"],
  ["BACKUP"],
  ["FINISH"],
  ["SNAPSHOT", "four"],
  ["REVERT", "three"],
  ["SNAPSHOT", "five"],
  ["BACKUP"],
  ["FINISH"],
  ["UNSNAP", "four"],
  ["UNSNAP", "three"],
  ["UNSNAP", "five"],
];

/** How an operation ended, or was refused. */
interface End {
  readonly isDone: boolean;
  /** Its error's. */
  readonly reason: string;
  readonly text: string;
}

/** Of a guest that runs, these keep its memory. */
const WITH_MEMORY: ReadonlySet<string> = new Set(["one", "two"]);
/** Without an effect, but that of the agent's death or the fault: libvirt is not asked for memory a second time. */
const NOT_TAKEN: ReadonlySet<string> = new Set(["SNAPSHOT_NOT_TAKEN", "EFFECT_NOT_OBSERVED"]);

interface ChainVictimOptions extends SightOptions {
  readonly name: "off" | "runs";
  /** What a fault left is removed by then. */
  readonly settledWithinMs: number;
}

/** A VM with one disk, and what it should have. */
export class ChainVictim {
  readonly name: ChainVictimOptions["name"];
  readonly vmId: string;
  /** Ends without success, by fault. */
  readonly failures: Partial<Record<ChainFault, number>> = {};
  /** Operations that a person had to decide. */
  inDoubt = 0;
  /** Of its life, that it has begun. */
  steps = 0;
  /**
   * libvirtd died as it switched the guest to the layer over a snapshot, and does not show whether: the layers stay until the VM
   * is deleted, as the error says, and the model ends.
   */
  isLost = false;
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #sight: ChainSight;
  readonly #settledWithinMs: number;
  #model: Model = {
    ...{ disk: nothing, snapshots: new Map(), memories: new Set(), pool: "small" },
    ...{ stray: { small: 0, images: 0 }, strayMemories: 0 },
  };
  #written = 0;
  /** A fault may have ended the open backup, which the agent finds out later. */
  #mayLose = false;

  constructor(run: CampaignRun, host: FaultyHost, { name, settledWithinMs, ...sight }: ChainVictimOptions) {
    this.#run = run;
    this.#host = host;
    this.name = name;
    this.vmId = sight.vmId;
    this.#settledWithinMs = settledWithinMs;
    this.#sight = new ChainSight(host, sight);
  }

  get hasOpenBackup(): boolean {
    return this.#model.open !== undefined;
  }

  /** The bytes of the newest whole backup. */
  get newest(): Buffer | undefined {
    return this.#model.whole && bytesOf(this.#model.whole.content);
  }

  /** One operation with a fault in it; it is requested again if that made it fail. */
  async suffer(step: Step, fault: ChainFault, strikes: ChainStrikes): Promise<void> {
    const run = this.#run;
    const [act, snapshot = ""] = step;
    this.steps += 1;
    // A life goes on without a backup that a fault ended.
    if (act === "FINISH" && this.#model.open === undefined) return;
    if (this.#model.open === undefined) await this.#write();
    const strike = await strikes.set(fault, act, this);
    const about = `${act} ${snapshot} of the VM that ${this.name === "off" ? "is off" : "runs"}, ${strike.what}`;
    run.log(`${run.tries}/${run.count} ${about}`);
    const before = run.violations.length;
    const requestId = randomUUID();
    // What the fault leaves without an answer is requested again.
    await strike.play(this.#end(step, requestId, "now").catch(() => undefined));
    await this.#host.untilListed();
    const end = await this.#end(step, requestId, "once there is room");
    if (!end.isDone) {
      run.log(`${run.tries}/${run.count} ${end.text}`);
      this.failures[fault] = (this.failures[fault] ?? 0) + 1;
    }
    if (fault === "libvirtd" && end.reason === "SWITCH_IN_DOUBT") {
      this.isLost = true;
      return;
    }
    // It had not noted yet which run of the guest it ends; or its guest, which continues once, may have run since.
    const isOnce = end.reason === "VM_NOT_STARTED" && this.#model.memories.has(snapshot);
    const isUndone = act === "REVERT" && (end.reason === "INTERRUPTED" || isOnce);
    const isNotTaken = this.#hasMemory(step) && NOT_TAKEN.has(end.reason);
    const mayFail = fault !== "agent" || isUndone || isNotTaken || this.#mayLose;
    run.demand(end.isDone || mayFail, `the agent's death made it fail: ${end.text}`);
    if (act !== "FINISH") this.#mayLose = fault === "qemu" || fault === "pool";
    else this.#mayLose ||= fault === "qemu" || fault === "pool";
    const hasEffect = end.isDone || /^(VM_NOT_STARTED|SNAPSHOT_WITHOUT_MEMORY)$/.test(end.reason);
    await this.#follow(step, { ...end, isDone: hasEffect });
    await this.#comesBack();
    if (!hasEffect) await this.#again(step);
    await this.#settles();
    if (act === "BACKUP" && this.#model.open !== undefined)
      await this.#reads().catch((thrown: unknown) => {
        if (!this.#mayLose) throw thrown;
      });
    if (this.#model.open === undefined) this.#mayLose = false;
    for (let at = before; at < run.violations.length; at += 1)
      run.violations[at] = `${about}: ${run.violations[at]}`;
  }

  #begin([act, snapshot = ""]: Step, requestId: string): Promise<Operation__Output> {
    const { client } = this.#host;
    const { snapshots, backups, vms } = client.contract;
    const { open, whole, pool } = this.#model;
    const of = { requestId, vm: this.vmId };
    switch (act) {
      case "SNAPSHOT":
        return client.ask(snapshots.CreateSnapshot, {
          ...of,
          name: snapshot,
          memory: this.#hasMemory([act, snapshot]),
        });
      case "REVERT":
        return client.ask(snapshots.RevertSnapshot, { ...of, snapshot, force: true });
      case "UNSNAP":
        return client.ask(snapshots.DeleteSnapshot, { ...of, snapshot });
      case "BACKUP":
        return client.ask(backups.BeginBackup, { ...of, baseBackup: whole?.id ?? "", leaseSeconds: 3600 });
      case "FINISH":
        return client.ask(backups.FinishBackup, { ...of, backupId: open?.id ?? "", success: true });
      case "MOVE":
        return client.ask(vms.MoveDisk, { ...of, disk: "data", pool: pool === "small" ? "images" : "small" });
    }
  }

  /** The end of the request, which may not have been accepted before. The agent sees late that a pool has room again. */
  async #end(step: Step, requestId: string, when: "now" | "once there is room"): Promise<End> {
    const what = `${step[0]} to be accepted`;
    return await eventually(
      async (): Promise<End> => {
        try {
          const ended = await this.#host.ended(await this.#begin(step, requestId), END_WITHIN_MS);
          const end = when === "now" ? ended : await decided(this.#host, ended);
          if (end !== ended) this.inDoubt += 1;
          const { error } = end;
          return {
            isDone: end.state === "STATE_SUCCEEDED",
            reason: error === null ? "" : fromStatus(this.#host.client.contract, error).reason,
            text: this.#host.describe(end),
          };
        } catch (thrown) {
          const { reason, message } = toSocleError(thrown);
          const waits = when === "once there is room" && reason === "NO_CAPACITY";
          if (waits || isUnanswered(thrown)) throw thrown;
          return { isDone: false, reason, text: `${step[0]} was refused: ${reason} ${message}` };
        }
      },
      { what, timeoutMs: END_WITHIN_MS, intervalMs: 200 },
    );
  }

  #hasMemory([act, snapshot = ""]: Step): boolean {
    return this.name === "runs" && act === "SNAPSHOT" && WITH_MEMORY.has(snapshot);
  }

  /** What should be there after the operation. */
  async #follow(step: Step, { isDone, reason }: End): Promise<void> {
    const [act, snapshot = ""] = step;
    const model = this.#model;
    const { disk, snapshots, open } = model;
    const others = [...snapshots].filter(([name]) => name !== snapshot);
    const memories = new Set([...model.memories].filter((name) => name !== snapshot));
    if (act === "FINISH") {
      const left = await this.#sight.backups();
      if (!isDone && left.open === open?.id && left.whole !== open?.id) return;
      const isWhole = isDone || left.whole === open?.id;
      this.#model = { ...model, open: undefined, ...(isWhole ? { whole: open } : {}) };
      this.#run.demand(isWhole || this.#mayLose, "a backup was lost without a fault of its own");
      return;
    }
    // A revert that fails may have deleted the base before.
    if (act === "REVERT" && !isDone && (await this.#sight.backups()).whole === undefined)
      this.#model = { ...model, whole: undefined };
    if (!isDone) return;
    switch (act) {
      case "SNAPSHOT":
        if (this.#hasMemory(step) && reason !== "SNAPSHOT_WITHOUT_MEMORY") memories.add(snapshot);
        this.#model = { ...model, memories, snapshots: new Map([...others, [snapshot, disk]]) };
        break;
      case "REVERT":
        this.#model = { ...model, disk: snapshots.get(snapshot) ?? nothing, whole: undefined };
        break;
      case "UNSNAP":
        this.#model = { ...model, memories, snapshots: new Map(others) };
        break;
      case "BACKUP": {
        const { open: id } = await this.#sight.backups();
        this.#model = { ...model, open: id === undefined ? undefined : { id, content: disk } };
        // QEMU may have been killed after the end.
        this.#run.demand(id !== undefined || this.#mayLose, "no backup is open");
        break;
      }
      case "MOVE":
        this.#model = { ...model, pool: model.pool === "small" ? "images" : "small" };
    }
  }

  /** Starts a guest whose QEMU was killed. */
  async #comesBack(): Promise<void> {
    if (this.name === "off") return;
    const isUp = async (): Promise<boolean> => {
      const state = await this.#sight.state();
      if (state === "shut off") await this.#host.succeeds(mutation("START", this.vmId));
      return state === "running";
    };
    await eventually(isUp, { what: "the guest to run", timeoutMs: COMES_BACK_WITHIN_MS, intervalMs: 200 });
  }

  /** Without a fault it succeeds. */
  async #again(step: Step): Promise<void> {
    if (step[0] === "FINISH" && this.#model.open === undefined) return;
    await this.#settles();
    const end = await this.#end(step, randomUUID(), "once there is room");
    this.#run.demand(end.isDone, `without a fault: ${end.text}`);
    await this.#follow(step, end);
  }

  /** Waits until all sources say what the model does. */
  async #settles(): Promise<void> {
    const deadline = performance.now() + this.#settledWithinMs;
    for (;;) {
      // Its QEMU or the agent may end meanwhile.
      const seen = await eventually(() => this.#sight.look(), { what: "a look", timeoutMs: END_WITHIN_MS });
      if (seen.open === undefined && this.#mayLose) this.#model = { ...this.#model, open: undefined };
      const wrong = disagreementsOf(seen, this.#model, this.name);
      if (wrong.length === 0) return;
      if (performance.now() > deadline) {
        for (const what of wrong) this.#run.violation(what);
        this.#model = asSeen(this.#model, seen);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  /** Letters at places that differ from round to round, zeros over the first letter, and a forged header at the beginning. */
  async #write(): Promise<void> {
    const disk = [...this.#model.disk];
    const put = async (at: number, letter: string): Promise<void> => {
      const what = letter === ZEROS ? "-z" : `-P ${letter.charCodeAt(0)}`;
      const line = `write ${what} ${at * BLOCK_BYTES} ${BLOCK_BYTES}`;
      const write = letter === FORGED ? this.#sight.writeForged() : this.#sight.write(line);
      await within(write, 60_000, "a write to the disk");
      disk[at] = letter;
    };
    const first = disk.findIndex((letter) => letter !== ZEROS && letter !== FORGED);
    if (first >= 0) await put(first, ZEROS);
    for (let count = 0; count < WRITES; count += 1) {
      this.#written += 1;
      await put((this.#written * 7) % disk.length, LETTERS[this.#written % LETTERS.length] ?? "a");
    }
    // Behind a header of its own the guest's disk is still so many bytes.
    await put(0, FORGED);
    // QEMU's end may lose what its guest has not flushed.
    await within(this.#sight.write("flush"), 60_000, "a flush of the disk");
    this.#model = { ...this.#model, disk };
  }

  /** A reader that waits in the middle does not hold up the guest, and gets the bytes of the backup's instant. */
  async #reads(): Promise<void> {
    const { open, whole } = this.#model;
    if (open === undefined) return;
    const { client } = this.#host;
    const { backups } = client.contract;
    const asked = { vm: this.vmId, backupId: open.id, disk: "data" };
    const { disks } = await client.ask(backups.GetBackup, asked);
    const base: Content = disks[0]?.incremental === true ? (whole?.content ?? nothing) : nothing;
    const bytes = bytesOf(base);
    let pieces = 0;
    for await (const { offsetBytes, content, zeroBytes } of client.watch(backups.ReadExtents, asked)) {
      if (zeroBytes > 0) bytes.fill(0, offsetBytes, offsetBytes + zeroBytes);
      else content.copy(bytes, offsetBytes);
      pieces += 1;
      if (pieces === 1 && this.name === "runs") await this.#write();
    }
    const wrong = difference(contentOf(bytes), open.content);
    this.#run.demand(
      wrong === "",
      `the ${disks[0]?.incremental === true ? "increment" : "full backup"}: ${wrong}`,
    );
  }
}

function isUnanswered(thrown: unknown): boolean {
  const { kind } = toSocleError(thrown);
  return kind === "unavailable" || kind === "timeout" || kind === "cancelled";
}
