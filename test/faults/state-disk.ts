import { execFile } from "node:child_process";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { AgentProcessOptions } from "../support/agent-process.ts";
import { fill } from "../support/small-disk.ts";
import type { CampaignRun } from "./campaign.ts";

/** Large enough for a full run's audit log, which is never pruned. */
const SIZE_MIB = 64;
const execute = promisify(execFile);

/** A small in-memory disk for an agent's state, which can be filled, made read-only and made to fail. */
export class StateDisk {
  readonly stateDirectory: string;
  readonly #mountPoint: string;
  readonly #faultPath: string;
  #filler = "";
  #changes = 0;

  static async make(run: CampaignRun): Promise<StateDisk> {
    const directory = await mkdtemp(join(tmpdir(), "socle-disk-"));
    run.cleanUp(() => rm(directory, { recursive: true, force: true }));
    const disk = new StateDisk(directory);
    await execute("mkdir", [disk.#mountPoint]);
    await execute("mount", [
      "-t",
      "tmpfs",
      "-o",
      `size=${SIZE_MIB}m,mode=0700`,
      "socle-disk",
      disk.#mountPoint,
    ]);
    run.cleanUp(() => execute("umount", ["--lazy", disk.#mountPoint]));
    await disk.setFault("none");
    return disk;
  }

  private constructor(directory: string) {
    this.#mountPoint = join(directory, "disk");
    this.stateDirectory = join(this.#mountPoint, "state");
    this.#faultPath = join(directory, "fault");
  }

  get agentOptions(): AgentProcessOptions {
    const hook = new URL("failing-writes.mjs", import.meta.url).href;
    return {
      nodeOptions: ["--import", hook],
      environment: {
        SOCLE_DISK_FAULT_DIRECTORY: this.stateDirectory,
        SOCLE_DISK_FAULT: this.#faultPath,
      },
    };
  }

  /** "none", "slow MILLISECONDS" or the name of an error, for all further writes of the agent. */
  async setFault(how: string): Promise<void> {
    // Atomic, since the agent may read it at any time.
    const next = `${this.#faultPath}.${(this.#changes += 1)}`;
    await writeFile(next, how);
    await rename(next, this.#faultPath);
  }

  /** Once: a write or a sync of a file whose path contains `file` fails, or the agent dies after its next sync. */
  async failNext(how: "write_failed" | "sync_failed" | "dies", file = ""): Promise<void> {
    await this.setFault(`${how} ${this.#changes + 1} ${file}`);
  }

  /** Fills the disk. */
  async fill(): Promise<void> {
    this.#filler = await fill(this.#mountPoint);
  }

  async makeRoom(): Promise<void> {
    await rm(this.#filler, { force: true });
  }

  /** Requires that no process has a file on it open for writing. */
  async remount(how: "ro" | "rw"): Promise<void> {
    await execute("mount", ["-o", `remount,${how}`, this.#mountPoint]);
  }
}
