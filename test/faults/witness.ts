import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Libvirtd } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";

/** A guest's process, distinguished from a later one with the same number. */
export interface GuestProcess {
  readonly pid: number;
  /** Clock ticks since boot (proc(5), field 22 of stat). */
  readonly startTicks: number;
}

/** The real state, from virsh, QEMU's logs and the kernel: never from the agent or through the proxy. */
export class Witness {
  readonly #libvirtd: Libvirtd;

  constructor(libvirtd: Libvirtd) {
    this.#libvirtd = libvirtd;
  }

  virsh(...args: string[]): Promise<string> {
    return virsh(this.#libvirtd.uri, args);
  }

  /**
   * virsh's states by name: "running", "paused", "shut off". virsh silently omits a domain whose state it could not read, for
   * example without libvirtd, so the names are read as well.
   */
  async states(): Promise<Map<string, string>> {
    const table = async (): Promise<Map<string, string> | undefined> => {
      const lines = (await this.virsh("list --all --name; list --all")).split("\n");
      const states = new Map(
        lines.flatMap((line) => {
          const [, name, state] = /^\s*\S+\s+(\S+)\s+(\S.*)$/.exec(line) ?? [];
          return name === undefined || state === undefined ? [] : [[name, state.trim()] as const];
        }),
      );
      const names = lines.map((line) => line.trim()).filter((line) => /^\S+$/.test(line));
      return names.every((name) => states.has(name)) ? states : undefined;
    };
    for (let left = 20; left > 0; left -= 1) {
      const states = await table();
      if (states !== undefined) return states;
    }
    throw new Error("virsh repeatedly lists domains without their states");
  }

  async state(name: string): Promise<string | undefined> {
    return (await this.states()).get(name);
  }

  /** The names of Socle's volumes. */
  async volumes(pool = "images"): Promise<string[]> {
    const lines = (await this.virsh(`pool-refresh ${pool}; vol-list ${pool}`)).split("\n");
    return lines
      .flatMap((line) => line.trim().split(/\s+/)[0] ?? [])
      .filter((name) => name.startsWith("socle-"));
  }

  /** The total number of QEMU starts for a domain of this name: libvirt logs each start in the guest's log. */
  async starts(name: string): Promise<number> {
    return (await this.#guestLog(name)).match(/^\S+ \S+: starting up libvirt version/gm)?.length ?? 0;
  }

  /** The last starts and ends of a domain's QEMU with their times and reasons, as libvirt and QEMU log them. */
  async lastRuns(name: string): Promise<string> {
    const lines = (await this.#guestLog(name)).split("\n");
    return lines
      .filter((line) => /: (starting up|shutting down|terminating|.*error)/i.test(line))
      .slice(-6)
      .map((line) => line.slice(0, 200))
      .join("; ");
  }

  async #guestLog(name: string): Promise<string> {
    return await readFile(join(this.#libvirtd.directory, "log/qemu", `${name}.log`), "utf8").catch(() => "");
  }

  /** The QEMU of a guest by its UUID; undefined: none runs. */
  async process(vmId: string): Promise<GuestProcess | undefined> {
    for (const entry of await readdir("/proc")) {
      if (!/^\d+$/.test(entry)) continue;
      const command = await readFile(`/proc/${entry}/cmdline`, "latin1").catch(() => "");
      if (!command.includes(`\0-uuid\0${vmId}\0`)) continue;
      const stat = await readFile(`/proc/${entry}/stat`, "latin1").catch(() => "");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z" || stat === "") continue;
      return { pid: Number(entry), startTicks: Number(fields[19]) };
    }
    return undefined;
  }
}

export const isSame = (one: GuestProcess | undefined, other: GuestProcess | undefined): boolean =>
  one !== undefined && one.pid === other?.pid && one.startTicks === other.startTicks;
