// Directories of backups as socle vm backup writes them, judged by qemu-img and by the guest of a restored VM.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import type { Manifest } from "../../agent/cli/backup/manifest.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;
const run = promisify(execFile);

suite("backups in directories", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;
  let libvirt: Libvirt;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-backups-"));
    host = await SocleHost.start({ config: { vm: { allowForgeableRawDisks: true } } });
    libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
  });
  after(async () => {
    await libvirt.close();
    await host.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const environment = () => ({ ...process.env, SOCLE_SOCKET: host.agent.socketPath });
  /** Exit code, and what it printed. */
  const socle = async (...line: readonly string[]): Promise<{ code: number; text: string }> => {
    const child = run(process.execPath, [...socleCommand, ...line], { env: environment() });
    return await child.then(
      ({ stdout, stderr }) => ({ code: 0, text: `${stdout}${stderr}` }),
      (thrown: unknown) => {
        const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
        return { code, text: `${stdout}${stderr}` };
      },
    );
  };
  const succeeds = async (...line: readonly string[]): Promise<string> => {
    const { code, text } = await socle(...line);
    assert.equal(code, 0, text);
    return text;
  };
  const disk = (name: string, format: "QCOW2" | "RAW", capacityBytes: number) => ({
    name,
    newVolume: { pool: "images", capacityBytes, format: `DISK_FORMAT_${format}` as const },
  });
  const disks = [disk("root", "QCOW2", 160 * MIB), disk("log", "RAW", 8 * MIB)];
  const manifest = async (at: string): Promise<Manifest> =>
    JSON.parse(await readFile(join(at, "manifest.json"), "utf8")) as Manifest;
  /** The file of a disk in the newest backup, or in that of this number. */
  const fileOf = async (at: string, name: string, number = -1): Promise<string> => {
    const found = (await manifest(at)).backups.at(number)?.disks.find((each) => each.disk === name);
    return join(at, found?.file ?? assert.fail(`no disk ${name}`));
  };
  const volumeOf = async (vm: string, device: string): Promise<string> =>
    new RegExp(`${device}\\s+(\\S+)`).exec(await host.virsh("domblklist", vm))?.[1] ?? assert.fail();
  const write = (guest: GuestShell, device: string, letter: string, at: number): Promise<string> =>
    guest.run(
      `dd if=/dev/zero bs=65536 count=2 2>/dev/null | tr '\\0' ${letter} | dd of=/dev/${device} bs=65536 seek=${at} conv=notrunc,fsync 2>/dev/null; sync`,
    );
  const read = (guest: GuestShell, device: string, at: number): Promise<string> =>
    guest.run(`dd if=/dev/${device} bs=65536 skip=${at} count=1 2>/dev/null | head -c 3; echo`);
  const isSame = async (vm: string, at: string): Promise<void> => {
    await run("qemu-img", ["compare", "-U", await fileOf(at, "root"), await volumeOf(vm, "vda")]);
    const log = await volumeOf(vm, "vdb");
    // A restored disk is qcow2, whatever it was before.
    const formats = ["-f", "qcow2", "-F", log.endsWith(".raw") ? "raw" : "qcow2"];
    await run("qemu-img", ["compare", "-U", ...formats, await fileOf(at, "log"), log]);
  };
  const at = (): string => join(directory, "web");

  test("a chain of a full backup and increments is what the guest wrote, by qemu-img alone", async () => {
    const { error } = await host.create(linux("web", { disks }));
    assert.equal(error, null);
    const guest = await GuestShell.join(libvirt, "web");
    await write(guest, "vda", "a", 0);
    await write(guest, "vda", "b", 1000);
    await write(guest, "vdb", "l", 3);
    assert.match(await succeeds("vm", "backup", "create", "web", "--to", at()), /full, 2 disks/);
    await write(guest, "vda", "c", 0);
    // Zeros over what the base has.
    await guest.run(
      "dd if=/dev/zero of=/dev/vda bs=65536 count=1 seek=1000 conv=notrunc,fsync 2>/dev/null; sync",
    );
    assert.match(await succeeds("vm", "backup", "create", "web", "--to", at()), /disk log is full/);
    await write(guest, "vda", "d", 2000);
    assert.match(await succeeds("vm", "backup", "create", "web", "--to", at()), /increment|2 disks/);
    const { backups } = await manifest(at());
    assert.deepEqual(
      backups.map((backup) => backup.disks.map((each) => [each.disk, each.base !== undefined])),
      [
        [
          ["root", false],
          ["log", false],
        ],
        [
          ["root", true],
          ["log", false],
        ],
        [
          ["root", true],
          ["log", false],
        ],
      ],
    );
    for (const { file } of backups.flatMap((backup) => backup.disks)) {
      await run("qemu-img", ["check", join(at(), file)]);
      const { stdout } = await run("sha256sum", [join(at(), file)]);
      const known = backups.flatMap((backup) => backup.disks).find((each) => each.file === file);
      assert.ok(stdout.startsWith(known?.sha256 ?? "none"));
    }
    await isSame("web", at());
    await guest.close();
    await host.virsh("destroy", "web");
    await isSame("web", at());
    // An older backup is as the disk was.
    const { stdout } = await run("qemu-io", [
      "-r",
      "-c",
      "read -P 98 65536000 65536",
      await fileOf(at(), "root", 0),
    ]);
    assert.doesNotMatch(stdout, /verification failed/);
    assert.match(
      await succeeds("vm", "backup", "create", "web", "--to", at()),
      /disk log is full|full backup/,
    );
    await isSame("web", at());
    assert.deepEqual(
      (await readdir(at())).filter((name) => !name.endsWith(".qcow2")),
      ["manifest.json"],
    );
  });

  test("a restored VM boots with the data of its backup, and beside the VM that it is of", async () => {
    assert.equal((await socle("vm", "restore", at(), "--yes")).code, 5, "the name is taken");
    // The guest's kernel is a volume of the host.
    const asked = await socle("vm", "restore", at(), "--name", "again");
    assert.equal(asked.code, 2);
    assert.match(asked.text, /volumes: the kernel is vmlinuz of pool images[^]*--accept volumes, or leave/);
    await succeeds("vm", "restore", at(), "--name", "again", "--accept", "volumes", "--start");
    const guest = await GuestShell.join(libvirt, "again");
    assert.match(await read(guest, "vda", 0), /ccc/);
    assert.match(await read(guest, "vda", 2000), /ddd/);
    assert.doesNotMatch(await read(guest, "vda", 1000), /bbb/);
    assert.match(await read(guest, "vda", 1001), /bbb/);
    assert.match(await read(guest, "vdb", 3), /lll/);
    await guest.close();
    assert.equal((await host.remove("again")).error, null);
    const oldest = (await manifest(at())).backups[0]?.id ?? assert.fail();
    await succeeds("vm", "restore", at(), "--name", "older", "--backup", oldest, "--yes");
    await run("qemu-img", ["compare", await fileOf(at(), "root", 0), await volumeOf("older", "vda")]);
    assert.equal((await host.remove("older")).error, null);
  });

  test("an archive holds a VM that another name boots, also through a pipe, and leaves the chain of backups", async () => {
    const archive = join(directory, "web.tar");
    await succeeds("vm", "export", "web", archive);
    const { stdout } = await run("tar", ["--list", `--file=${archive}`]);
    assert.match(stdout, /^root\.\S+\.qcow2\nlog\.\S+\.qcow2\nmanifest\.json\n$/);
    assert.equal((await socle("vm", "import", archive, "--name", "moved", "--start")).code, 2);
    assert.match(
      await succeeds("vm", "import", archive, "--name", "moved", "--yes", "--dry-run"),
      /the kernel is vmlinuz of pool images \(accepted\)[^]*nothing changed/,
    );
    assert.deepEqual(await host.domains(), ["web"]);
    await succeeds("vm", "import", archive, "--name", "moved", "--yes", "--start");
    const guest = await GuestShell.join(libvirt, "moved");
    assert.match(await read(guest, "vda", 0), /ccc/);
    assert.match(await read(guest, "vdb", 3), /lll/);
    await guest.close();
    assert.equal((await host.remove("moved")).error, null);
    const unpacked = join(directory, "unpacked");
    const socleLine = socleCommand.map((word) => `'${word}'`).join(" ");
    const line = `'${process.execPath}' ${socleLine} vm export web - | tar --extract --one-top-level=${unpacked}`;
    await run("bash", ["-o", "pipefail", "-c", line], { env: environment() });
    await isSame("web", unpacked);
    // A cut archive makes no VM.
    await run("truncate", ["-s", "-4096", archive]);
    assert.equal((await socle("vm", "import", archive, "--name", "moved", "--yes")).code, 2);
    assert.deepEqual(await host.domains(), ["web"]);
    assert.doesNotMatch(await succeeds("vm", "backup", "create", "web", "--to", at()), /full backup/);
  });

  test("a command that is killed leaves nothing that the next one does not put right", async () => {
    const before = await manifest(at());
    const all = join(at(), "manifest.json");
    assert.match(await succeeds("vm", "start", "web"), /done/);
    await succeeds("vm", "stop", "web", "--force", "--grace", "0");
    const path = await volumeOf("web", "vda");
    await run("qemu-io", ["-c", "write -P 113 32M 96M", path]);
    const line = [...socleCommand, "vm", "backup", "create", "web", "--full", "--to", at()];
    const child = spawn(process.execPath, line, { env: environment(), stdio: "ignore" });
    const ended = once(child, "exit");
    await eventually(async () => (await readFile(join(at(), "backup.begun"), "utf8")).includes("backupId"), {
      what: "the backup to be noted",
      timeoutMs: 60_000,
    });
    child.kill("SIGKILL");
    await ended;
    assert.deepEqual(await manifest(at()), before);
    assert.match(await succeeds("vm", "backup", "ls", "web"), /open/);
    await succeeds("vm", "backup", "create", "web", "--full", "--to", at());
    assert.equal((await manifest(at())).backups.length, before.backups.length + 1);
    await isSame("web", at());
    assert.deepEqual(
      (await readdir(at())).filter((name) => !name.endsWith(".qcow2")),
      ["manifest.json"],
      all,
    );
    assert.doesNotMatch(await succeeds("vm", "backup", "ls", "web"), /open/);
    // Ctrl-C ends it on the host as well.
    const second = spawn(process.execPath, line, { env: environment(), stdio: "ignore" });
    const over = once(second, "exit");
    await eventually(async () => (await readFile(join(at(), "backup.begun"), "utf8")).includes("backupId"), {
      what: "the backup to be noted",
      timeoutMs: 60_000,
    });
    assert.equal((await socle("vm", "backup", "create", "web", "--to", at())).code, 5);
    second.kill("SIGINT");
    const [code] = (await over) as [number];
    // It may have been at its end.
    assert.ok(code === 130 || code === 0, String(code));
    assert.doesNotMatch(await succeeds("vm", "backup", "ls", "web"), /open/);
    await succeeds("vm", "backup", "verify", at());
  });

  test("a restoration that ends in the middle leaves no VM, or one that does not start", async () => {
    const begin = async (name: string): Promise<ReturnType<typeof spawn>> => {
      const line = [...socleCommand, "vm", "restore", at(), "--name", name, "--yes"];
      const child = spawn(process.execPath, line, { env: environment(), stdio: "ignore" });
      const hasBegun = async () => /restoring\W+root/.test(await host.virsh("dumpxml", name));
      await eventually(hasBegun, { what: "the restoration to begin", timeoutMs: 120_000 });
      return child;
    };
    const left = await begin("left");
    const leftEnded = once(left, "exit");
    left.kill("SIGINT");
    assert.equal((await leftEnded)[0], 130);
    assert.deepEqual(await host.domains(), ["web"]);
    const killed = await begin("killed");
    const killedEnded = once(killed, "exit");
    killed.kill("SIGKILL");
    await killedEnded;
    const refused = await socle("vm", "start", "killed");
    assert.equal(refused.code, 5, refused.text);
    assert.match(refused.text, /is not complete/);
    await succeeds("vm", "rm", "killed", "--yes");
    const volumes = (await host.volumes()).filter((name) => name.startsWith("socle-"));
    assert.equal(volumes.length, 2, volumes.join(" "));
  });

  test("a flipped bit is found by verify, and by restore before there is a VM", async () => {
    assert.match(await succeeds("vm", "backup", "verify", at()), /as written/);
    const file = await open(await fileOf(at(), "root"), "r+");
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, 400_000);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, 400_000);
    await file.close();
    const { code, text } = await socle("vm", "backup", "verify", at());
    assert.equal(code, 1);
    assert.match(text, /damaged/);
    const restored = await socle("vm", "restore", at(), "--name", "flipped", "--yes");
    assert.equal(restored.code, 2);
    assert.match(restored.text, /SHA-256/);
    assert.deepEqual(await host.domains(), ["web"]);
    assert.equal((await host.remove("web")).error, null);
  });
});
