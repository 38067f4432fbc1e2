import { eventually } from "../support/wait.ts";
import type { ComputeNode } from "./compute-node.ts";

/** The service that the Debian package installs on a node. */
export class InstalledAgent {
  readonly #node: ComputeNode;

  constructor(node: ComputeNode) {
    this.#node = node;
  }

  async property(name: string): Promise<string> {
    return (await this.#node.run("systemctl", "show", "-P", name, "socle-agent")).trim();
  }

  async mainPid(): Promise<number> {
    return Number(await this.property("MainPID"));
  }

  /** systemd reports the service active, and the agent answers its own command. */
  async answers(): Promise<boolean> {
    return (
      (await this.property("ActiveState")) === "active" &&
      (await this.#node.try("socle", "status")).code === 0
    );
  }

  async ready(what = "the agent to be ready"): Promise<void> {
    await eventually(() => this.answers(), { what, timeoutMs: 60_000 });
  }

  /** Waits until another process than `pid` serves. */
  async replaced(pid: number, what: string): Promise<void> {
    await eventually(async () => (await this.mainPid()) !== pid && (await this.answers()), {
      what,
      timeoutMs: 120_000,
      intervalMs: 100,
    });
  }
}

/** The QEMU process of a guest with its start time: the same text is the same guest, never restarted. */
export async function qemuOf(node: ComputeNode, guest: string): Promise<string> {
  return (
    (await node.run("pgrep", "-f", `guest=${guest},`)).trim() +
    (await node.run("ps", "-C", "qemu-system-x86_64,qemu-system-x86", "-o", "pid=,lstart="))
  );
}
