import { join } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { OneChild, type Child } from "../privileged/child.ts";
import { readDisks, type Disk } from "./disks.ts";
import { Privileged } from "../privileged/privileged.ts";
import { HIDDEN, isNotWatched, NOT_INSTALLED, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { parseSmartReport, type DiskHealth } from "./smart-report.ts";
import { messageOf } from "../../kernel/thrown.ts";

export interface ExaminedDisk {
  readonly disk: Disk;
  /** Of a sleeping disk: its last report, without the temperature. */
  readonly health: Reading<DiskHealth>;
}

/** Reads a disk by its name. */
type Smartctl = (disk: string, signal: AbortSignal) => Child;

/**
 * Reads the health of each disk through smartctl, one disk at a time, and never wakes a sleeping disk. A disk whose child
 * is stuck in the driver is read again only after that child exits.
 */
export class SmartProbe {
  readonly #roots: Roots;
  readonly #smartctl: Smartctl;
  readonly #children = new OneChild();
  #before = new Map<string, DiskHealth>();

  /** `smartctl`: only for tests. */
  constructor(roots: Roots, smartctl?: Smartctl) {
    const privileged = new Privileged(roots);
    this.#roots = roots;
    this.#smartctl = smartctl ?? ((disk, signal) => privileged.ask(`smart ${disk}`, signal));
  }

  /** Unsupported: no disk reports its health. Failed, with a code: no rights, no smartctl, or all disks behind a RAID controller. */
  async read(signal: AbortSignal): Promise<Reading<readonly ExaminedDisk[]>> {
    const disks = await readDisks(this.#roots);
    if (disks.kind !== "read") return disks;
    const examined: ExaminedDisk[] = [];
    for (const disk of disks.value) {
      if (signal.aborted) break;
      examined.push({ disk, health: await this.#examine(disk, signal) });
    }
    this.#before = new Map(
      examined.flatMap(({ disk, health }) => (health.kind === "read" ? [[keyOf(disk), health.value]] : [])),
    );
    const answers = examined.map(({ health }) => health);
    const denied = answers.find(isNotWatched);
    if (answers.some((health) => health.kind !== "unsupported" && !isNotWatched(health)))
      return { kind: "read", value: examined };
    if (denied !== undefined && denied.kind === "failed") return denied;
    const reasons = new Set(examined.map(({ health }) => (health.kind === "read" ? "" : health.reason)));
    return {
      kind: "unsupported",
      reason: reasons.size === 0 ? "no disk reports its health" : [...reasons].join("; "),
    };
  }

  async #examine(disk: Disk, signal: AbortSignal): Promise<Reading<DiskHealth>> {
    const device = join(this.#roots.devRoot, disk.name);
    if (disk.asleep) return this.#asleep(disk);
    const { output } = this.#children.of(disk.name, () => this.#smartctl(disk.name, signal));
    try {
      const report = parseSmartReport((await output).stdout);
      switch (report.kind) {
        case "health":
          return { kind: "read", value: report.health };
        case "asleep":
          return this.#asleep(disk);
        case "silent":
          return { kind: "unsupported", reason: `${device}: ${report.reason}` };
        case "hidden":
          return { kind: "failed", reason: `the disks behind ${device}: ${report.reason}`, code: HIDDEN };
        case "denied":
          return {
            kind: "failed",
            reason: `the agent may not query ${device}: ${report.reason}`,
            code: "EACCES",
          };
      }
    } catch (cause) {
      if (cause instanceof SocleError && cause.reason === "CHILD_NOT_STARTED")
        return { kind: "failed", reason: "smartctl is not installed", code: NOT_INSTALLED };
      const why = messageOf(cause);
      return { kind: "failed", reason: `${device}: ${why}` };
    }
  }

  #asleep(disk: Disk): Reading<DiskHealth> {
    const before = this.#before.get(keyOf(disk));
    if (before !== undefined) {
      // Wear and error counts stay valid during sleep; the temperature does not.
      const { temperatureCelsius: _, ...value } = before;
      return { kind: "read", value };
    }
    return { kind: "unsupported", reason: `${disk.name} is asleep and is not woken for a query` };
  }
}

const keyOf = ({ name, model, serial }: Disk): string => `${name} ${model} ${serial}`;
