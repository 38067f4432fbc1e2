import { rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { fill } from "../support/small-disk.ts";
import { removeStuckJob } from "../support/stuck-job.ts";
import { eventually } from "../support/wait.ts";
import type { FaultyHost } from "./host.ts";
import type { Act, Killer } from "./killer.ts";

export const chainFaults = ["agent", "libvirtd", "agent", "qemu", "agent", "pool"] as const;
export type ChainFault = (typeof chainFaults)[number];

/** Longer than most steps here. */
const MOMENT_MS = 700;

/** A fault that strikes while an operation goes on. */
export interface Strike {
  readonly what: string;
  /** Resolves once it has struck, and what it broke is repaired. */
  play(work: Promise<unknown>): Promise<void>;
}

export class ChainStrikes {
  readonly counts: Partial<Record<ChainFault, number>> = {};
  /** Jobs that libvirt would not have ended. */
  stuckJobs = 0;
  readonly #host: FaultyHost;
  readonly #killer: Killer;
  /** Of the pool that fills. */
  readonly #directory: string;

  constructor(host: FaultyHost, killer: Killer, directory: string) {
    this.#host = host;
    this.#killer = killer;
    this.#directory = directory;
  }

  /** Call it before the operation begins. A VM without a QEMU of its own loses none. */
  async set(
    fault: ChainFault,
    act: Act,
    { vmId, name }: { readonly vmId: string; readonly name: string },
  ): Promise<Strike> {
    this.counts[fault] = (this.counts[fault] ?? 0) + 1;
    const ms = Math.floor(Math.random() * MOMENT_MS);
    const { libvirtd, witness } = this.#host;
    switch (fault) {
      case "agent": {
        const trap = await this.#killer.set(act);
        return {
          what: `the agent is killed ${trap.what}`,
          play: async (work) => {
            await trap.spring(work);
            await this.#killer.revive();
          },
        };
      }
      case "libvirtd":
        return {
          what: `libvirtd is killed after ${ms} ms`,
          play: async (work) => {
            await Promise.race([pause(ms), work]);
            await libvirtd.kill("SIGKILL");
            // libvirt may have begun a backup: a person would follow the manual.
            if (await removeStuckJob(libvirtd, name)) this.stuckJobs += 1;
            await libvirtd.startAgain();
          },
        };
      case "qemu":
        return {
          what: `QEMU is killed after ${ms} ms`,
          play: async (work) => {
            await Promise.race([pause(ms), work]);
            const guestRun = await witness.virsh("domid", vmId);
            const found = await witness.process(vmId);
            if (found === undefined) return;
            endNow(found.pid);
            // Until then libvirt shows it as running.
            const isOver = async (): Promise<boolean> =>
              guestRun === "-" || (await witness.virsh("domid", vmId)) !== guestRun;
            await eventually(isOver, { what: "libvirt to see the end of QEMU", timeoutMs: 180_000 });
          },
        };
      case "pool":
        return {
          what: `the pool is full after ${ms} ms`,
          play: async (work) => {
            await Promise.race([pause(ms), work]);
            const filler = await fill(this.#directory);
            await work;
            await rm(filler);
          },
        };
    }
  }
}

/** The operation may have ended it meanwhile. */
function endNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}
