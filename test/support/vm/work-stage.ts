import { defined } from "../../../agent/kernel/defined.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import type { VmSpec, VolumeRef } from "../../../agent/contract/spec.ts";
import { checkSpec } from "../../../agent/vm/model/spec-check.ts";
import { storedText } from "../../../agent/vm/model/stored-spec.ts";
import {
  parseVmDomain,
  type OperationStamp,
  type VmDomain,
  type VmMetadata,
} from "../../../agent/vm/model/vm-domain.ts";
import { ownFacts } from "../../../agent/vm/model/own-facts.ts";
import type { Vm, VmState } from "../../../agent/vm/model/vm.ts";
import { withEtag } from "../../../agent/vm/observation/vm-from-domain.ts";
import type { AskedSwitch, Copy } from "../../../agent/vm/hypervisor/domain-layers.ts";
import { libvirtStartPaused } from "../../../agent/vm/hypervisor/domains.ts";
import type { PivotNotes } from "../../../agent/vm/hypervisor/block-jobs.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { noOtherNames } from "../../../agent/vm/storage/storage-names.ts";
import { volumeKey } from "../../../agent/vm/storage/volume-users.ts";
import type { RunContext, WorkRun } from "../../../agent/vm/operations/work.ts";
import { sleepingClock } from "./libvirt-answers.ts";
import { anyRawFiles } from "./raw-files.ts";
import { steps } from "./steps.ts";

const MIB = 2 ** 20;
const OPERATION = "0193a0c0-0000-7000-8000-000000000001";

/** One VM, its domain and the volumes of its pools in memory, for the runs of operations. */
export class WorkStage {
  static readonly id = "6f1c2f1e-0000-4000-8000-000000000001";
  /** Effects in order, such as "make images/x.qcow2". */
  readonly did: string[] = [];
  /** By pool and name: their capacity. */
  readonly volumes = new Map<string, number>();
  readonly table = new VmTable();
  /** Called before each effect; may throw. */
  before: (effect: string) => void = () => undefined;
  socle: VmMetadata;
  state: VmState = "stopped";
  stateReason = "";
  hasSavedState = false;
  /** The running guest's document, if it is another than the definition. */
  running: VmDomain | undefined;
  /** By disk: the file that the domain uses. */
  readonly files = new Map<string, string>();
  /** By disk: the file that its next start uses, if it is another one. */
  readonly defined = new Map<string, string>();
  /** By disk: the file that QEMU uses, if libvirt shows another one. */
  readonly inQemu = new Map<string, string>();
  /** By disk: the file that its block job copies to. */
  readonly mirrors = new Map<string, string>();
  /** On the present run of the guest. */
  mark: OperationStamp | undefined = { operation: OPERATION, phase: "run" };

  constructor(disks: readonly object[] = [root], more: object = {}) {
    const { id } = WorkStage;
    const spec = checkSpec(
      { id, name: "web", vcpus: 1, memoryBytes: 64 * MIB, disks, ...more },
      { bridges: [], allowSpoofing: false },
    );
    this.socle = {
      ...storedText(spec),
      ...{ tenant: spec.tenant, labels: {}, placementEpoch: 0, createdAt: "2026-01-01T00:00:00Z" },
      instance: "00000000-0000-4000-8000-00000000000a",
    };
    this.show();
    this.table.completed(1);
    // Nothing changes beside the operation.
    Object.assign(this.table, { until: () => later(undefined) });
  }

  /** Shows the domain in the table. */
  show(): void {
    const { id } = WorkStage;
    const { spec, instance, snapshots, rescue, backups, unstarted, seed } = this.facts;
    const { state, stateReason, hasSavedState: savedState } = this;
    const seen = { presence: "present", observedAtMs: 1, managed: true, tenant: "" } as const;
    const plain = { labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
    const own = { id, name: "web", vcpus: 1, memoryBytes: 64 * MIB, state, stateReason, savedState };
    const noted = { spec, instance, snapshots, rescue, backups, unstarted, seed };
    this.table.put(withEtag({ ...seen, ...plain, ...own, ...defined<Partial<Vm>>(noted) }));
  }

  get facts() {
    return ownFacts({ socle: this.socle }, WorkStage.id);
  }

  get spec(): VmSpec {
    return this.facts.spec ?? none();
  }

  /** As if an earlier operation had written it. */
  note(changes: Partial<VmMetadata>): void {
    this.socle = { ...this.socle, ...changes };
    this.show();
  }

  /** A run of an operation; `done`: the steps that an earlier run completed, `cutOff`: those in which it ended. */
  run({ done, cutOff = [] }: { done?: readonly string[]; cutOff?: readonly string[] } = {}): WorkRun {
    return {
      operationId: OPERATION,
      ...{ vmId: WorkStage.id, caller: "caller", instance: undefined, createdAtMs: 0 },
      ...{ step: steps(), signal: new AbortController().signal, hasEnded: () => false },
      ...{ resumed: done !== undefined, done: new Set(done), cutOff: new Set(cutOff) },
    };
  }

  readonly #effect = (name: string): Promise<void> => {
    this.before(name);
    this.did.push(name);
    return later();
  };

  #turn(state: VmState, stateReason: string): void {
    Object.assign(this, { state, stateReason });
    if (state === "stopped") this.running = undefined;
    this.show();
  }

  async #switched(what: string, disk: string, path: string, pivot: PivotNotes | undefined): Promise<void> {
    if (this.files.get(disk) === path) return;
    this.mirrors.set(disk, path);
    if (pivot?.isAsked() === false) await pivot.ask();
    void this.#effect(`${what} ${disk}`);
    this.mirrors.delete(disk);
    this.files.set(disk, path);
  }

  #document(as = "defined"): VmDomain {
    if (as === "running" && this.running !== undefined) return this.running;
    const files = as === "running" ? this.files : new Map([...this.files, ...this.defined]);
    const disks = [...files].map(
      ([disk, path], at) =>
        `<disk type="file"><source file="${path}"/><target dev="vd${"abcdefgh"[at]}" bus="virtio"/><alias name="ua-disk-${disk}"/></disk>`,
    );
    const xml =
      `<domain type="qemu"><name>web</name><uuid>${WorkStage.id}</uuid><memory>65536</memory><vcpu>1</vcpu>` +
      `<os><type arch="x86_64" machine="pc">hvm</type></os><devices>${disks.join("")}</devices></domain>`;
    return { ...parseVmDomain(xml), metadata: { socle: this.socle } };
  }

  readonly #domains = {
    state: () => later({ state: this.state, stateReason: this.stateReason }),
    settledState: () => later({ state: this.state }),
    steadyState: () => later({ state: this.state }),
    document: (_id: string, as?: string) => later(this.#document(as)),
    setMetadata: (_id: string, socle: VmMetadata) => {
      void this.#effect("write metadata");
      this.note({ rescue: undefined, snapshots: undefined, backups: undefined, ...socle } as VmMetadata);
      return later();
    },
    start: (_id: string, _culprit: unknown, { from, flags }: { from?: VmDomain; flags?: number } = {}) => {
      void this.#effect(from === undefined ? "start" : "start another system");
      if (flags === libvirtStartPaused) this.#turn("paused", "STARTING_UP");
      else this.#turn("running", "BOOTED");
      this.running = from;
      return later();
    },
    destroy: () => {
      void this.#effect("destroy");
      this.#turn("stopped", "DESTROYED");
      return later();
    },
    savedStates: { exists: () => later(this.hasSavedState) },
    managedSave: () => this.#effect("save"),
    devices: {
      requireResponsive: () => later(),
      release: (_id: string, alias: string) => this.#effect(`release ${alias}`),
      undefine: (_id: string, alias: string) => this.#effect(`undefine ${alias}`),
    },
    stamps: {
      numbering: "n",
      begin: () => later(),
      mark: (_id: string, stamp: OperationStamp) => {
        this.mark = stamp;
        return later();
      },
      complete: () => later(),
      runNumber: () => later(1),
      standing: () => later({ isManaged: true, live: this.mark }),
      facts: () => later({ socle: this.socle }),
      identity: () =>
        later({ origin: { isManaged: true, instance: this.socle.instance }, facts: { socle: this.socle } }),
      origin: () => later({ isManaged: true, instance: this.socle.instance }),
    },
    media: {
      change: (_id: string, alias: string, path: string | undefined) => {
        void this.#effect(`give ${alias} ${path ?? "none"}`);
        if (path === undefined) this.files.delete(alias);
        else this.files.set(alias, path);
        return later();
      },
      has: (_id: string, alias: string, path: string | undefined) => later(this.files.get(alias) === path),
    },
    backups: { existing: () => later([]) },
    layers: {
      copy: (_id: string, disk: string, { path }: { path: string }, _watch: object, pivot?: PivotNotes) =>
        this.#switched("copy", disk, path, pivot),
      merge: (_id: string, disk: string, { base }: { base: string }, _watch: object, pivot?: PivotNotes) =>
        this.#switched("merge", disk, base, pivot),
      define: (_id: string, disk: string, { path, format }: Copy) => {
        this.defined.set(disk, path);
        return this.#effect(`define ${disk} ${path} ${format}`);
      },
      standing: (_id: string, disk: string, path: string) =>
        later(
          this.files.get(disk) === path
            ? "switched"
            : this.state !== "stopped" && this.mirrors.get(disk) === path
              ? "copying"
              : this.state !== "stopped" && this.inQemu.get(disk) === path
                ? "unrecorded"
                : "neither",
        ),
      filesInQemu: () => later(new Map([...this.files, ...this.inQemu])),
      endCopy: (_id: string, disk: string) => later(this.mirrors.delete(disk)),
      switchTo: async (
        id: string,
        overlays: readonly { disk: string; path: string }[],
        asked?: AskedSwitch,
      ) => {
        const isAgain = this.state !== "stopped" && asked?.mayBe === true;
        if (isAgain && !(await this.#domains.layers.isSwitched(id, overlays)) && !(await asked.isSameRun()))
          throw new SocleError("conflict", "SWITCH_IN_DOUBT", "another run of the guest");
        await this.#effect("switch disks");
        for (const { disk, path } of overlays) this.files.set(disk, path);
      },
      isSwitched: (_id: string, overlays: readonly { disk: string; path: string }[]) =>
        later(overlays.every(({ disk, path }) => this.files.get(disk) === path)),
      isUnrecorded: (_id: string, overlays: readonly { disk: string; path: string }[]) =>
        later(overlays.every(({ disk, path }) => this.inQemu.get(disk) === path)),
      isFile: (_id: string, disk: string, path: string) => later(this.files.get(disk) === path),
      inUse: () => later(new Set(this.files.values())),
    },
  };

  readonly #volumes = {
    resolve: (volume: VolumeRef) => {
      const capacityBytes = this.volumes.get(volumeKey(volume));
      if (capacityBytes === undefined)
        return Promise.reject(new SocleError("not_found", "VOLUME_NOT_FOUND", volumeKey(volume)));
      return later({ path: pathOf(volume), format: "qcow2", capacityBytes, beneath: [], isWhole: true });
    },
    pathOf: (volume: VolumeRef) => later(this.volumes.has(volumeKey(volume)) ? pathOf(volume) : undefined),
    rawFiles: anyRawFiles,
    sync: () => later(undefined),
    requireAbsent: (volumes: readonly VolumeRef[]) => {
      const there = volumes.find((volume) => this.volumes.has(volumeKey(volume)));
      return there === undefined
        ? later()
        : Promise.reject(new SocleError("already_exists", "VOLUME_EXISTS", volumeKey(there)));
    },
    make: (made: { pool: string; name: string; capacityBytes: number }, _mayBe: boolean, is?: () => void) => {
      const volume = { pool: made.pool, volume: made.name };
      void this.#effect(`make ${volumeKey(volume)}`);
      is?.();
      this.volumes.set(volumeKey(volume), made.capacityBytes);
      return later({ path: pathOf(volume), format: "qcow2", capacityBytes: made.capacityBytes });
    },
    remove: (volume: VolumeRef) => {
      void this.#effect(`remove ${volumeKey(volume)}`);
      return later(this.volumes.delete(volumeKey(volume)));
    },
    dependents: () => later({ paths: [], overlays: [], backings: [] }),
    activePool: () => later({}),
    names: { of: () => later(noOtherNames) },
  };

  readonly context = {
    domains: this.#domains,
    volumes: this.#volumes,
    table: this.table,
    clock: patientClock(),
    log: silentLog,
    creations: () => [],
    escalation: {
      during: (_vm: string, _caller: string, work: (cut: object) => unknown) =>
        work({ signal: new AbortController().signal, isWanted: () => false }),
    },
    socketDirectory: "/run/socle-guests",
  } as unknown as RunContext;
}

/** A disk that was made for the VM. */
export const root = {
  name: "root",
  source: { kind: "new", pool: "images", capacityBytes: 64 * MIB, format: "qcow2" },
};

/** The storage answers before this clock gets to the deadline of a start. */
function patientClock(): ReturnType<typeof sleepingClock> {
  const clock = sleepingClock();
  const sleep: typeof clock.sleep = (ms, signal) =>
    ms >= 60_000 ? new Promise(() => undefined) : clock.sleep(ms, signal);
  return { ...clock, sleep };
}

export const pathOf = ({ pool, volume }: VolumeRef): string => `/${pool}/${volume}`;

const later = <T = void>(value?: T): Promise<T> => Promise.resolve(value as T);

function none(): never {
  throw new Error("the spec in the metadata cannot be read");
}
