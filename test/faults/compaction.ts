import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { silentLog } from "../../agent/kernel/log.ts";
import { Journal } from "../../agent/state/journal/journal.ts";
import { program } from "../support/programs.ts";
import type { CampaignRun } from "./campaign.ts";

interface Written {
  readonly key: number;
  readonly number: number;
}

const hook = new URL("die-at-call.mjs", import.meta.url).href;
const script = program("test/faults/journal-writer.ts");

/** Processes that die while they write and compact a journal, each a little later. */
export class Compaction {
  deaths = 0;
  #position = 0;

  /** One crash, and the journal's content afterwards. */
  async die(run: CampaignRun, onDisk: string): Promise<void> {
    const directory = await mkdtemp(join(onDisk, "compaction-"));
    const path = join(directory, "operations.journal");
    const position = this.#position;
    const { stdout, isKilled } = await write(path, position);
    // Most positions are equivalent; over time each position near a compaction is tested.
    this.#position = isKilled ? position + 1 + Math.floor(Math.random() * 7) : 0;
    this.deaths += isKilled ? 1 : 0;
    const found = new Map<number, number>();
    try {
      const journal = await Journal.open(path, {
        kind: "test",
        log: silentLog,
        replay: (record) => {
          const { key, number } = record as Written;
          found.set(key, Math.max(found.get(key) ?? -1, number));
        },
        live: () => [],
      });
      await journal.close();
    } catch (thrown) {
      run.violation(
        `a journal whose writer died at position ${position} cannot be opened: ${String(thrown)}`,
      );
    }
    for (const line of stdout.split("\n").slice(0, -1)) {
      const [key = NaN, number = NaN] = line.split(" ").map(Number);
      run.demand(
        (found.get(key) ?? -1) >= number,
        `record ${number} is lost by a death at position ${position}`,
      );
    }
    await rm(directory, { recursive: true, force: true });
  }
}

function write(path: string, position: number): Promise<{ stdout: string; isKilled: boolean }> {
  return new Promise((resolve) => {
    const args = ["--import", hook, ...script, path];
    const options = { env: { ...process.env, SOCLE_DIE_AT_CALL: String(position) } };
    const child = execFile(process.execPath, args, options, (_error, stdout) => {
      resolve({ stdout, isKilled: child.signalCode === "SIGKILL" });
    });
  });
}
