import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { mountInMemory } from "../support/small-disk.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import type { AgentProcessOptions } from "../support/agent-process.ts";
import type { Run } from "./bench.ts";
import { shippedAgent } from "./shipped-agent.ts";

const MIB = 2 ** 20;

interface BenchHostOptions {
  /** Directories, by the pool's name. */
  readonly pools?: Readonly<Record<string, string>>;
  readonly config?: AgentProcessOptions["config"];
  readonly bundle?: string;
}

/** A libvirtd, guests' files, and the agent as it is installed; until the end of the run. */
export async function startBenchHost(
  run: Run,
  { pools = {}, config = {}, bundle }: BenchHostOptions = {},
): Promise<SocleHost> {
  const host = run.keep(await SocleHost.start({ ...(await shippedAgent(run, bundle)), config }));
  for (const [name, path] of Object.entries(pools))
    await host.virsh("pool-create-as", name, "dir", "--target", path);
  await host.untilListed();
  return host;
}

/** The operation once it has succeeded. Throws its error. */
export async function succeeded(
  host: SocleHost,
  begun: Promise<Operation__Output>,
): Promise<Operation__Output> {
  const ended = await host.end(await begun, 300_000);
  if (ended.state === "STATE_SUCCEEDED") return ended;
  throw host.failureOf(ended) ?? new Error(`the operation is ${ended.state}`);
}

/** A directory in memory, until the end of the run: a disk's own speed is no part of the figures. Make it before the host. */
export async function inMemory(run: Run, sizeMib: number): Promise<string> {
  const { path, unmount } = await mountInMemory("bench", sizeMib);
  run.cleanUp(unmount);
  return path;
}

/** A guest that writes nothing, with a disk of random bytes in the pool. Returns its id and the disk's file. */
export async function createFullGuest(
  host: SocleHost,
  name: string,
  { pool, directory, mib }: { readonly pool: string; readonly directory: string; readonly mib: number },
): Promise<{ readonly vmId: string; readonly volume: string }> {
  const boot = { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true };
  const data = { name: "data", newVolume: { pool, capacityBytes: mib * MIB } };
  const spec = bootSector(name, { disks: [boot, data] });
  const { vmId } = await succeeded(host, host.beginCreate(spec, { leaveStopped: true }));
  const volume = join(directory, `socle-${vmId}-data.qcow2`);
  const random = join(host.libvirtd.directory, "random.raw");
  await writeRandom(random, mib);
  await promisify(execFile)("qemu-img", ["convert", "-n", "-f", "raw", "-O", "qcow2", random, volume]);
  await rm(random);
  return { vmId, volume };
}

/**
 * Fills a directory in memory, and empties it: a virtual machine may give its host what it frees, and get it back slowly. A
 * side that follows another would pay for that.
 */
export async function warmMemory(directory: string, mib: number): Promise<void> {
  const path = join(directory, "warm");
  const zeros = Buffer.alloc(MIB);
  await write(path, mib, () => zeros);
  await rm(path);
}

/** A file of bytes that no tool compresses or leaves out. */
export async function writeRandom(path: string, mib: number): Promise<void> {
  await write(path, mib, () => randomBytes(MIB));
}

async function write(path: string, mib: number, next: () => Buffer): Promise<void> {
  const file = await open(path, "wx");
  try {
    for (let written = 0; written < mib; written += 1) await file.write(next());
  } finally {
    await file.close();
  }
}
