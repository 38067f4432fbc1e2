import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Manifest } from "../../agent/cli/backup/manifest.ts";
import { isSocleError, toSocleError } from "../../agent/kernel/errors.ts";
import { GuestKeys } from "../../agent/vm/keys/guest-keys.ts";
import { KeyWrap } from "../../agent/vm/keys/key-wrap.ts";
import { eventually, within } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import {
  BLOCK_BYTES,
  contentOf,
  difference,
  DISK_BYTES,
  isSameContent,
  nothing,
  type Content,
} from "./chain-content.ts";
import type { ChainFault, ChainStrikes } from "./chain-faults.ts";
import { ChainSight } from "./chain-sight.ts";
import { mutation, type FaultyHost } from "./host.ts";
import type { Killer } from "./killer.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const END_WITHIN_MS = 180_000;
const WRITES = 3;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/** The length of a file's chain of increments. */
const FULL_EVERY = 4;
/** A restoration makes a new encrypted volume, whose key alone takes QEMU seconds. */
const RESTORED_EVERY = 2;
/** Of one letter, as no encrypted cluster and no table has it. */
const CLEAR_BYTES = 512;

interface Ended {
  readonly code: number;
  readonly text: string;
}

interface Where {
  readonly places: Readonly<Record<"small" | "images", string>>;
  /** The directory of memory. */
  readonly dumps: string;
  /** The key under which the agent seals passphrases. */
  readonly volumeKeyFile: string;
}

/** A VM that runs with an encrypted disk. `socle vm backup create` encrypts its backups into one directory. */
export class SealedVictim {
  readonly name = "sealed";
  readonly vmId: string;
  restored = 0;
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #sight: ChainSight;
  /** This process reads passphrases alone, and gives libvirt none. */
  readonly #keys: GuestKeys;
  readonly #images: string;
  /** The states of the disk since the newest checked backup; the last one is the present. */
  #states: Content[] = [nothing];
  #rounds = 0;
  #written = 0;

  static async make(campaign: CampaignRun, host: FaultyHost, where: Where): Promise<SealedVictim> {
    const request = { requestId: randomUUID(), spec: sealedSpec("sealed") };
    // The agent learns late that its libvirt encrypts.
    const begun = await eventually(() => host.client.ask(host.client.contract.vms.CreateVm, request), {
      what: "the creation of a VM with an encrypted disk",
      timeoutMs: END_WITHIN_MS,
      intervalMs: 500,
    });
    const end = await host.ended(begun, END_WITHIN_MS);
    if (end.state !== "STATE_SUCCEEDED") throw new Error(host.describe(end));
    const victim = new SealedVictim(campaign, host, end.vmId, where);
    await writeFile(victim.#at("passphrase"), `${randomBytes(16).toString("hex")}\n`, { mode: 0o600 });
    // Without a base the first round has no increment.
    const { code, text } = await victim.#backUp();
    if (code !== 0) throw new Error(text);
    return victim;
  }

  private constructor(
    campaign: CampaignRun,
    host: FaultyHost,
    vmId: string,
    { places, dumps, volumeKeyFile }: Where,
  ) {
    this.#run = campaign;
    this.#host = host;
    this.vmId = vmId;
    this.#images = places.images;
    this.#sight = new ChainSight(host, { vmId, places, dumps });
    const noCalls = {} as ConstructorParameters<typeof GuestKeys>[0];
    const noClock = {} as ConstructorParameters<typeof GuestKeys>[1];
    this.#keys = new GuestKeys(noCalls, noClock, new KeyWrap({ file: volumeKeyFile, environment: {} }));
  }

  /** A backup with a fault in it, and one without; in some rounds a restoration over the agent's death. */
  async suffer(planned: ChainFault, strikes: ChainStrikes, killer: Killer): Promise<void> {
    // Its pool does not fill.
    const fault = planned === "pool" ? "agent" : planned;
    this.#rounds += 1;
    const before = this.#run.violations.length;
    const strike = await strikes.set(fault, "BACKUP", this);
    const about = `BACKUP of the encrypted disk, ${strike.what}`;
    this.#run.log(`${this.#run.tries}/${this.#run.count} ${about}`);
    const work = this.#backUp();
    // Over a dead libvirtd or QEMU no write's outcome is known.
    await Promise.all([strike.play(work), fault === "agent" ? this.#write() : undefined, work]);
    await this.#host.untilListed();
    await this.#runs();
    this.#compare("the backup over the fault", await this.#newest(), this.#states);
    await this.#write();
    const ended = await this.#until(() => this.#backUp());
    this.#run.demand(ended.code === 0, `without a fault: ${ended.text}`);
    if (ended.code === 0) {
      this.#states = this.#states.slice(-1);
      this.#compare("the backup", await this.#newest(), this.#states);
      if (this.#rounds % RESTORED_EVERY === 0) await this.#restore(killer);
    }
    await this.#isRefused();
    await this.#isNowhereInClear();
    for (let at = before; at < this.#run.violations.length; at += 1)
      this.#run.violations[at] = `${about}: ${this.#run.violations[at]}`;
  }

  #at(name: string): string {
    return join(this.#host.agent.directory, `sealed-${name}`);
  }

  async #socle(...line: readonly string[]): Promise<Ended> {
    const { agent, bundle } = this.#host;
    const env = { ...process.env, SOCLE_SOCKET: agent.socketPath };
    const args = [bundle, "vm", ...line, "--passphrase-file", this.#at("passphrase")];
    return await run(process.execPath, args, { env, timeout: END_WITHIN_MS }).then(
      ({ stdout, stderr }) => ({ code: 0, text: `${stdout}${stderr}` }),
      (thrown: unknown) => {
        const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
        return { code, text: `${stdout}${stderr}` };
      },
    );
  }

  #backUp(): Promise<Ended> {
    const full = this.#rounds % FULL_EVERY === 0 ? ["--full"] : [];
    return this.#socle("backup", "create", this.name, "--to", this.#at("backups"), ...full);
  }

  /** An operation that the fault interrupted may still go on: the command is repeated as a person would. */
  async #until(command: () => Promise<Ended>): Promise<Ended> {
    const deadline = performance.now() + END_WITHIN_MS / 3;
    for (;;) {
      const ended = await command();
      if (ended.code === 0 || performance.now() > deadline) return ended;
    }
  }

  async #runs(): Promise<void> {
    const isUp = async (): Promise<boolean> => {
      const state = await this.#sight.state();
      if (state === "shut off") await this.#host.succeeds(mutation("START", this.vmId));
      return state === "running";
    };
    await eventually(isUp, { what: "the guest to run", timeoutMs: END_WITHIN_MS, intervalMs: 200 });
  }

  async #write(): Promise<void> {
    for (let count = 0; count < WRITES; count += 1) {
      this.#written += 1;
      const disk = [...(this.#states.at(-1) ?? nothing)];
      const at = (this.#written * 7) % disk.length;
      const letter = LETTERS[this.#written % LETTERS.length] ?? "A";
      const line = `write -P ${letter.charCodeAt(0)} ${at * BLOCK_BYTES} ${BLOCK_BYTES}`;
      disk[at] = letter;
      // A backup may see it before the writer does.
      this.#states.push(disk);
      await within(this.#sight.write(line), 60_000, "a write to the disk");
    }
    await within(this.#sight.write("flush"), 60_000, "a flush of the disk");
  }

  async #manifest(): Promise<Manifest> {
    return JSON.parse(await readFile(join(this.#at("backups"), "manifest.json"), "utf8")) as Manifest;
  }

  /** The newest backup, by qemu-img with the passphrase alone. */
  async #newest(): Promise<Content> {
    const { backups } = await this.#manifest();
    const byFile = new Map(backups.flatMap(({ disks }) => disks).map((disk) => [disk.file, disk]));
    const chain = [backups.at(-1)?.disks[0]];
    for (let base = chain[0]?.base; base !== undefined; base = chain.at(-1)?.base)
      chain.push(byFile.get(base));
    const keys = chain.map((_, depth) => `${"backing.".repeat(depth)}encrypt.key-secret=key`).join();
    const file = join(this.#at("backups"), chain[0]?.file ?? "");
    return await this.#content(`driver=qcow2,${keys},file.filename=${file}`, this.#at("passphrase"));
  }

  /** The bytes of an image, or the reason why QEMU does not open it. */
  async #content(image: string, keyFile: string): Promise<Content> {
    const raw = this.#at("content.raw");
    const key = ["--object", `secret,id=key,file=${keyFile}`];
    try {
      await run("qemu-img", ["convert", ...key, "--image-opts", image, "-O", "raw", raw]);
      return contentOf(await readFile(raw));
    } catch (thrown) {
      const { stderr = String(thrown) } = thrown as { stderr?: string };
      return [stderr.trim()];
    }
  }

  #compare(what: string, found: Content, states: readonly Content[]): void {
    if (found.length < nothing.length) this.#run.violation(`${what}: qemu-img: ${found.join()}`);
    else if (!states.some((state) => isSameContent(state, found)))
      this.#run.violation(`${what}: ${difference(found, states.at(-1) ?? nothing)}`);
  }

  async #restore(killer: Killer): Promise<void> {
    const name = `again-${this.#rounds}`;
    const line = ["restore", this.#at("backups"), "--name", name, "--yes"];
    const trap = await killer.set("RESTORE");
    this.#run.log(
      `${this.#run.tries}/${this.#run.count} RESTORE of the encrypted disk, the agent is killed ${trap.what}`,
    );
    const work = this.#socle(...line);
    await trap.spring(work);
    await killer.revive();
    await work;
    await this.#host.untilListed();
    // The agent may go on with a creation that it began before its death.
    const ended = await this.#until(async () => {
      await this.#removed(name);
      return await this.#socle(...line);
    });
    this.#run.demand(ended.code === 0, `RESTORE without a fault: ${ended.text}`);
    if (ended.code !== 0) return;
    this.restored += 1;
    await this.#isOwn(name);
    await this.#removed(name);
  }

  async #find(name: string): Promise<string | undefined> {
    return (await this.#host.list()).vms.find((vm) => vm.name === name)?.vmId;
  }

  /** The command could not remove a half restored VM without its agent. */
  async #removed(name: string): Promise<void> {
    const gone = async (): Promise<boolean> => {
      const vmId = await this.#find(name);
      if (vmId !== undefined) await this.#host.succeeds(mutation("DELETE", vmId));
      return vmId === undefined;
    };
    await eventually(gone, { what: `the end of ${name}`, timeoutMs: END_WITHIN_MS, intervalMs: 200 });
  }

  /** The restored disk has the bytes of the backup, under the new VM's passphrase and no other, and QEMU opens it. */
  async #isOwn(name: string): Promise<void> {
    const vmId = (await this.#find(name)) ?? "";
    const definition = await this.#host.witness.virsh("dumpxml", vmId);
    const sealed = /<(?:\w+:)?key of=['"]disk\/data['"]>([^<]+)</.exec(definition)?.[1] ?? "";
    const own = this.#at("own-passphrase");
    await writeFile(own, await this.#keys.passphrase(vmId, "disk/data", sealed), { mode: 0o600 });
    const path = join(this.#images, `socle-${vmId}-data.qcow2`);
    const image = `driver=qcow2,encrypt.key-secret=key,file.filename=${path}`;
    this.#compare("the restored disk", await this.#content(image, own), this.#states);
    const [why = ""] = await this.#content(image, this.#at("passphrase"));
    this.#run.demand(
      /Invalid password/.test(why),
      "the restored disk opens with the passphrase of its backup",
    );
    const started = await this.#host.succeeds(mutation("START", vmId)).then(
      () => undefined,
      (thrown: unknown) => toSocleError(thrown).message,
    );
    this.#run.demand(started === undefined, `the restored VM does not start: ${started}`);
  }

  /** What the agent cannot do without leaving data in clear. */
  async #isRefused(): Promise<void> {
    const { client } = this.#host;
    const { snapshots, backups, vms } = client.contract;
    const of = (): { requestId: string; vm: string } => ({ requestId: randomUUID(), vm: this.vmId });
    const refused = async (reason: string, ask: () => Promise<object>): Promise<void> => {
      const found = await ask().then(
        () => "accepted",
        (thrown: unknown) => (isSocleError(thrown) ? thrown.reason : String(thrown)),
      );
      this.#run.demand(found === reason, `an encrypted disk: ${found}, not ${reason}`);
    };
    await refused("SNAPSHOT_UNSUPPORTED", () =>
      client.ask(snapshots.CreateSnapshot, { ...of(), name: "one" }),
    );
    await refused("DISK_ENCRYPTED", () => client.ask(vms.MoveDisk, { ...of(), disk: "data", pool: "small" }));
    await refused("BACKUP_NOT_ENCRYPTED", () => client.ask(backups.BeginBackup, of()));
  }

  async #isNowhereInClear(): Promise<void> {
    const own = (await readdir(this.#images)).filter((file) => file.startsWith(`socle-${this.vmId}-`));
    const stored = (await readdir(this.#at("backups"))).map((file) => join(this.#at("backups"), file));
    const clear = LETTERS.split("").map((letter) => Buffer.alloc(CLEAR_BYTES, letter));
    for (const path of [...stored, ...own.map((file) => join(this.#images, file))]) {
      const bytes = await readFile(path).catch(() => Buffer.alloc(0));
      this.#run.demand(!clear.some((part) => bytes.includes(part)), `${path} has data in clear`);
    }
    const scratch = own.filter((file) => file.includes(".backup-"));
    this.#run.demand(scratch.length === 0, `scratch volumes remain: ${scratch.join()}`);
  }
}

const sealedSpec = (name: string): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  disks: [
    { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true },
    {
      name: "data",
      newVolume: {
        ...{ pool: "images", capacityBytes: DISK_BYTES, format: "DISK_FORMAT_QCOW2" as const },
        encryption: "VOLUME_ENCRYPTION_LUKS",
      },
    },
  ],
});
