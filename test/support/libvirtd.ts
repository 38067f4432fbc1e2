import { execFile, spawn, type ChildProcessByStdio } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { promisify } from "node:util";
import { eventually, within } from "./wait.ts";

const script = join(import.meta.dirname, "private-host.sh");
const startTimeoutMs = 60_000;
/** systemd's deadline. A libvirtd with a stuck worker ends by itself, after slightly more than 30 s. */
const endTimeoutMs = 90_000;

export interface LibvirtdOptions {
  /** Lines for libvirtd.conf, e.g. `max_client_requests = 2`. */
  readonly libvirtdConf?: readonly string[];
  /** Lines for qemu.conf. */
  readonly qemuConf?: readonly string[];
  /** A daemon for each driver instead of one libvirtd: see modular-daemons.sh. */
  readonly modular?: boolean;
}

/** A process of libvirt. */
export type DaemonName =
  | "libvirtd"
  | "virtqemud"
  | "virtnetworkd"
  | "virtstoraged"
  | "virtnodedevd"
  | "virtsecretd"
  | "virtnwfilterd";

/** Why no private libvirtd can run here, or false: for a test's `skip` option. */
export function libvirtdUnavailable(): string | false {
  if (process.getuid?.() !== 0) return "a private libvirtd needs root (namespaces)";
  if (!existsSync("/usr/sbin/libvirtd")) return "libvirt is not installed: run scripts/setup --tests";
  return false;
}

/** The same for `modular`. */
export function modularUnavailable(): string | false {
  if (process.arch !== "x64") return "modular-daemon.S is for x86-64";
  if (!existsSync("/usr/bin/as")) return "binutils is not installed: run scripts/setup --tests";
  return libvirtdUnavailable();
}

/**
 * A test's own real libvirtd: see private-host.sh. Guests survive its restart and end with `stop`. With
 * `modular` the methods concern virtqemud unless another daemon is named.
 */
export class Libvirtd {
  /** Its whole folder; readable by QEMU's user, and at the same path inside and outside its namespaces. */
  readonly directory: string;
  /** The folder of `/run/libvirt` inside. */
  readonly runDirectory: string;
  readonly socketPath: string;
  /** The URI for libvirt's clients, virsh and Socle alike. */
  readonly uri: string;
  /** A folder for disks and kernels that its guests can reach. */
  readonly imagesDirectory: string;
  /** The folder of sockets that QEMU makes for an agent: its `guest.socketDirectory`. */
  readonly socketDirectory: string;
  readonly hostUuid: string;
  readonly #host: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #main: DaemonName;
  #printed = "";

  private constructor(directory: string, hostUuid: string, modular: boolean) {
    this.directory = directory;
    this.hostUuid = hostUuid;
    this.#main = modular ? "virtqemud" : "libvirtd";
    this.runDirectory = join(directory, "run/libvirt");
    this.socketPath = join(this.runDirectory, modular ? "virtqemud-sock" : "libvirt-sock");
    this.uri = `qemu:///system?socket=${this.socketPath}`;
    this.imagesDirectory = join(directory, "images");
    this.socketDirectory = join(directory, "sockets");
    // In its own process group, so that Ctrl-C reaches only the test; unreferenced, so that a test that fails
    // to stop it still ends, which closes its stdin and stops it.
    const kind = modular ? "modular" : "monolithic";
    this.#host = spawn("bash", [script, directory, kind], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#host.unref();
    for (const stream of [this.#host.stdin, this.#host.stdout, this.#host.stderr]) unref(stream);
    this.#host.stdin.on("error", () => undefined);
    this.#host.stderr.on("data", (chunk: Buffer) => (this.#printed += chunk.toString()));
    this.#lines = createInterface(this.#host.stdout)[Symbol.asyncIterator]();
  }

  static async start(options: LibvirtdOptions = {}): Promise<Libvirtd> {
    const directory = await mkdtemp(join(tmpdir(), "socle-lab-"));
    await chmod(directory, 0o711);
    await mkdir(join(directory, "images"), { mode: 0o711 });
    await mkdir(join(directory, "etc"));
    const hostUuid = randomUUID();
    const libvirtdConf = [
      `host_uuid = "${hostUuid}"`,
      `auth_unix_rw = "none"`,
      `unix_sock_group = "libvirt"`,
      `unix_sock_rw_perms = "0770"`,
      `log_outputs = "3:file:/var/log/libvirt/libvirtd.log"`,
      ...(options.libvirtdConf ?? []),
    ];
    const qemuConf = [`security_driver = "none"`, ...(options.qemuConf ?? [])];
    await writeFile(join(directory, "etc/libvirtd.conf"), libvirtdConf.join("\n") + "\n");
    await writeFile(join(directory, "etc/qemu.conf"), qemuConf.join("\n") + "\n");
    const libvirtd = new Libvirtd(directory, hostUuid, options.modular ?? false);
    try {
      await libvirtd.#ready();
    } catch (cause) {
      await libvirtd.stop();
      throw cause;
    }
    return libvirtd;
  }

  /** The process id of libvirtd outside its namespaces; rejects when it does not run. */
  async pid(daemon: DaemonName = this.#main): Promise<number> {
    for (const child of await childrenOf(await this.#initPid())) {
      if ((await commandOf(child)) === daemon) return child;
    }
    throw new Error(`${daemon} does not run`);
  }

  /** SIGSTOP makes it hang, SIGCONT ends that, SIGKILL is a crash (returns once it has ended). */
  async kill(
    signal: "SIGSTOP" | "SIGCONT" | "SIGKILL" | "SIGTERM",
    daemon: DaemonName = this.#main,
  ): Promise<void> {
    const pid = await this.pid(daemon);
    process.kill(pid, signal);
    if (signal === "SIGSTOP" || signal === "SIGCONT") return;
    const options = { what: `${daemon} to end`, timeoutMs: endTimeoutMs };
    await eventually(() => !existsSync(`/proc/${pid}`), options);
  }

  /** Starts a killed daemon again; the guests have kept running. */
  async startAgain(): Promise<void> {
    this.#host.stdin.write("start\n");
    await this.#ready();
  }

  /** Runs a command in its namespaces, without a shell: for bridges, links, and its guests' network. */
  async run(command: string, args: readonly string[]): Promise<string> {
    const init = await this.#initPid();
    const namespaces = ["--target", String(init), "--mount", "--net", "--uts", "--pid"];
    const { stdout } = await promisify(execFile)("nsenter", [...namespaces, command, ...args], {
      timeout: 30_000,
    });
    return stdout.trim();
  }

  /** libvirtd's log at warning level and above: for the message of a failing test. */
  log(daemon: DaemonName = this.#main): Promise<string> {
    return readFile(join(this.directory, `log/${daemon}.log`), "utf8").catch(() => "");
  }

  /** Kills it and its guests, and removes all its files. */
  async stop(): Promise<void> {
    if (this.#host.exitCode !== null || this.#host.signalCode !== null) return;
    const ended = once(this.#host, "exit");
    this.#host.ref();
    this.#host.stdin.end();
    await within(ended, 60_000, `the namespaces of ${this.directory} to end`);
  }

  async #ready(): Promise<void> {
    const line = await within(this.#lines.next(), startTimeoutMs, "a private libvirtd to start");
    if (line.done === true || line.value !== "ready") {
      throw new Error(`a private libvirtd did not start: ${this.#printed}\n${await this.log()}`);
    }
  }

  async #initPid(): Promise<number> {
    const [unshare] = await childrenOf(this.#host.pid ?? 0);
    const [init] = unshare === undefined ? [] : await childrenOf(unshare);
    if (init === undefined) throw new Error(`the namespaces of ${this.directory} are gone: ${this.#printed}`);
    return init;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

async function commandOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
}

/** A child's pipes are sockets, which their type does not state. */
function unref(pipe: Readable | Writable): void {
  if (pipe instanceof Socket) pipe.unref();
}
