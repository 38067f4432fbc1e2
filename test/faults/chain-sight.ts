import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { contentOf, difference, forgedBlock, nothing, type Content } from "./chain-content.ts";
import { eventually } from "../support/wait.ts";
import type { FaultyHost } from "./host.ts";

const run = promisify(execFile);
const DEVICE = "/machine/peripheral/ua-disk-data/virtio-backend";

export type Place = "small" | "images";

interface Backup {
  readonly id: string;
  readonly content: Content;
}

/** What a VM should have. */
export interface Model {
  readonly disk: Content;
  readonly snapshots: ReadonlyMap<string, Content>;
  /** The snapshots with the guest's memory. */
  readonly memories: ReadonlySet<string>;
  readonly open?: Backup | undefined;
  readonly whole?: Backup | undefined;
  readonly pool: Place;
  /** Files of its disk that should not be there, and were reported. */
  readonly stray: ChainSeen["files"];
  readonly strayMemories: number;
}

/** What it has, from sources other than the agent where there are. */
export interface ChainSeen {
  /** The bytes of the disk as its guest reads them, by qemu-img. */
  readonly disk: Content;
  readonly snapshots: readonly string[];
  /** Files of the VM's disk by pool, with layers and scratch. */
  readonly files: Readonly<Record<Place, number>>;
  /** Files of its memory. */
  readonly memories: number;
  /** Ids of backups. */
  readonly open: string | undefined;
  readonly whole: string | undefined;
  /** virsh's. */
  readonly state: string;
  readonly hasJob: boolean;
}

export interface SightOptions {
  readonly vmId: string;
  /** The directories of its pools. */
  readonly places: Readonly<Record<Place, string>>;
  readonly dumps: string;
}

/** Looks at a VM's disk, and writes to it as its guest does. */
export class ChainSight {
  readonly #host: FaultyHost;
  readonly #vmId: string;
  readonly #places: Readonly<Record<Place, string>>;
  /** Of the memory of snapshots. */
  readonly #dumps: string;

  constructor(host: FaultyHost, { vmId, places, dumps }: SightOptions) {
    this.#host = host;
    this.#vmId = vmId;
    this.#places = places;
    this.#dumps = dumps;
  }

  state(): Promise<string> {
    return this.#host.witness.virsh("domstate", this.#vmId);
  }

  async backups(): Promise<Pick<ChainSeen, "open" | "whole">> {
    const backups = await eventually(
      async () => {
        const { client } = this.#host;
        return (await client.ask(client.contract.backups.ListBackups, { vm: this.#vmId })).backups;
      },
      { what: "the list of backups", timeoutMs: 60_000 },
    );
    const of = (state: string): string | undefined => backups.find((each) => each.state === state)?.backupId;
    return { open: of("BACKUP_STATE_OPEN"), whole: of("BACKUP_STATE_COMPLETE") };
  }

  /** A command of qemu-io: in the QEMU of a running guest, which sees it as the guest's own write. */
  async write(command: string): Promise<void> {
    if ((await this.state()) !== "running") {
      await run("qemu-io", ["-f", "qcow2", "-c", command, await this.#active()]);
      return;
    }
    const { witness } = this.#host;
    const line = `qemu-io -d ${DEVICE} "${command}"`;
    const answer = await witness.virsh("qemu-monitor-command", this.#vmId, "--hmp", line);
    if (/error|fail/i.test(answer)) throw new Error(`${line}: ${answer}`);
  }

  /** Writes a forged header at the beginning of the disk, as its guest does. */
  async writeForged(): Promise<void> {
    // QEMU reads the file, which is in no pool.
    const path = join(tmpdir(), `socle-forged-${randomUUID()}`);
    await writeFile(path, forgedBlock, { mode: 0o644 });
    try {
      await this.write(`write -s ${path} 0 ${forgedBlock.length}`);
    } finally {
      await rm(path);
    }
  }

  async look(): Promise<ChainSeen> {
    const { client } = this.#host;
    const state = await this.state();
    const { snapshots } = await client.ask(client.contract.snapshots.ListSnapshots, { vm: this.#vmId });
    const job = await this.#host.witness.virsh("domjobinfo", this.#vmId).catch(() => "");
    return {
      disk: await this.#content(state),
      snapshots: snapshots.map(({ name }) => name),
      files: {
        small: await this.#filesIn(this.#places.small),
        images: await this.#filesIn(this.#places.images),
      },
      memories: (await readdir(this.#dumps)).filter((name) => name.startsWith(`socle-${this.#vmId}.`)).length,
      ...(await this.backups()),
      state,
      hasJob: /Operation:\s+Backup/.test(job),
    };
  }

  async #content(state: string): Promise<Content> {
    if (state === "running") await this.write("flush");
    const raw = join(this.#host.agent.directory, "content.raw");
    try {
      await run("qemu-img", ["convert", "-U", "-O", "raw", await this.#active(), raw]);
      return contentOf(await readFile(raw));
    } finally {
      await rm(raw, { force: true });
    }
  }

  async #filesIn(directory: string): Promise<number> {
    return (await readdir(directory)).filter((name) => name.startsWith(`socle-${this.#vmId}-data`)).length;
  }

  async #active(): Promise<string> {
    const listed = await this.#host.witness.virsh("domblklist", this.#vmId);
    const [, path] = /^\s*vdb\s+(\S+)$/m.exec(listed) ?? [];
    if (path === undefined) throw new Error(`no disk in ${listed}`);
    return path;
  }
}

/** What is not as it should be; none if all is well. */
export function disagreementsOf(seen: ChainSeen, model: Model, name: "off" | "runs"): string[] {
  const found: string[] = [];
  const compare = (what: string, is: string, should: string): void => {
    if (is !== should) found.push(`${what}: ${is}, not ${should}`);
  };
  const wrong = difference(seen.disk, model.disk);
  if (wrong !== "") found.push(`the disk: ${wrong}`);
  compare("its snapshots", [...seen.snapshots].sort().join(), [...model.snapshots.keys()].sort().join());
  const files = ({ small, images }: ChainSeen["files"]): string => `${small} in small, ${images} in images`;
  compare("its files", files(seen.files), files(filesOf(model)));
  compare("its files of memory", String(seen.memories), String(model.memories.size + model.strayMemories));
  compare("its open backup", seen.open ?? "none", model.open?.id ?? "none");
  compare("its whole backup", seen.whole ?? "none", model.whole?.id ?? "none");
  const rests = model.open === undefined ? "shut off" : "paused";
  compare("its state", seen.state, name === "runs" ? "running" : rests);
  compare("its job", seen.hasJob ? "a backup" : "none", model.open === undefined ? "none" : "a backup");
  return found;
}

/** Each violation is reported once. */
export function asSeen(model: Model, seen: ChainSeen): Model {
  const [should, { stray }] = [filesOf(model), model];
  const added = (place: Place): number => stray[place] + seen.files[place] - should[place];
  return {
    ...model,
    disk: seen.disk,
    stray: { small: added("small"), images: added("images") },
    strayMemories: seen.memories - model.memories.size,
    open: model.open?.id === seen.open ? model.open : undefined,
    whole: seen.whole === undefined ? undefined : { content: nothing, ...model.whole, id: seen.whole },
  };
}

/** Each snapshot keeps a layer; the newest one takes the writes. An open backup has its scratch volume. */
function filesOf({ snapshots, open, pool, stray }: Model): ChainSeen["files"] {
  const own = 1 + snapshots.size + (open === undefined ? 0 : 1);
  return { ...stray, [pool]: stray[pool] + own };
}
