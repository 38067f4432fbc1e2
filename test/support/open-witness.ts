import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Libvirtd } from "./libvirtd.ts";
import { eventually } from "./wait.ts";

/**
 * Records what libvirtd and all that it starts (qemu-img, QEMU) open and run, by strace: a second path beside libvirt and the
 * agent.
 */
export class OpenWitness {
  readonly #strace: ChildProcess;
  readonly #file: string;

  private constructor(strace: ChildProcess, file: string) {
    this.#strace = strace;
    this.#file = file;
  }

  static async unavailable(): Promise<string | false> {
    const found = await promisify(execFile)("strace", ["--version"]).catch(() => undefined);
    return found === undefined ? "needs strace" : false;
  }

  static async of(libvirtd: Libvirtd): Promise<OpenWitness> {
    const pid = await libvirtd.pid();
    const file = join(libvirtd.directory, `opened-${pid}`);
    await rm(file, { force: true });
    const calls = "trace=open,openat,openat2,creat,connect,execve";
    const strace = spawn("strace", ["-f", "-qq", "-s", "4096", "-e", calls, "-o", file, "-p", String(pid)], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    const isTraced = async (): Promise<boolean> =>
      !/^TracerPid:\s+0$/m.test(await readFile(`/proc/${pid}/status`, "utf8"));
    await eventually(isTraced, { what: "strace to be attached" });
    return new OpenWitness(strace, file);
  }

  /** Each line of strace, without the process ids. */
  async lines(): Promise<string[]> {
    return (await readFile(this.#file, "utf8")).split("\n").map((line) => line.replace(/^\d+ +/, ""));
  }

  /** The files that were opened, or that something tried to open. */
  async opened(): Promise<Set<string>> {
    const paths = (await this.lines()).flatMap((line) => {
      const [, path] =
        /^(?:open|openat|openat2|creat)\((?:AT_FDCWD, |\d+, )?"((?:[^"\\]|\\.)*)"/.exec(line) ?? [];
      return path ?? [];
    });
    return new Set(paths);
  }

  async stop(): Promise<void> {
    const isGone = once(this.#strace, "exit");
    this.#strace.kill("SIGINT");
    await isGone;
    await rm(this.#file, { force: true });
  }
}
