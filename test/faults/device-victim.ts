import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { linuxCommandLine } from "../support/guest.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { disagreements, type DisksSeen } from "./device-check.ts";
import { mutation, type FaultyHost } from "./host.ts";
import type { Killer } from "./killer.ts";

const MIB = 2 ** 20;
const END_WITHIN_MS = 120_000;

/** How a VM's guest behaves: `runs` releases devices, `keeps` never does. */
export type Guest = "off" | "runs" | "keeps";
export const nicChanges = ["PLUG", "LINK", "UNPLUG"] as const;
export type Change =
  | "ATTACH"
  | "RESIZE"
  | "DETACH"
  | "UPDATE"
  | "LIMIT"
  | "INSERT"
  | "MOVE"
  | "GROW"
  | (typeof nicChanges)[number];

export const isNicChange = (change: Change): boolean => nicChanges.some((each) => each === change);

/** A VM whose every change is interrupted by the agent's death. It is the only VM of its tenant. */
export class DeviceVictim {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly guest: Guest;
  readonly vmId: string;
  /** The disk that is attached, enlarged and detached: each has a name of its own. */
  #disks = 0;
  #mib = 1;

  /** Inserted and ejected in turn. */
  get #medium(): typeof bootDisk.volume | undefined {
    return this.#disks % 2 === 1 ? bootDisk.volume : undefined;
  }

  /** Another one for each disk. */
  get #writeIops(): number {
    return 100 + this.#disks;
  }

  static async make(run: CampaignRun, host: FaultyHost, guest: Guest): Promise<DeviceVictim> {
    const { vms } = host.client.contract;
    const request = { requestId: randomUUID(), spec: specs[guest], leaveStopped: guest === "off" };
    const { state, vmId } = await host.ended(await host.client.ask(vms.CreateVm, request), END_WITHIN_MS);
    if (state !== "STATE_SUCCEEDED") throw new Error(`the VM for "${guest}" was not created`);
    return new DeviceVictim(run, host, guest, vmId);
  }

  private constructor(run: CampaignRun, host: FaultyHost, guest: Guest, vmId: string) {
    this.#run = run;
    this.#host = host;
    this.guest = guest;
    this.vmId = vmId;
  }

  /** One change, the agent's death during it, its restart, and the outcome. */
  async suffer(change: Change, killer: Killer, beside: () => Promise<unknown>): Promise<void> {
    const run = this.#run;
    if (change === "ATTACH") this.#disks += 1;
    if (change === "ATTACH") this.#mib = 1;
    if (change === "RESIZE") this.#mib += 1;
    const trap = await killer.set(change);
    run.log(`${run.tries}/${run.count} ${change} of the guest that ${this.guest}, ${trap.what}`);
    const before = run.violations.length;
    const requestId = randomUUID();
    const work = (async () => {
      try {
        await this.#host.ended(await this.#begin(change, requestId), END_WITHIN_MS);
      } catch {
        await new Promise(() => undefined); // The agent died, which the trap reports.
      }
    })();
    await Promise.all([trap.spring(work), beside()]);
    await killer.revive();
    const again = await eventually(() => this.#begin(change, requestId), {
      what: `${change} to be accepted again`,
      timeoutMs: 40_000,
      intervalMs: 100,
    });
    const end = await this.#host.ended(again, END_WITHIN_MS);
    await this.#host.untilListed();
    await this.#judge(change, end);
    if (change === "GROW" && end.state !== "STATE_SUCCEEDED") await this.#grow();
    for (let at = before; at < run.violations.length; at += 1)
      run.violations[at] = `${change}, guest ${this.guest}, ${trap.what}: ${run.violations[at]}`;
  }

  /** Once the guest has booted it grows: without that, the change after it would take nothing back. */
  async #grow(): Promise<void> {
    const isGrown = async (): Promise<boolean> => {
      const end = await this.#host.ended(await this.#begin("GROW", randomUUID()), END_WITHIN_MS);
      await this.#judge("GROW", end);
      return end.state === "STATE_SUCCEEDED";
    };
    await eventually(isGrown, { what: "the guest to take memory", timeoutMs: 300_000, intervalMs: 1000 });
  }

  /** A guest that keeps its devices has none when it is off. */
  async release(): Promise<void> {
    await this.#host.succeeds(mutation("STOP", this.vmId));
    const end = await this.#host.ended(await this.#begin("DETACH", randomUUID()), END_WITHIN_MS);
    this.#run.demand(
      end.state === "STATE_SUCCEEDED",
      `a stopped VM kept a disk: ${this.#host.describe(end)}`,
    );
    await this.#host.succeeds(mutation("START", this.vmId));
    await this.#settled("DETACH");
  }

  #begin(change: Change, requestId: string): Promise<Operation__Output> {
    const { client } = this.#host;
    const { vms } = client.contract;
    const of = { requestId, vm: this.vmId };
    const disk = `d${this.#disks}`;
    const nic = `n${this.#disks}`;
    switch (change) {
      case "ATTACH": {
        const newVolume = { pool: "images", capacityBytes: MIB };
        return client.ask(vms.AttachDisk, { ...of, disk: { name: disk, newVolume } });
      }
      case "RESIZE":
        return client.ask(vms.ResizeDisk, { ...of, disk, capacityBytes: this.#mib * MIB });
      case "LIMIT":
        return client.ask(vms.UpdateDisk, { ...of, disk, limits: { writeIops: this.#writeIops } });
      case "INSERT":
        return client.ask(vms.ChangeMedia, {
          ...of,
          disk: "cd",
          ...(this.#medium && { volume: this.#medium }),
        });
      case "MOVE":
        return client.ask(vms.MoveDisk, { ...of, disk, pool: "other" });
      case "PLUG":
        return client.ask(vms.AttachNic, { ...of, nic: { name: nic, network: "isolated" } });
      case "LINK":
        return client.ask(vms.UpdateNic, { ...of, nic, linkState: "NIC_LINK_DOWN" });
      case "UNPLUG":
        return client.ask(vms.DetachNic, { ...of, nic });
      case "DETACH":
        return client.ask(vms.DetachDisk, { ...of, disk, deleteVolume: true });
      case "GROW":
      case "UPDATE": {
        const { vcpus, memoryBytes } = this.#size(change);
        const spec = { labels: { at: String(this.#disks) }, vcpus, memoryBytes };
        const paths = this.guest === "off" ? ["labels", "vcpus", "memory_bytes"] : ["labels", "memory_bytes"];
        return client.ask(vms.UpdateVm, { ...of, spec, updateMask: { paths } });
      }
    }
  }

  /** What the newest update asked for: a VM gets more, then less. A guest without a balloon driver keeps its memory. */
  #size(change: Change): { readonly vcpus: number; readonly memoryBytes: number } {
    const isOdd = this.#disks % 2 === 1;
    if (change === "GROW") return { vcpus: 1, memoryBytes: 256 * MIB };
    const mib = { off: isOdd ? 48 : 32, runs: isOdd ? 112 : 128, keeps: 32 }[this.guest];
    return { vcpus: this.guest === "off" && isOdd ? 2 : 1, memoryBytes: mib * MIB };
  }

  /** Spec, definition and ledger have the same size; what a running guest was started with counts until it stops. */
  async #judgeSize(change: Change, isDone: boolean): Promise<void> {
    const xml = await this.#host.witness.virsh("dumpxml", this.vmId, "--inactive");
    const defined = { vcpus: Number(/<vcpu [^>]*>(\d+)</.exec(xml)?.[1]), memoryBytes: memoryIn(xml) };
    const { spec } = await this.#host.get(this.vmId);
    const stored = { vcpus: spec?.vcpus, memoryBytes: spec?.memoryBytes };
    const is = (other: object): boolean => JSON.stringify(defined) === JSON.stringify(other);
    this.#run.demand(
      is(stored),
      `the spec has ${JSON.stringify(stored)}, libvirt ${JSON.stringify(defined)}`,
    );
    if (isDone)
      this.#run.demand(is(this.#size(change)), `libvirt has ${JSON.stringify(defined)} after the update`);
    const { tenants } = await this.#host.client.ask(this.#host.client.contract.host.ListTenants, {});
    const dimensions = tenants.find(({ tenant }) => tenant === this.guest)?.dimensions ?? [];
    const used = (of: string): number => dimensions.find(({ name }) => name === of)?.used ?? 0;
    // A device that the guest has emptied and not released counts, too.
    const memoryBytes =
      this.guest === "runs"
        ? memoryIn(await this.#host.witness.virsh("dumpxml", this.vmId))
        : defined.memoryBytes;
    if (change === "GROW" && isDone && memoryBytes !== defined.memoryBytes)
      this.#run.violation(`the guest can take ${memoryBytes} bytes, the spec has ${defined.memoryBytes}`);
    const counted = { vcpus: used("vcpus"), memoryBytes: used("memory") };
    const wanted = JSON.stringify({ ...defined, memoryBytes });
    this.#run.demand(
      JSON.stringify(counted) === wanted,
      `the ledger has ${JSON.stringify(counted)}, not ${wanted}`,
    );
  }

  async #judge(change: Change, end: Operation__Output): Promise<void> {
    const { client } = this.#host;
    const reason = end.error === null ? "" : fromStatus(client.contract, end.error).reason;
    const keeps = this.guest === "keeps" && change === "DETACH";
    const isDone = end.state === "STATE_SUCCEEDED";
    const resizes = change === "UPDATE" || change === "GROW";
    // A guest that still boots has no drivers yet.
    const boots = this.guest === "runs" && resizes && reason === "GUEST_KEEPS_MEMORY";
    this.#run.demand(keeps ? reason === "GUEST_KEEPS_DEVICE" : isDone || boots, this.#host.describe(end));
    if (resizes) await this.#judgeSize(change, isDone);
    const seen = await this.#settled(change);
    const disk = `d${this.#disks}`;
    const bytes = seen.spec.get(disk);
    if (change === "LIMIT") {
      const limited = `${disk}=${this.#writeIops}`;
      const isLimited = seen.writeIops?.every((limits) => limits.split(" ").includes(limited)) === true;
      this.#run.demand(
        isLimited,
        `after ${this.#host.describe(end)} the limits are ${seen.writeIops?.join("; ")}`,
      );
    }
    if (change === "INSERT" && seen.media?.[0] !== (this.#medium?.volume ?? "-"))
      this.#run.violation(`after ${this.#host.describe(end)} the medium is ${seen.media?.[0]}`);
    if (change === "MOVE" && seen.pools?.[0] !== `${disk}=other`)
      this.#run.violation(`after ${this.#host.describe(end)} the pools are ${seen.pools?.[0]}`);
    const link = { PLUG: "up", LINK: "down", UNPLUG: undefined }[change as string];
    if (isNicChange(change) && seen.nics?.[0] !== (link === undefined ? "" : `n${this.#disks}=${link}`))
      this.#run.violation(`after ${this.#host.describe(end)} the NICs are [${seen.nics?.[0]}]`);
    const wanted = change === "DETACH" && !keeps ? undefined : this.#mib * MIB;
    if (!resizes)
      this.#run.demand(bytes === wanted, `after ${this.#host.describe(end)} the disk has ${bytes} bytes`);
  }

  /** The ledger counts a reading of the pools that began after the change. */
  async #settled(change: Change): Promise<DisksSeen> {
    let seen = await this.#look();
    const deadline = performance.now() + 20_000;
    const isLate = (): boolean => {
      const found = disagreements(seen);
      return found.length > 0 && found.every((what) => what.startsWith("the ledger"));
    };
    while (isLate() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      seen = await this.#look();
    }
    for (const what of disagreements(seen)) this.#run.violation(`${change} has settled, and ${what}`);
    return seen;
  }

  async #look(): Promise<DisksSeen> {
    const { witness, client, libvirtd } = this.#host;
    const { contract } = client;
    const vm = await this.#host.get(this.vmId);
    const { tenants } = await client.ask(contract.host.ListTenants, {});
    const use = tenants.find(({ tenant }) => tenant === this.guest);
    const defined = await witness.virsh("dumpxml", this.vmId, "--inactive");
    const live = this.guest === "off" ? undefined : await witness.virsh("dumpxml", this.vmId);
    const limits = [defined, ...(live === undefined ? [] : [live])].map(limitsIn);
    const prefix = `socle-${this.vmId}-`;
    const directories = { images: libvirtd.imagesDirectory, other: join(libvirtd.directory, "other") };
    const files = (await Promise.all(Object.entries(directories).map(filesIn))).flat();
    const own = files.filter(({ name }) => name.startsWith(prefix));
    const volumes = own.map(async ({ name, path }): Promise<[string, number]> => {
      const { stdout } = await promisify(execFile)("qemu-img", ["info", "-U", "--output=json", path]);
      const { "virtual-size": bytes } = JSON.parse(stdout) as { "virtual-size": number };
      return [name.slice(prefix.length, -".qcow2".length), bytes];
    });
    const capacity = (disk: NonNullable<typeof vm.spec>["disks"][number]): number | undefined =>
      disk.newVolume == null ? undefined : disk.newVolume.capacityBytes;
    const devices = [defined, ...(live === undefined ? [] : [live])];
    const diskOf = (name: string): string => name.slice(prefix.length, -".qcow2".length);
    return {
      pools: [
        placesText(
          vm.spec?.disks.flatMap(({ name, newVolume }) => (newVolume ? [[name, newVolume.pool]] : [])) ?? [],
        ),
        placesText(own.map(({ name, pool }) => [diskOf(name), pool])),
        ...devices.map((xml) => placesText(poolsIn(xml, prefix, directories))),
      ],
      media: [
        vm.spec?.disks.find(({ name }) => name === "cd")?.cdrom?.volume?.volume ?? "-",
        ...devices.map(mediumIn),
      ],
      nics: [
        placesText(vm.spec?.nics.map(({ name, linkDown }) => [name, linkDown ? "down" : "up"]) ?? []),
        ...devices.map((xml) => placesText(nicsIn(xml))),
      ],
      spec: new Map(vm.spec?.disks.map((disk) => [disk.name, capacity(disk)])),
      defined: aliasesIn(defined),
      live: live === undefined ? undefined : aliasesIn(live),
      writeIops: [
        textOf(vm.spec?.disks.map(({ name, limits: of }) => [name, of?.writeIops]) ?? []),
        ...limits,
      ],
      volumes: new Map(await Promise.all(volumes)),
      ledgerBytes: use?.dimensions.find(({ name }) => name === "disk")?.used ?? 0,
    };
  }
}

/** libvirt's total, with what a running guest can take of the devices that it was given. */
const memoryIn = (xml: string): number => Number(/<memory unit='KiB'>(\d+)</.exec(xml)?.[1]) * 1024;

const aliasesIn = (xml: string): string[] =>
  [...xml.matchAll(/<alias name='ua-disk-([^']+)'/g)].map(([, name = ""]) => name);

interface Found {
  readonly pool: string;
  readonly name: string;
  readonly path: string;
}

const filesIn = async ([pool, directory]: [string, string]): Promise<Found[]> =>
  (await readdir(directory)).map((name) => ({ pool, name, path: join(directory, name) }));

const placesText = (places: readonly (readonly string[])[]): string =>
  places
    .map((place) => place.join("="))
    .sort()
    .join(" ");

/** The pools of the VM's own disks, from their files. */
const poolsIn = (xml: string, prefix: string, directories: Readonly<Record<string, string>>): string[][] =>
  (xml.match(/<disk [\s\S]*?<\/disk>/g) ?? []).flatMap((disk) => {
    const path = /<source file='([^']+)'/.exec(disk)?.[1] ?? "";
    if (!basename(path).startsWith(prefix)) return [];
    const pool = Object.keys(directories).find((name) => directories[name] === dirname(path));
    return [[aliasesIn(disk)[0] ?? "", pool ?? dirname(path)]];
  });

/** The VM's NICs, and whether they have a link. */
const nicsIn = (xml: string): string[][] =>
  (xml.match(/<interface [\s\S]*?<\/interface>/g) ?? []).map((nic) => [
    /<alias name='ua-nic-([^']+)'/.exec(nic)?.[1] ?? "another's",
    nic.includes("<link state='down'/>") ? "down" : "up",
  ]);

const mediumIn = (xml: string): string => {
  const drive = /<disk type='file' device='cdrom'>[\s\S]*?<\/disk>/.exec(xml)?.[0] ?? "";
  return basename(/<source file='([^']+)'/.exec(drive)?.[1] ?? "-");
};

const textOf = (limits: readonly (readonly [string, number | undefined])[]): string =>
  limits
    .flatMap(([name, iops]) => (iops === undefined ? [] : [`${name}=${iops}`]))
    .sort()
    .join(" ");

const limitsIn = (xml: string): string =>
  textOf(
    (xml.match(/<disk [\s\S]*?<\/disk>/g) ?? []).map((disk): [string, number | undefined] => {
      const iops = /<write_iops_sec>(\d+)</.exec(disk)?.[1];
      return [aliasesIn(disk)[0] ?? "", iops === undefined ? undefined : Number(iops)];
    }),
  );

const bootDisk = { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true };
const kernelBoot = {
  kernel: { pool: "images", volume: "vmlinuz" },
  initrd: { pool: "images", volume: "initrd" },
  commandLine: linuxCommandLine,
};
const drive = { name: "cd", cdrom: {} };
const specs: Readonly<Record<Guest, VmSpec>> = {
  off: { name: "off", tenant: "off", vcpus: 1, memoryBytes: 32 * MIB, disks: [bootDisk, drive] },
  runs: {
    ...{ name: "runs", tenant: "runs", vcpus: 1, memoryBytes: 128 * MIB, maxMemoryBytes: 384 * MIB },
    ...{ kernelBoot, disks: [drive] },
  },
  keeps: { name: "keeps", tenant: "keeps", vcpus: 1, memoryBytes: 32 * MIB, disks: [bootDisk, drive] },
};
