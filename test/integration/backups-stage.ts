import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Backup__Output } from "../../agent/gen/socle/v1/Backup.ts";
import type { BeginBackupRequest } from "../../agent/gen/socle/v1/BeginBackupRequest.ts";
import type { Extent__Output } from "../../agent/gen/socle/v1/Extent.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { SocleHost } from "../support/socle-host.ts";

const run = promisify(execFile);

/** What a reader of backups does, over the agent's API, and the same by QEMU's own tools. */
export class BackupReader {
  readonly host: SocleHost;

  constructor(host: SocleHost) {
    this.host = host;
  }

  get #service() {
    return this.host.client.contract.backups;
  }

  beginning(vm: string, request: BeginBackupRequest = {}): Promise<Operation__Output> {
    return this.host.client.ask(this.#service.BeginBackup, { requestId: randomUUID(), vm, ...request });
  }

  /** Of an open backup. */
  async begin(vm: string, request: BeginBackupRequest = {}): Promise<Backup__Output> {
    const { error, result, steps } = await this.host.end(await this.beginning(vm, request), 180_000);
    assert.equal(error, null, `${JSON.stringify(error)} ${JSON.stringify(steps)}`);
    return await this.get(vm, result["backup_id"] ?? assert.fail("no id"));
  }

  get(vm: string, backupId: string): Promise<Backup__Output> {
    return this.host.client.ask(this.#service.GetBackup, { vm, backupId });
  }

  async list(vm: string): Promise<readonly Backup__Output[]> {
    return (await this.host.client.ask(this.#service.ListBackups, { vm })).backups;
  }

  finishing(vm: string, backupId: string, success: boolean): Promise<Operation__Output> {
    return this.host.client.ask(this.#service.FinishBackup, {
      requestId: randomUUID(),
      vm,
      backupId,
      success,
    });
  }

  async finish(vm: string, backupId: string, success = true): Promise<void> {
    const { error, steps } = await this.host.end(await this.finishing(vm, backupId, success), 180_000);
    assert.equal(error, null, `${JSON.stringify(error)} ${JSON.stringify(steps)}`);
  }

  async extents(vm: string, backupId: string, disk: string): Promise<Extent__Output[]> {
    const all: Extent__Output[] = [];
    const asked = { vm, backupId, disk };
    for await (const { extents } of this.host.client.watch(this.#service.ListExtents, asked))
      all.push(...extents);
    return all;
  }

  /** The disk's bytes: those that were read over those of the base. */
  async read(
    vm: string,
    backupId: string,
    disk: string,
    base: Buffer,
  ): Promise<{ readonly bytes: Buffer; readonly contentBytes: number }> {
    const bytes = Buffer.from(base);
    let [contentBytes, end] = [0, 0];
    const asked = { vm, backupId, disk };
    for await (const piece of this.host.client.watch(this.#service.ReadExtents, asked)) {
      const { offsetBytes, content, zeroBytes } = piece;
      assert.ok(offsetBytes >= end, "by offset");
      assert.ok(content.length <= 256 * 1024);
      if (zeroBytes > 0) bytes.fill(0, offsetBytes, offsetBytes + zeroBytes);
      else content.copy(bytes, offsetBytes);
      contentBytes += content.length;
      end = offsetBytes + Math.max(content.length, zeroBytes);
    }
    return { bytes, contentBytes };
  }

  /** The disk's bytes by qemu-img, over the same socket. */
  async byQemu({ nbdUri, disks }: Backup__Output, disk: string): Promise<Buffer> {
    const device = disks.find((each) => each.disk === disk)?.nbdExport ?? assert.fail(`no ${disk}`);
    const file = join(this.host.agent.directory, `${randomUUID()}.raw`);
    await run("qemu-img", ["convert", "-O", "raw", nbdUri.replace("///?", `///${device}?`), file]);
    return await readFile(file);
  }

  async files(vmId: string): Promise<string[]> {
    return (await readdir(this.host.libvirtd.imagesDirectory))
      .filter((name) => name.startsWith(`socle-${vmId}`))
      .sort();
  }

  async checkpoints(vm: string): Promise<string[]> {
    const names = await this.host.virsh("checkpoint-list", "--name", vm);
    return names.split("\n").filter((name) => name !== "");
  }

  /** libvirt's job of the VM, over virsh. */
  async job(vm: string): Promise<string> {
    return /Operation:\s+(\S+)/.exec(await this.host.virsh("domjobinfo", vm))?.[1] ?? "none";
  }

  /** The sockets that QEMU has made. */
  sockets(): Promise<string[]> {
    return readdir(this.host.libvirtd.socketDirectory);
  }
}
