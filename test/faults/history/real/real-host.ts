import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { silentLog } from "../../../../agent/kernel/log.ts";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { guestFilesIn } from "../../../support/guest.ts";
import { Libvirtd } from "../../../support/libvirtd.ts";
import { virsh } from "../../../support/virsh.ts";
import { eventually } from "../../../support/wait.ts";
import type { CampaignRun } from "../../campaign.ts";
import { FaultProxy } from "../../proxy.ts";
import { StateDisk } from "../../state-disk.ts";
import type { WorldDomain } from "../history.ts";
import { all, find, readXml, socleText, stampedOperation, type Element } from "../model/element.ts";
import type { ForeignAction } from "../simulated/schedule.ts";
import type { EffectLog, Looked } from "./effect-tap.ts";

const POOL = "images";
/** Guests that shut down on a caller's request may need longer: the history continues without them. */
const FOUND_WITHIN_MS = 10_000;
const boot = "bootsector.img";
type AsVirsh = (client: libvirt.Libvirt, dom: libvirt.Domain) => Promise<unknown>;

const acts: Readonly<Record<Exclude<ForeignAction["act"], "guest_stopped">, AsVirsh>> = {
  start: (client, dom) => client.call(libvirt.domainCreateWithFlags, { dom, flags: 0 }),
  destroy: (client, dom) => client.call(libvirt.domainDestroyFlags, { dom, flags: 0 }),
  suspend: (client, dom) => client.call(libvirt.domainSuspend, { dom }),
  resume: (client, dom) => client.call(libvirt.domainResume, { dom }),
  undefine: (client, dom) => client.call(libvirt.domainUndefineFlags, { dom, flags: 0 }),
  save: (client, dom) => client.call(libvirt.domainManagedSave, { dom, flags: 0 }),
  save_remove: (client, dom) => client.call(libvirt.domainManagedSaveRemove, { dom, flags: 0 }),
};
const stateNames: Readonly<Record<number, string>> = {
  1: "running",
  3: "paused",
  4: "stopping",
  5: "stopped",
};

/** A host for many histories: libvirtd, a recording proxy for the agent, one for other clients, a disk for the state. */
export class RealHost {
  readonly disk: StateDisk;
  readonly #libvirtd: Libvirtd;
  readonly #proxies: { agent: FaultProxy; foreign: FaultProxy };
  #direct: libvirt.Libvirt;
  /** The current history's parts. */
  #log: EffectLog | undefined;
  #run: number | undefined;
  #isDown = false;

  static async start(run: CampaignRun): Promise<RealHost> {
    const disk = await StateDisk.make(run);
    const libvirtd = run.keep(await Libvirtd.start());
    await guestFilesIn(libvirtd.imagesDirectory);
    await virsh(libvirtd.uri, ["pool-create-as", POOL, "dir", "--target", libvirtd.imagesDirectory]);
    const host: { current?: RealHost } = {};
    const proxyFor = async (by: "agent" | "foreign"): Promise<FaultProxy> =>
      run.keep(
        await FaultProxy.start({
          socketPath: join(libvirtd.directory, `${by}.sock`),
          daemonPath: libvirtd.socketPath,
          tap: () => host.current?.log.tap(by, () => host.current?.runOf(by)) ?? noTap,
        }),
      );
    const proxies = { agent: await proxyFor("agent"), foreign: await proxyFor("foreign") };
    const direct = await libvirt.Libvirt.connect({ uri: libvirtd.uri, log: silentLog });
    host.current = new RealHost(disk, libvirtd, proxies, direct);
    run.cleanUp(() => host.current?.close());
    return host.current;
  }

  private constructor(
    disk: StateDisk,
    libvirtd: Libvirtd,
    proxies: { agent: FaultProxy; foreign: FaultProxy },
    direct: libvirt.Libvirt,
  ) {
    this.disk = disk;
    this.#libvirtd = libvirtd;
    this.#proxies = proxies;
    this.#direct = direct;
  }

  close(): Promise<void> {
    return this.#direct.close();
  }

  /** libvirtd has died, and the calls that were cut off are not settled yet. */
  get isDown(): boolean {
    return this.#isDown;
  }

  get agentProxy(): FaultProxy {
    return this.#proxies.agent;
  }

  get log(): EffectLog {
    if (this.#log === undefined) throw new Error("no history is running");
    return this.#log;
  }

  runOf(by: "agent" | "foreign"): number | undefined {
    return by === "agent" ? this.#run : undefined;
  }

  /** The run of the agent that connects from now on. */
  set agentRun(run: number) {
    this.#run = run;
  }

  /** Resets to no VMs, no state and no lease of an earlier agent, whose state would count as newer. */
  async clear(log: EffectLog): Promise<void> {
    this.#log = log;
    this.#proxies.agent.removeAll();
    await this.disk.setFault("none");
    await rm(this.disk.stateDirectory, { recursive: true, force: true });
    const { domains } = await this.#direct.call(libvirt.connectListAllDomains, {
      needResults: true,
      flags: 0,
    });
    for (const dom of domains) {
      if (dom.id >= 0) await this.#direct.call(libvirt.domainDestroyFlags, { dom, flags: 0 });
      // A transient domain has disappeared by then.
      await this.#direct.call(libvirt.domainUndefineFlags, { dom, flags: 0 }).catch(() => undefined);
    }
    for (const vol of await this.#volumes())
      if (vol.name.startsWith("socle-")) await this.#direct.call(libvirt.storageVolDelete, { vol, flags: 0 });
    const { secrets } = await this.#direct.call(libvirt.connectListAllSecrets, {
      needResults: true,
      flags: 0,
    });
    for (const secret of secrets) await this.#direct.call(libvirt.secretUndefine, { secret });
  }

  /** Acts as virsh or the guest: libvirt refuses impossible calls. */
  async foreign(act: ForeignAction["act"], vm: string, name: string): Promise<void> {
    if (act === "guest_stopped") {
      await this.#endGuest(vm, name);
      return;
    }
    const { uri } = this.#proxies.foreign;
    const client = await libvirt.Libvirt.connect({ uri, log: silentLog }).catch(() => undefined);
    const dom = { name: "", uuid: vm, id: -1 };
    if (client === undefined) return;
    await acts[act](client, dom).catch(() => undefined);
    await client.close();
  }

  /** Ends QEMU with SIGTERM, like a guest that shuts itself down. */
  async #endGuest(vm: string, name: string): Promise<void> {
    if (!this.log.isRunning(vm)) return;
    const pid = Number(
      await readFile(join(this.#libvirtd.runDirectory, "qemu", `${name}.pid`), "utf8").catch(() => ""),
    );
    // The number belongs to the guests' PID namespace.
    if (!Number.isInteger(pid) || pid <= 1) return;
    this.log.guestStopped(vm);
    await this.#libvirtd.run("sh", ["-c", `kill -TERM ${pid}`]).catch(() => undefined);
    await eventually(async () => (await this.look()).domains.get(vm)?.isRunning !== true, {
      what: "the guest's end",
      timeoutMs: 60_000,
      intervalMs: 20,
    });
  }

  /** Kills and restarts libvirtd. Calls that were cut off are settled before any client reconnects. */
  async breakLibvirtd(downMs: number): Promise<void> {
    this.#isDown = true;
    await this.#libvirtd.kill("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, downMs));
    await this.#direct.close();
    await this.#libvirtd.startAgain();
    this.#direct = await libvirt.Libvirt.connect({ uri: this.#libvirtd.uri, log: silentLog });
    const at = join(this.#libvirtd.imagesDirectory);
    const pools = await this.#direct.call(libvirt.connectListAllStoragePools, {
      needResults: true,
      flags: 0,
    });
    if (!pools.pools.some(({ name }) => name === POOL))
      await virsh(this.#libvirtd.uri, ["pool-create-as", POOL, "dir", "--target", at]);
    await this.#untilFoundAgain();
    this.log.settle(await this.look());
    this.#isDown = false;
  }

  /** A new daemon shows a guest with an incomplete start as running until it ends it. */
  async #untilFoundAgain(): Promise<void> {
    const isFound = async (): Promise<boolean> => {
      const flags = libvirt.ConnectListAllDomainsFlags.ACTIVE;
      const { domains } = await this.#direct.call(libvirt.connectListAllDomains, {
        needResults: true,
        flags,
      });
      const states = await Promise.all(
        domains.map((dom) => this.#direct.call(libvirt.domainGetState, { dom, flags: 0 }).catch(() => gone)),
      );
      return !states.some(isOnItsWay);
    };
    // A guest that shuts down on a caller's request may be slow.
    await eventually(isFound, { what: "guests to be found again", timeoutMs: FOUND_WITHIN_MS }).catch(
      () => undefined,
    );
  }

  async look(): Promise<Looked> {
    const domains = new Map<string, { isRunning: boolean; isPersistent: boolean }>();
    const listed = await this.#direct.call(libvirt.connectListAllDomains, { needResults: true, flags: 0 });
    for (const dom of listed.domains) {
      const { persistent } = await this.#direct
        .call(libvirt.domainIsPersistent, { dom })
        .catch(() => ({ persistent: false }));
      domains.set(dom.uuid, { isRunning: dom.id >= 0, isPersistent: persistent });
    }
    return { domains, volumes: new Set(await this.volumes()) };
  }

  /** `pool/name`, sorted, without the shared boot volume. */
  async volumes(): Promise<string[]> {
    const vols = await this.#volumes();
    return vols.flatMap(({ name }) => (name.startsWith("socle-") ? [`${POOL}/${name}`] : [])).sort();
  }

  async domains(): Promise<WorldDomain[]> {
    const { domains } = await this.#direct.call(libvirt.connectListAllDomains, {
      needResults: true,
      flags: 0,
    });
    return await Promise.all(domains.map((dom) => this.#domain(dom)));
  }

  async #domain(dom: libvirt.Domain): Promise<WorldDomain> {
    const flags = libvirt.DomainXMLFlags.INACTIVE;
    const [{ state }, { xml }] = await Promise.all([
      this.#direct.call(libvirt.domainGetState, { dom, flags: 0 }),
      this.#direct.call(libvirt.domainGetXmlDesc, { dom, flags }),
    ]);
    const config = readXml(xml, "domain");
    const [instance, tenant, operation] = [
      socleText(config, "instance"),
      socleText(config, "tenant"),
      stampedOperation(config),
    ];
    return {
      vm: dom.uuid,
      name: dom.name,
      state: stateNames[state] ?? String(state),
      ...(instance === undefined ? {} : { instance }),
      ...(operation === undefined ? {} : { operation }),
      ...(tenant === undefined ? {} : { tenant }),
      volumes: volumesOf(config),
    };
  }

  async #volumes(): Promise<libvirt.StorageVol[]> {
    const { pool } = await this.#direct.call(libvirt.storagePoolLookupByName, { name: POOL });
    const { vols } = await this.#direct.call(libvirt.storagePoolListAllVolumes, {
      pool,
      needResults: true,
      flags: 0,
    });
    return vols;
  }

  /**
   * Copies the state directory; the copy is of one moment only if the agent is idle meanwhile. The returned function restores
   * the copy while the agent is down.
   */
  async snapshot(): Promise<() => Promise<void>> {
    const copy = `${this.disk.stateDirectory}.copy`;
    await rm(copy, { recursive: true, force: true });
    await mkdir(copy, { recursive: true });
    await cp(this.disk.stateDirectory, copy, {
      recursive: true,
      preserveTimestamps: true,
      verbatimSymlinks: true,
    });
    return async () => {
      await rm(this.disk.stateDirectory, { recursive: true, force: true });
      await cp(copy, this.disk.stateDirectory, {
        recursive: true,
        preserveTimestamps: true,
        verbatimSymlinks: true,
      });
    };
  }
}

const volumesOf = (config: Element): string[] =>
  all(find(config, "devices"), "disk").flatMap((disk) => {
    const file = find(disk, "source")?.attributes.file;
    const name = file?.slice(file.lastIndexOf("/") + 1);
    return name === undefined || name === boot ? [] : [`${POOL}/${name}`];
  });

const { PAUSED, SHUTDOWN } = libvirt.DomainState;
const startingUp = libvirt.DomainStateReason.PAUSED.STARTING_UP;
const isOnItsWay = ({ state, reason }: { readonly state: number; readonly reason: number }): boolean =>
  state === SHUTDOWN || (state === PAUSED && reason === startingUp);
const gone = { state: libvirt.DomainState.SHUTOFF, reason: 0 };

const noTap = {
  waiting: 0,
  called: () => undefined,
  answered: () => undefined,
  ended: () => undefined,
};
