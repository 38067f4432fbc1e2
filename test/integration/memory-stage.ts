import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { AgentDeath } from "../support/agent-death.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { SocleHost } from "../support/socle-host.ts";

export const MIB = 2 ** 20;
/** A disk that a snapshot keeps. */
export const disk = { name: "data", newVolume: { pool: "images", capacityBytes: 8 * MIB } };
/** Writes a word to the guest's memory and to its disk. */
export const write = (text: string): string =>
  `echo ${text} >/run/word; printf '%-16s' ${text} | dd of=/dev/vda bs=16 conv=notrunc,fsync 2>/dev/null; sync`;
const read =
  "cat /run/word; echo 1 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=16 count=1 2>/dev/null; echo";

type Method = "CreateSnapshot" | "DeleteSnapshot" | "RevertSnapshot";

/** A host that keeps the memory of its guests in a directory, beside the files of another host. */
export class MemoryStage {
  readonly host: SocleHost;
  readonly libvirt: Libvirt;
  readonly directory: string;
  readonly death: AgentDeath;

  private constructor(host: SocleHost, libvirt: Libvirt, directory: string, death: AgentDeath) {
    this.host = host;
    this.libvirt = libvirt;
    this.directory = directory;
    this.death = death;
  }

  static async start(): Promise<MemoryStage> {
    const directory = await mkdtemp(join(tmpdir(), "socle-memory-"));
    for (const file of [foreign, `${foreign}.part`]) await writeFile(join(directory, file), "theirs");
    const death = await AgentDeath.make();
    const host = await SocleHost.start({
      ...death.agentOptions,
      config: { vm: { dumpDirectory: directory } },
    });
    const libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    return new MemoryStage(host, libvirt, directory, death);
  }

  async stop(): Promise<void> {
    await this.libvirt.close();
    await this.host.stop();
    await this.death.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  readonly begin = (method: Method, request: object, requestId = randomUUID()): Promise<Operation__Output> =>
    this.host.client.ask(this.host.client.contract.snapshots[method], { requestId, ...request });

  readonly end = async (method: Method, request: object): Promise<Operation__Output> =>
    await this.host.end(await this.begin(method, request), 180_000);

  readonly change = async (method: Method, request: object): Promise<Operation__Output> => {
    const ended = await this.end(method, request);
    assert.equal(ended.error, null, `${JSON.stringify(ended.error)} ${JSON.stringify(ended.steps)}`);
    return ended;
  };

  readonly reasonOf = async (method: Method, request: object): Promise<string | undefined> =>
    this.host.failureOf(await this.end(method, request))?.reason;

  /** Why a request is not accepted. */
  readonly refusalOf = (asked: Promise<unknown>): Promise<string> =>
    asked.then(
      () => "accepted",
      (thrown: unknown) => toSocleError(thrown).reason,
    );

  readonly keep = (vm: string, name: string): Promise<Operation__Output> =>
    this.change("CreateSnapshot", { vm, name, memory: true });

  readonly revert = (vm: string, snapshot: string, more: object = {}): Promise<Operation__Output> =>
    this.change("RevertSnapshot", { vm, snapshot, force: true, ...more });

  readonly create = async (spec: VmSpec): Promise<string> => {
    const { error, vmId } = await this.host.create(spec);
    assert.equal(error, null, JSON.stringify(error));
    return vmId;
  };

  /** The files of memory of a VM. */
  readonly memories = async (vmId: string): Promise<string[]> => {
    const files = await readdir(this.directory);
    assert.ok(files.includes(foreign) && files.includes(`${foreign}.part`), "those of another host stay");
    return files.filter((file) => file.startsWith(`socle-${vmId}.`)).sort();
  };

  readonly volumes = async (vmId: string): Promise<string[]> =>
    (await readdir(this.host.libvirtd.imagesDirectory))
      .filter((file) => file.startsWith(`socle-${vmId}`))
      .sort();

  readonly inGuest = async (vm: string, command: string): Promise<string> => {
    const shell = await GuestShell.join(this.libvirt, vm);
    try {
      return (await shell.run(command)).trim();
    } finally {
      await shell.close();
    }
  };

  /** The words in the guest's memory and on its disk. */
  readonly words = async (vm: string): Promise<string[]> =>
    (await this.inGuest(vm, read)).split(/\s+/).filter((word) => word !== "");
}

/** As of another host that shares the directory. */
const foreign = `socle-${randomUUID()}.0a1b2c3d.memory`;
