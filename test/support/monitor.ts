import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { qemuOf } from "./qemu-of.ts";
import { eventually } from "./wait.ts";

type Answer = { readonly return?: unknown; readonly error?: { readonly desc: string } };

/** The monitor of a VM's QEMU, which accepts one client: only while no libvirtd is connected to it. */
export class Monitor {
  readonly #pid: number;
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  static async of(vmId: string): Promise<Monitor> {
    const pid = await qemuOf(vmId);
    const directory = `/proc/${pid}/root/var/lib/libvirt/qemu`;
    for (const name of (await readdir(directory)).filter((each) => each.startsWith("domain-"))) {
      const path = join(directory, name, "monitor.sock");
      if (!existsSync(path)) continue;
      const socket = connect(path);
      await once(socket, "connect");
      const monitor = new Monitor(pid, socket);
      await monitor.#lines.next();
      await monitor.#execute("qmp_capabilities");
      const { UUID } = (await monitor.#execute("query-uuid")) as { UUID: string };
      if (UUID === vmId) return monitor;
      socket.destroy();
    }
    throw new Error(`there is no monitor of ${vmId}`);
  }

  private constructor(pid: number, socket: Socket) {
    this.#pid = pid;
    this.#socket = socket;
    socket.on("error", () => undefined);
    this.#lines = createInterface(socket)[Symbol.asyncIterator]();
  }

  /** Switches the guest to the target of its only block job. */
  async pivot(): Promise<void> {
    const jobs = async (): Promise<readonly { id: string; status: string }[]> =>
      (await this.#execute("query-jobs")) as { id: string; status: string }[];
    const [job, ...others] = await jobs();
    assert.ok(job !== undefined && others.length === 0, "one block job");
    await this.#execute("job-complete", { id: job.id });
    await eventually(async () => (await jobs()).every(({ status }) => status === "concluded"), {
      what: "the block job to conclude",
    });
  }

  /** Ends the connection as a libvirtd does that dies after it has read how the block job ended. */
  async forget(): Promise<void> {
    for (const { id } of (await this.#execute("query-jobs")) as readonly { id: string }[])
      await this.#execute("job-dismiss", { id });
    this.#socket.destroy();
  }

  /** Writes as the guest does to a disk. */
  async writes(disk: string, pattern: string, bytes: string): Promise<void> {
    const device = `/machine/peripheral/ua-disk-${disk}/virtio-backend`;
    const line = `qemu-io -d ${device} "write -P ${pattern} 0 ${bytes}"`;
    const printed = await this.#execute("human-monitor-command", { "command-line": line });
    assert.equal(printed, "", "QEMU has written");
  }

  /** Ends QEMU. */
  async quit(): Promise<void> {
    await this.#execute("quit");
    await eventually(() => !existsSync(`/proc/${this.#pid}`), { what: "QEMU to end" });
    this.#socket.destroy();
  }

  async #execute(execute: string, args: object = {}): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    for (;;) {
      const next = await this.#lines.next();
      if (next.done === true) throw new Error(`QEMU ended at ${execute}`);
      const answer = JSON.parse(next.value) as Answer;
      if (answer.error !== undefined) throw new Error(`${execute}: ${answer.error.desc}`);
      if ("return" in answer) return answer.return;
    }
  }
}
