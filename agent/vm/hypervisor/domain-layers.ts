import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildDisk, type Disk } from "../../libvirt/xml/index.ts";
import { BlockJobs, type BlockJob, type PivotNotes, type Watch } from "./block-jobs.ts";
import { isActive } from "./domain-state.ts";
import { Certainty, type DomainCalls } from "./certainty.ts";
import { defineFile, pathOf } from "./define-file.ts";
import { runningOf, type DomainReads } from "./domain-reads.ts";
import {
  replaced,
  off,
  noFile,
  usedBefore,
  inDoubt,
  throwNotShown,
  mergeFailed,
  copyFailed,
  busy,
} from "./layer-refusals.ts";
import { filesInQemu } from "./qemu-disks.ts";
import { reference } from "./stamps.ts";
import { switchXml, type Overlay } from "./switch-xml.ts";
import { pastTakenNodes } from "./taken-nodes.ts";
import { diskAlias } from "../model/device-names.ts";

/** A switch that libvirt may have been asked for before. */
export interface AskedSwitch {
  /** By an earlier run of the work. */
  readonly mayBe: boolean;
  /** Whether the running guest is the one that libvirt was asked to switch: overlays that another run has used are not for it. */
  readonly isSameRun: () => Promise<boolean>;
}

/** A volume to copy a disk to. */
export interface Copy {
  readonly path: string;
  readonly format: "qcow2" | "raw";
}

/**
 * The layers of a domain's disks: qcow2 overlays. The chain of files in the domain's XML is what proves an effect, since
 * libvirt's replies and events may be lost.
 */
export class DomainLayers {
  readonly #libvirt: DomainCalls;
  readonly #clock: Clock;
  readonly #certainty: Certainty;
  readonly #jobs: BlockJobs;
  readonly #reads: DomainReads;

  constructor(calls: DomainCalls, clock: Clock, reads: DomainReads) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#certainty = new Certainty(calls, clock);
    this.#jobs = new BlockJobs(calls, clock);
    this.#reads = reads;
  }

  /**
   * The paths of the files of a running guest's disk, the one that it writes to first. Throws `conflict` VM_STATE_CONFLICT
   * if the guest is off, which hides the files below, and DISKS_REPLACED for a disk that is no file, or is not there.
   */
  async #chain(id: string, disk: string): Promise<readonly string[]> {
    const { as, disks } = await this.#seen(id);
    if (as !== "running") throw off();
    const found = disks.find(({ alias }) => alias === diskAlias(disk));
    const paths = [found?.source, ...(found?.backingChain ?? []).map(({ source }) => source)];
    return paths.flatMap((source, index) => {
      const path = pathOf(source);
      if (path === undefined && index === 0) throw noFile(disk);
      return path ?? [];
    });
  }

  /**
   * Switches the disks to existing overlays of their present files, all at one instant, and the definition, which libvirt
   * writes last and may die before. Does nothing if they are switched already. Throws `conflict` SWITCH_IN_DOUBT if a running
   * guest, or an earlier run of it, may have written to the overlays although libvirt does not show that: it may have died
   * between QEMU's switch and the record of it.
   */
  async switchTo(id: string, overlays: readonly Overlay[], asked?: AskedSwitch): Promise<void> {
    const doubt = { isOpen: asked?.mayBe ?? false };
    const isOtherRun = async (): Promise<boolean> =>
      doubt.isOpen &&
      asked !== undefined &&
      isActive(await this.#reads.state(id)) &&
      !(await asked.isSameRun());
    if (doubt.isOpen && (await this.#defineUnrecorded(id, overlays))) return;
    try {
      await this.#switch(id, overlays, doubt, isOtherRun);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (error.reason === "SWITCH_IN_DOUBT" || error.kind === "outcome_unknown") throw error;
      if (!doubt.isOpen || !isActive(await this.#reads.state(id))) throw error;
      if (!(await this.#defineUnrecorded(id, overlays))) throw inDoubt(pathsOf(overlays), error);
      return;
    }
    await this.#defineSwitched(id, overlays);
  }

  /**
   * Whether the running guest's QEMU writes to these files, although libvirt shows others until the next start. Throws
   * `outcome_unknown` SWITCH_NOT_SHOWN.
   */
  async isUnrecorded(id: string, overlays: readonly Overlay[]): Promise<boolean> {
    const look = async (): Promise<boolean> => {
      if (!isActive(await this.#reads.state(id)) || (await this.isSwitched(id, overlays))) return false;
      const inQemu = await this.filesInQemu(id);
      return overlays.every(({ disk, path }) => inQemu.get(disk) === path);
    };
    return await look().catch(throwNotShown(pathsOf(overlays)));
  }

  /** Defines the files of a switch that libvirt lost, for the next start. Throws as `isUnrecorded`. */
  async #defineUnrecorded(id: string, overlays: readonly Overlay[]): Promise<boolean> {
    if (!(await this.isUnrecorded(id, overlays))) return false;
    for (const { disk, path } of overlays)
      await this.define(id, disk, { path, format: "qcow2" }).catch(throwNotShown([path]));
    // The guest may have been started again before its definition named them.
    return (await this.isUnrecorded(id, overlays)) || (await this.isSwitched(id, overlays));
  }

  /** `doubt` is open once libvirt may have been asked; then a guest that `isOtherRun` is not switched. */
  async #switch(
    id: string,
    overlays: readonly Overlay[],
    doubt: { isOpen: boolean },
    isOtherRun: () => Promise<boolean>,
  ): Promise<void> {
    const { DISK_ONLY, ATOMIC, NO_METADATA, REUSE_EXT } = libvirt.DomainSnapshotCreateFlags;
    const flags = DISK_ONLY | ATOMIC | NO_METADATA | REUSE_EXT;
    const ask = async (): Promise<void> => {
      const disks = await this.#disks(id);
      if (overlays.every((overlay) => uses(disks, overlay))) return;
      const xmlDesc = switchXml(disks, overlays);
      if (await isOtherRun()) throw usedBefore(pathsOf(overlays));
      try {
        const args = { dom: reference(id), xmlDesc, flags };
        await this.#libvirt.call(libvirt.domainSnapshotCreateXml, args, { lane: "slow" });
      } catch (thrown) {
        if (toSocleError(thrown).kind === "outcome_unknown") doubt.isOpen = true;
        throw thrown;
      }
    };
    await this.#certainty.ensure(
      // libvirt may have put the overlays into QEMU before: they are not added under other names.
      () => (doubt.isOpen ? ask() : pastTakenNodes(ask)),
      () => this.isSwitched(id, overlays),
    );
  }

  /** Records the switch of a running guest in a definition that names a file below the overlay. */
  async #defineSwitched(id: string, overlays: readonly Overlay[]): Promise<void> {
    if (!isActive(await this.#reads.state(id))) return;
    const defined = (await this.#reads.document(id, "defined"))?.devices.disks ?? [];
    for (const { disk, path } of overlays) {
      const source = pathOf(defined.find(({ alias }) => alias === diskAlias(disk))?.source);
      if (source === undefined || source === path) continue;
      const [top, ...below] = await this.#chain(id, disk);
      if (top === path && below.includes(source)) await this.define(id, disk, { path, format: "qcow2" });
    }
  }

  /** Whether the disks use these files, in the running guest or else in the definition. */
  async isSwitched(id: string, overlays: readonly Overlay[]): Promise<boolean> {
    const disks = await this.#disks(id);
    return overlays.every((overlay) => uses(disks, overlay));
  }

  /** Whether the disk is this file, in the definition and in a running guest. */
  async isFile(id: string, disk: string, path: string): Promise<boolean> {
    const [defined, running] = await Promise.all([
      this.#reads.document(id, "defined"),
      runningOf(this.#reads, id),
    ]);
    return [defined, running ?? defined].every((each) => uses(each?.devices.disks ?? [], { disk, path }));
  }

  /**
   * The paths of all files that the disks use, as far as libvirt reports them, and of those that QEMU writes to: of the files below
   * others only those of a guest that runs.
   */
  async inUse(id: string): Promise<ReadonlySet<string>> {
    const inQemu = isActive(await this.#reads.state(id)) ? [...(await this.filesInQemu(id)).values()] : [];
    const documents = await Promise.all([
      this.#reads.document(id, "running"),
      this.#reads.document(id, "defined"),
    ]);
    const disks = documents.flatMap((document) => document?.devices.disks ?? []);
    const sources = disks.flatMap((disk) => [
      disk.source,
      disk.mirror,
      ...(disk.backingChain ?? []).map(({ source }) => source),
    ]);
    return new Set([...inQemu, ...sources.flatMap((source) => pathOf(source) ?? [])]);
  }

  /**
   * Merges a file of a running guest's disk into the one right below it. If the guest writes to it, the guest and the definition are
   * switched to the one below. Continues a job that runs already. Throws `conflict` MERGE_FAILED if the job ends without its effect,
   * and VM_STATE_CONFLICT or LIBVIRT_OPERATION_INVALID if the guest is off, and as `BlockJobs.run`.
   */
  async merge(
    id: string,
    disk: string,
    { top, base }: { readonly top: string; readonly base: string },
    watch: Watch,
    pivot?: PivotNotes,
  ): Promise<void> {
    const device = await this.#device(id, disk);
    const isDone = async (): Promise<boolean> => {
      const chain = await this.#chain(id, disk);
      if (!chain.includes(base)) throw replaced(disk);
      return !chain.includes(top);
    };
    const isTop = async (): Promise<boolean> => (await this.#chain(id, disk))[0] === top;
    // libvirt shows no mirror for a merge of another file.
    const isLost = async (): Promise<boolean> =>
      (await this.#isLost(id, disk, device, ACTIVE_COMMIT)) && (await isTop());
    const job: BlockJob = {
      disk,
      device,
      isDone,
      begin: async () => {
        const flags = (await isTop()) ? libvirt.DomainBlockCommitFlags.ACTIVE : 0;
        const args = { dom: reference(id), disk: device, base, top, bandwidth: 0, flags };
        await this.#certainty.ensure(
          async () => {
            if (await isLost()) await this.#jobs.cancel(id, device);
            await this.#libvirt.call(libvirt.domainBlockCommit, args);
          },
          async () =>
            ((await this.#jobs.progress(id, device)) !== undefined && !(await isLost())) || (await isDone()),
        );
      },
      isLost,
      isReady: async () => {
        const now = await this.#disk(id, disk);
        return pathOf(now?.source) === top && now?.mirrorJob?.ready === "yes";
      },
      failed: () => mergeFailed(disk),
      mayBeginAnew: false,
      pivot,
    };
    await this.#jobs.run(id, job, watch);
    const now = await this.#disk(id, disk);
    if (now !== undefined && pathOf(now.source) === base)
      await this.define(id, disk, { path: base, format: now.format === "raw" ? "raw" : "qcow2" });
  }

  /**
   * Copies a running guest's disk to an existing volume of its size, and switches the guest, and the definition, to that.
   * Continues a copy that runs already. Throws `conflict` MOVE_FAILED, DISK_BUSY for another job of the disk, and as `merge`
   * does. A guest that writes faster than the copy proceeds is slowed down.
   */
  async copy(id: string, disk: string, to: Copy, watch: Watch, pivot?: PivotNotes): Promise<void> {
    const device = await this.#device(id, disk);
    const isDone = async (): Promise<boolean> => (await this.#chain(id, disk))[0] === to.path;
    const mirror = async (): Promise<Disk["mirror"]> => (await this.#disk(id, disk))?.mirror;
    const isLost = (): Promise<boolean> => this.#isLost(id, disk, device, COPY);
    const job: BlockJob = {
      disk,
      device,
      isDone,
      begin: async (anew) => {
        const { REUSE_EXT, TRANSIENT_JOB, SYNCHRONOUS_WRITES } = libvirt.DomainBlockCopyFlags;
        const target: Disk = {
          device: "disk",
          source: { type: "file", path: to.path },
          format: to.format,
          target: { device, bus: "virtio" },
        };
        const args = {
          dom: reference(id),
          path: device,
          destxml: buildDisk(target),
          params: [],
          flags: REUSE_EXT | TRANSIENT_JOB | (anew ? SYNCHRONOUS_WRITES : 0),
        };
        const ask = async (): Promise<void> => {
          if (await isLost()) await this.#jobs.cancel(id, device);
          await this.#libvirt.call(libvirt.domainBlockCopy, args, { lane: "slow" });
        };
        const hasBegun = async (): Promise<boolean> => pathOf(await mirror()) === to.path || (await isDone());
        await pastTakenNodes(() => this.#certainty.ensure(ask, hasBegun));
      },
      isLost,
      isReady: async () => {
        const other = pathOf(await mirror());
        if (other !== undefined && other !== to.path) throw busy(disk, other);
        return await this.#isReady(id, disk);
      },
      failed: () => copyFailed(disk),
      mayBeginAnew: true,
      pivot,
    };
    await this.#jobs.run(id, job, watch);
    await this.define(id, disk, to);
  }

  /** As `defineFile`. */
  async define(id: string, disk: string, file: Copy): Promise<void> {
    await defineFile(
      { calls: this.#libvirt, certainty: this.#certainty, reads: this.#reads },
      id,
      disk,
      file,
    );
  }

  /**
   * Whether the disk uses this file, in the running guest or else in the definition, or is being copied to it: then the
   * guest does not write to it alone. "unrecorded": QEMU uses it, and libvirt lost that, so that it shows another file until the
   * guest's next start.
   */
  async standing(
    id: string,
    disk: string,
    path: string,
  ): Promise<"switched" | "unrecorded" | "copying" | "neither"> {
    const { as, disks } = await this.#seen(id);
    const device = disks.find(({ alias }) => alias === diskAlias(disk))?.target.device;
    // A restarted libvirt answers once it has taken over the state of QEMU's jobs: the XML counts from then on.
    const job =
      as === "running" && device !== undefined
        ? await this.#jobs.progress(id, device).catch(unlessOff)
        : undefined;
    if (await this.isSwitched(id, [{ disk, path }])) return "switched";
    const isMirror = pathOf((await this.#disk(id, disk))?.mirror) === path;
    if (job !== undefined) return isMirror ? "copying" : "neither";
    const isInQemu = as === "running" && (await this.filesInQemu(id)).get(disk) === path;
    return isInQemu ? "unrecorded" : "neither";
  }

  /** The files that the QEMU of a running guest writes to, by disk, whatever libvirt shows; as `filesInQemu`. */
  async filesInQemu(id: string): Promise<ReadonlyMap<string, string>> {
    return await filesInQemu(this.#libvirt, this.#clock, this.#reads, id);
  }

  /** Cancels a copy to this path, if one runs, and one whose path libvirt has lost. */
  async endCopy(id: string, disk: string, path: string): Promise<void> {
    const found = await this.#disk(id, disk);
    if (found === undefined) return;
    const { device } = found.target;
    if (pathOf(found.mirror) === path || (await this.#isLost(id, disk, device, COPY)))
      await this.#jobs.cancel(id, device);
  }

  /**
   * libvirt adds the mirror to the XML at the end of its call, and a job before that. A libvirtd that ends between the two has
   * the job without a mirror when it is back: it is never ready. The order of the looks excludes a call that goes on, since
   * libvirt answers the first one after it.
   */
  async #isLost(id: string, disk: string, device: string, type: number): Promise<boolean> {
    if ((await this.#jobs.typeOf(id, device).catch(unlessOff)) !== type) return false;
    const found = await this.#disk(id, disk);
    return found !== undefined && found.mirrorJob === undefined;
  }

  async #isReady(id: string, disk: string): Promise<boolean> {
    return (await this.#disk(id, disk))?.mirrorJob?.ready === "yes";
  }

  async #device(id: string, disk: string): Promise<string> {
    const found = await this.#disk(id, disk);
    if (found === undefined) throw noFile(disk);
    return found.target.device;
  }

  async #disk(id: string, disk: string): Promise<Disk | undefined> {
    return (await this.#disks(id)).find(({ alias }) => alias === diskAlias(disk));
  }

  /** Of the running guest, or else of the definition. */
  async #disks(id: string): Promise<readonly Disk[]> {
    return (await this.#seen(id)).disks;
  }

  async #seen(id: string): Promise<{ as: "running" | "defined"; disks: readonly Disk[] }> {
    const running = await runningOf(this.#reads, id);
    if (running !== undefined) return { as: "running", disks: running.devices.disks };
    return { as: "defined", disks: (await this.#reads.document(id, "defined"))?.devices.disks ?? [] };
  }
}

const { COPY, ACTIVE_COMMIT } = libvirt.DomainBlockJobType;

const uses = (disks: readonly Disk[], { disk, path }: Overlay): boolean =>
  disks.some(({ alias, source }) => alias === diskAlias(disk) && pathOf(source) === path);

const pathsOf = (overlays: readonly Overlay[]): readonly string[] => overlays.map(({ path }) => path);

function unlessOff(thrown: unknown): undefined {
  if (toSocleError(thrown).reason !== "LIBVIRT_OPERATION_INVALID") throw thrown;
}
