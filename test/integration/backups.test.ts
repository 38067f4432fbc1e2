import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { BackupReader } from "./backups-stage.ts";

const MIB = 2 ** 20;
const ROOT_BYTES = 16 * MIB;
const RAW_BYTES = 8 * MIB;

suite("backups over the API", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;
  let libvirt: Libvirt;
  let reader: BackupReader;

  before(async () => {
    host = await SocleHost.start();
    libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    reader = new BackupReader(host);
  });
  after(async () => {
    await libvirt.close();
    await host.stop();
  });

  const disk = (name: string, capacityBytes: number, format: "QCOW2" | "RAW" = "QCOW2") => ({
    name,
    newVolume: { pool: "images", capacityBytes, format: `DISK_FORMAT_${format}` as const },
  });
  const create = async (
    name: string,
    disks = [disk("root", ROOT_BYTES)],
    leaveStopped = false,
  ): Promise<string> => {
    const { error, vmId } = await host.create(linux(name, { disks }), { leaveStopped });
    assert.equal(error, null);
    return vmId;
  };
  /** A block of 64 KiB of one letter, written by the guest. */
  const write = (
    guest: GuestShell,
    device: string,
    letter: string,
    at: number,
    blocks = 1,
  ): Promise<string> =>
    guest.run(
      `dd if=/dev/zero bs=65536 count=${blocks} 2>/dev/null | tr '\\0' ${letter} | dd of=/dev/${device} bs=65536 seek=${at} conv=notrunc,fsync 2>/dev/null; sync`,
    );
  const block = (bytes: Buffer, at: number): string => bytes.toString("latin1", at * 65536, at * 65536 + 3);

  test("a full backup has the disk's bytes at its instant, and increments what the guest wrote since", async () => {
    const id = await create("web", [disk("root", ROOT_BYTES), disk("log", RAW_BYTES, "RAW")]);
    const guest = await GuestShell.join(libvirt, "web");
    await write(guest, "vda", "a", 0, 4);
    await write(guest, "vda", "b", 100, 2);
    await write(guest, "vdb", "c", 7);

    const first = await reader.begin("web");
    assert.equal(first.state, "BACKUP_STATE_OPEN");
    assert.deepEqual(
      first.disks.map(({ disk: name, incremental, fullReason }) => [name, incremental, fullReason]),
      [
        ["root", false, ""],
        ["log", false, ""],
      ],
    );
    // The guest goes on, and the backup does not see it.
    await write(guest, "vda", "x", 0);
    await write(guest, "vda", "y", 200);
    const root = await reader.read("web", first.backupId, "root", Buffer.alloc(ROOT_BYTES));
    assert.deepEqual(
      [block(root.bytes, 0), block(root.bytes, 100), block(root.bytes, 200)],
      ["aaa", "bbb", "\0\0\0"],
    );
    assert.ok(root.contentBytes < 2 * MIB, `${root.contentBytes} bytes: holes are not read`);
    assert.ok((await reader.byQemu(first, "root")).equals(root.bytes));
    const log = await reader.read("web", first.backupId, "log", Buffer.alloc(RAW_BYTES));
    assert.equal(block(log.bytes, 7), "ccc");
    assert.ok((await reader.byQemu(first, "log")).equals(log.bytes));
    assert.ok((await reader.get("web", first.backupId)).scratchUsedBytes > 65536);
    await reader.finish("web", first.backupId);
    assert.deepEqual(await reader.checkpoints("web"), [first.backupId]);
    assert.deepEqual(await reader.files(id), [`socle-${id}-log.raw`, `socle-${id}-root.qcow2`]);
    assert.equal(await reader.job("web"), "none");
    assert.deepEqual(await reader.sockets(), []);

    await write(guest, "vda", "z", 201);
    const second = await reader.begin("web", { baseBackup: first.backupId });
    assert.deepEqual(
      second.disks.map(({ incremental, fullReason }) => [incremental, fullReason]),
      [
        [true, ""],
        [false, "RAW"],
      ],
    );
    const extents = await reader.extents("web", second.backupId, "root");
    assert.deepEqual(
      extents.map(({ offsetBytes, lengthBytes, zero }) => [offsetBytes / 65536, lengthBytes / 65536, zero]),
      [
        [0, 1, false],
        [200, 2, false],
      ],
    );
    const since = await reader.read("web", second.backupId, "root", root.bytes);
    assert.equal(since.contentBytes, 3 * 65536);
    assert.ok((await reader.byQemu(second, "root")).equals(since.bytes));
    await reader.finish("web", second.backupId);
    assert.deepEqual(await reader.checkpoints("web"), [second.backupId]);
    const [newest, ...rest] = await reader.list("web");
    assert.deepEqual(
      [newest?.backupId, newest?.state, rest.length],
      [second.backupId, "BACKUP_STATE_COMPLETE", 0],
    );
    await guest.close();
    await host.remove("web");
    assert.deepEqual(await reader.files(id), []);
  });
});
