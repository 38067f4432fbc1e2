import { execFile, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { spawnBound } from "../support/bound-child.ts";
import { eventually } from "../support/wait.ts";

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const bootNode = join(import.meta.dirname, "boot-node.sh");
/** The root directory of this machine: the node has the packages that scripts/setup --tests installs. */
export const thisMachine = "/";

/** Why no compute node boots from this machine's own root; false: it boots. Runs a command in a container as a probe. */
export function nodeUnavailable(): string | false {
  if (process.getuid?.() !== 0) return "a container that boots systemd needs root";
  for (const program of ["/usr/bin/systemd-nspawn", "/usr/lib/systemd/systemd", "/usr/sbin/libvirtd"])
    if (!existsSync(program)) return `${program} is not installed: run scripts/setup --tests`;
  const probe = spawnSync(bootNode, [thisMachine, import.meta.dirname, "/usr/bin/node", "--version"], {
    encoding: "utf8",
    timeout: 60_000,
  });
  if (probe.status === 0) return false;
  const why = probe.stderr.trim().split("\n").at(-1) ?? "";
  return `no container starts on this machine: ${why || `exit ${probe.status ?? probe.signal}`}`;
}

/** A separate Debian with systemd as PID 1. */
export class ComputeNode {
  readonly #container: ChildProcess;
  #pid1: number;

  private constructor(container: ChildProcess, pid1: number) {
    this.#container = container;
    this.#pid1 = pid1;
  }

  /** Boots the root directory; `shared` is /mnt there, read-only. Writes are lost after `stop`. */
  static async boot(root: string, shared: string): Promise<ComputeNode> {
    const container = spawnBound(bootNode, [root, shared]);
    let words = "";
    for (const output of [container.stdout, container.stderr])
      output.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)));
    try {
      const node = new ComputeNode(container, await systemdIn(container));
      await node.#untilUp();
      return node;
    } catch (cause) {
      container.kill("SIGKILL");
      throw new Error(`the node did not boot; it printed:\n${words}`, { cause });
    }
  }

  /** Runs a command there. Throws with its output if it fails. */
  async run(command: string, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(command, ...args);
    if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${code}\n${stdout}\n${stderr}`);
    return stdout;
  }

  try(command: string, ...args: readonly string[]): Promise<Ended> {
    const enter = ["--target", String(this.#pid1), "--all", "--root", "--wdns=/"];
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive", HOME: "/root" };
    return new Promise((resolve) => {
      execFile(
        "nsenter",
        [...enter, command, ...args],
        { env, timeout: 300_000, maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
      );
    });
  }

  /** Shuts the node down and boots it again; its files stay. */
  async reboot(): Promise<void> {
    const before = this.#pid1;
    await this.try("systemctl", "reboot");
    this.#pid1 = await systemdIn(this.#container, before);
    await this.#untilUp();
  }

  async #untilUp(): Promise<void> {
    await eventually(
      async () => {
        const { stdout } = await this.try("systemctl", "is-system-running");
        return ["running", "degraded"].includes(stdout.trim());
      },
      { what: "the node to be up", timeoutMs: 120_000, intervalMs: 200 },
    );
  }

  async stop(): Promise<void> {
    if (this.#container.exitCode !== null || this.#container.signalCode !== null) return;
    const ended = once(this.#container, "exit");
    this.#container.kill("SIGTERM");
    const timer = setTimeout(() => this.#container.kill("SIGKILL"), 30_000);
    await ended;
    clearTimeout(timer);
  }
}

/** The process of systemd in a container, once it is another one than `before`. */
async function systemdIn(container: ChildProcess, before?: number): Promise<number> {
  const { pid } = container;
  if (pid === undefined) throw new Error("no container was started");
  return await eventually(
    async () => {
      if (container.exitCode !== null) throw new Error("the container ended");
      // The shell of boot-node.sh, systemd-nspawn, systemd.
      for (const shell of await childrenOf(pid))
        for (const child of [shell, ...(await childrenOf(shell))]) {
          const inside = (await childrenOf(child)).find((process) => process !== before);
          if (inside !== undefined && (await commandOf(inside)) === "systemd") return inside;
        }
      return false;
    },
    { what: "systemd in the container", timeoutMs: 180_000 },
  );
}

const childrenOf = async (pid: number): Promise<number[]> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => ""))
    .split(" ")
    .filter((child) => child !== "")
    .map(Number);

const commandOf = async (pid: number): Promise<string> =>
  (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
