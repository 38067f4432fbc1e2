// Backups of encrypted disks: what the guest wrote is nowhere in clear, and qemu-img reads the directory with the passphrase alone.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { silentLog } from "../../agent/kernel/log.ts";
import type { Manifest } from "../../agent/cli/backup/manifest.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { BackupReader } from "./backups-stage.ts";
import { restoreDisk } from "./restore-stage.ts";

const MIB = 2 ** 20;
const run = promisify(execFile);

suite("backups of encrypted disks", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;
  let libvirt: Libvirt;
  let reader: BackupReader;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-sealed-"));
    const volumeKeyFile = join(directory, "volume-key");
    await writeFile(volumeKeyFile, randomBytes(32), { mode: 0o600 });
    host = await SocleHost.start({ config: { vm: { volumeKeyFile, allowForgeableRawDisks: true } } });
    await eventually(async () => (await host.host()).inventory?.complete, {
      what: "the host's traits to be known",
      timeoutMs: 60_000,
    });
    libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    reader = new BackupReader(host);
  });
  after(async () => {
    await libvirt.close();
    await host.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const disk = (name: string, format: "QCOW2" | "RAW", isEncrypted = true) => ({
    name,
    newVolume: {
      ...{ pool: "images", capacityBytes: 16 * MIB, format: `DISK_FORMAT_${format}` as const },
      ...(isEncrypted && { encryption: "VOLUME_ENCRYPTION_LUKS" as const }),
    },
  });
  /** Fills a block of 64 KiB with the word. */
  const write = (guest: GuestShell, device: string, word: string, at: number): Promise<string> =>
    guest.run(
      `yes ${word} | head -c 65536 | dd of=/dev/${device} bs=65536 seek=${at} conv=notrunc,fsync 2>/dev/null; sync`,
    );
  const inClear = async (at: string, word: string): Promise<string[]> => {
    const files = (await readdir(at, { withFileTypes: true })).filter((entry) => entry.isFile());
    const found: string[] = [];
    for (const { name } of files) if ((await readFile(join(at, name))).includes(word)) found.push(name);
    return found;
  };

  test("the scratch volume of an encrypted disk is encrypted, and its backup needs consent", async () => {
    const { error, vmId } = await host.create(
      linux("sealed", { disks: [disk("root", "QCOW2"), disk("log", "RAW"), disk("open", "QCOW2", false)] }),
    );
    assert.equal(error, null, JSON.stringify(error));
    const guest = await GuestShell.join(libvirt, "sealed");
    await write(guest, "vda", "firstword", 3);
    await write(guest, "vdb", "rawword", 3);
    const refused = await reader.beginning("sealed").then(
      () => assert.fail("it began"),
      (thrown: unknown) => thrown as { reason: string },
    );
    assert.equal(refused.reason, "BACKUP_NOT_ENCRYPTED");
    const first = await reader.begin("sealed", { allowEncrypted: true });
    await write(guest, "vda", "secondword", 3);
    await write(guest, "vdb", "secondword", 3);
    const scratch = `socle-${vmId}-root.backup-${first.backupId}.qcow2`;
    const { stdout } = await run("qemu-img", [
      ...["info", "-U", "--output=json"],
      join(host.libvirtd.imagesDirectory, scratch),
    ]);
    assert.equal((JSON.parse(stdout) as { encrypted?: boolean }).encrypted, true, stdout);
    await eventually(async () => (await reader.get("sealed", first.backupId)).scratchUsedBytes > 65536, {
      what: "the scratch volume to be seen",
    });
    for (const word of ["firstword", "rawword", "secondword"])
      assert.deepEqual(await inClear(host.libvirtd.imagesDirectory, word), []);
    const root = await reader.read("sealed", first.backupId, "root", Buffer.alloc(16 * MIB));
    assert.equal(root.bytes.toString("latin1", 3 * 65536, 3 * 65536 + 9), "firstword");
    assert.ok((await reader.byQemu(first, "root")).equals(root.bytes));
    const log = await reader.read("sealed", first.backupId, "log", Buffer.alloc(16 * MIB));
    assert.equal(log.bytes.toString("latin1", 3 * 65536, 3 * 65536 + 7), "rawword");
    await reader.finish("sealed", first.backupId);
    await guest.close();
    // libvirt has forgotten the passphrases, and the guest runs on.
    await host.libvirtd.kill("SIGTERM");
    await host.libvirtd.startAgain();
    await host.untilListed();
    const second = await reader.begin("sealed", { allowEncrypted: true, baseBackup: first.backupId });
    assert.equal(second.disks[0]?.incremental, true);
    const since = await reader.read("sealed", second.backupId, "root", root.bytes);
    assert.equal(since.bytes.toString("latin1", 3 * 65536, 3 * 65536 + 10), "secondword");
    await reader.finish("sealed", second.backupId);
    assert.equal((await host.remove("sealed")).error, null);
    assert.deepEqual(await reader.files(vmId), []);
  });

  /** Exit code, and what it printed. */
  const socle = async (...line: readonly string[]): Promise<{ code: number; text: string }> => {
    const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
    return await run(process.execPath, [...socleCommand, "vm", ...line], { env }).then(
      ({ stdout, stderr }) => ({ code: 0, text: `${stdout}${stderr}` }),
      (thrown: unknown) => {
        const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
        return { code, text: `${stdout}${stderr}` };
      },
    );
  };
  const ends = async (code: number, pattern: RegExp, ...line: readonly string[]): Promise<void> => {
    const ended = await socle(...line);
    assert.equal(ended.code, code, ended.text);
    assert.match(ended.text, pattern);
  };
  const of = (name: string): string => join(directory, name);
  const at = (): string => of("web");
  const withKey = (name = "key"): string[] => ["--passphrase-file", of(name)];
  const text = (bytes: Buffer, block: number, length: number): string =>
    bytes.toString("latin1", block * 65536, block * 65536 + length);
  /** The disk of the newest backup, by qemu-img with the passphrase alone. */
  const byQemuImg = async (name: string, key = "key"): Promise<Buffer> => {
    const { backups } = JSON.parse(await readFile(join(at(), "manifest.json"), "utf8")) as Manifest;
    const newest = backups.at(-1)?.disks.find((each) => each.disk === name) ?? assert.fail(name);
    const below = newest.base === undefined ? "" : ",backing.encrypt.key-secret=backup";
    const raw = of(`${name}.raw`);
    await run("qemu-img", [
      ...["convert", "--object", `secret,id=backup,file=${of(key)}`, "--image-opts"],
      `driver=qcow2,encrypt.key-secret=backup${below},file.filename=${join(at(), newest.file)}`,
      ...["-O", "raw", raw],
    ]);
    return await readFile(raw);
  };
  const disks = [disk("root", "QCOW2"), disk("log", "RAW"), disk("open", "QCOW2", false)];
  const isSameAsGuests = async (): Promise<void> => {
    const open = await reader.begin("web", { allowEncrypted: true });
    for (const { name } of disks)
      assert.ok((await reader.byQemu(open, name)).equals(await byQemuImg(name)), name);
    await reader.finish("web", open.backupId, false);
  };
  const words = ["firstword", "secondword", "rawword", "openword"];

  test("the files of a VM with encrypted disks are encrypted, and qemu-img reads the chain with the passphrase", async () => {
    const { error } = await host.create(linux("web", { disks }));
    assert.equal(error, null, JSON.stringify(error));
    await writeFile(of("key"), "the passphrase\n", { mode: 0o600 });
    await writeFile(of("other"), "another passphrase\n", { mode: 0o600 });
    await writeFile(of("seen"), "the passphrase\n", { mode: 0o644 });
    const guest = await GuestShell.join(libvirt, "web");
    await write(guest, "vda", "firstword", 3);
    await write(guest, "vdb", "rawword", 5);
    await write(guest, "vdc", "openword", 7);
    const create = ["backup", "create", "web", "--to", at()];
    await ends(5, /--passphrase-file encrypts/, ...create);
    await ends(2, /chmod 600/, ...create, ...withKey("seen"));
    assert.deepEqual(await readdir(at()).catch(() => []), []);
    await ends(0, /full, 3 disks/, ...create, ...withKey());
    await isSameAsGuests();
    await write(guest, "vda", "secondword", 9);
    // A part of a cluster that the base has, and zeros over another.
    await guest.run("echo changed | dd of=/dev/vda bs=512 seek=384 conv=notrunc,fsync 2>/dev/null; sync");
    await ends(2, /does not open with this passphrase/, ...create, ...withKey("other"));
    await ends(2, /is encrypted: name the file/, ...create, "--disk", "open");
    assert.deepEqual(
      (await reader.list("web")).map(({ state }) => state),
      ["BACKUP_STATE_COMPLETE"],
    );
    await ends(0, /disk log is full/, ...create, ...withKey());
    const root = await byQemuImg("root");
    assert.deepEqual(
      [text(root, 3, 7), text(root, 4, 4), text(root, 9, 10), text(await byQemuImg("log"), 5, 7)],
      ["changed", "\0\0\0\0", "secondword", "rawword"],
    );
    await isSameAsGuests();
    await assert.rejects(byQemuImg("root", "other"), /Invalid password/);
    for (const word of [...words, "changed"]) assert.deepEqual(await inClear(at(), word), [], word);
    await ends(0, /as written/, "backup", "verify", at());
    await guest.close();
  });

  test("a restored VM has its disks encrypted under passphrases of its own, and reads what was backed up", async () => {
    const restore = ["restore", at(), "--name", "again", "--yes"];
    await ends(2, /is encrypted: name the file/, ...restore);
    await ends(2, /does not open with this passphrase/, ...restore, ...withKey("other"));
    assert.deepEqual(await host.domains(), ["web"]);
    await ends(0, /done/, ...restore, ...withKey(), "--start");
    const vmId = /<uuid>(.*)<\/uuid>/.exec(await host.virsh("dumpxml", "again"))?.[1] ?? assert.fail();
    const guest = await GuestShell.join(libvirt, "again");
    const read = async (device: string, block: number): Promise<string> =>
      await guest.run(`dd if=/dev/${device} bs=65536 skip=${block} count=1 2>/dev/null | head -c 10; echo`);
    assert.match(await read("vda", 3), /changed/);
    assert.match(await read("vda", 9), /secondword/);
    assert.match(await read("vdb", 5), /rawword/);
    assert.match(await read("vdc", 7), /openword/);
    await write(guest, "vda", "thirdword", 11);
    await guest.close();
    const pathOf = (name: string): string => join(host.libvirtd.imagesDirectory, `socle-${vmId}-${name}`);
    await host.virsh("destroy", "again");
    for (const [name, driver] of [
      ["root.qcow2", "qcow2,encrypt."],
      ["log.qcow2", "qcow2,encrypt."],
    ] as const) {
      const bytes = await readFile(pathOf(name));
      for (const word of [...words, "changed", "thirdword"])
        assert.ok(!bytes.includes(word), `${name}: ${word}`);
      const opens = run("qemu-io", [
        ...["-r", "--object", `secret,id=backup,file=${of("key")}`, "-c", "read 0 512", "--image-opts"],
        `driver=${driver}key-secret=backup,file.filename=${pathOf(name)}`,
      ]);
      await assert.rejects(opens, /Invalid password/);
    }
    // The plain disk is plain again.
    await run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", of("open.raw"), pathOf("open.qcow2")]);
    // As every other encrypted VM: it starts again, and an erased header is enough.
    await ends(0, /done/, "start", "again");
    await ends(0, /done/, "rm", "again", "--yes", "--erase", "--force");
    assert.deepEqual(await host.domains(), ["web"]);
  });

  test("an archive is encrypted too, and another name boots of it", async () => {
    const archive = of("web.tar");
    await ends(5, /--passphrase-file encrypts/, "export", "web", archive);
    await ends(0, /done/, "export", "web", archive, ...withKey());
    for (const word of words) assert.ok(!(await readFile(archive)).includes(word), word);
    const load = ["import", archive, "--name", "moved", "--yes", "--start"];
    await ends(2, /is encrypted: name the file/, ...load);
    await ends(0, /done/, ...load, ...withKey());
    const guest = await GuestShell.join(libvirt, "moved");
    assert.match(
      await guest.run("dd if=/dev/vda bs=65536 skip=9 count=1 2>/dev/null | head -c 10; echo"),
      /secondword/,
    );
    await guest.close();
    assert.equal((await host.remove("moved")).error, null);
  });

  test("an image in another order is not taken for an encrypted disk, and leaves nothing in clear", async () => {
    const made = await host.create(linux("filled", { disks: [disk("root", "QCOW2")] }), {
      leaveStopped: true,
    });
    assert.equal(made.error, null);
    await writeFile(of("plain.raw"), Buffer.alloc(16 * MIB).fill("cleartext", MIB, 2 * MIB));
    await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", of("plain.raw"), of("plain.qcow2")]);
    const end = await restoreDisk(host, "filled", await readFile(of("plain.qcow2")));
    assert.equal(host.failureOf(end)?.reason, "IMAGE_FORMAT_MISMATCH");
    assert.deepEqual(await inClear(host.libvirtd.imagesDirectory, "cleartext"), []);
    await ends(5, /is not complete/, "start", "filled");
    for (const vm of ["filled", "web"]) assert.equal((await host.remove(vm)).error, null);
    assert.deepEqual(
      (await host.volumes()).filter((name) => name.startsWith("socle-")),
      [],
    );
  });
});
