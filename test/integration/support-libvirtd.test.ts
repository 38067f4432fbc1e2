import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { bootedMarker, guestFilesIn, guestXml } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";

const skip = libvirtdUnavailable();

test("a Linux guest boots, survives a crash of libvirtd, and stops on request", { skip }, async (t) => {
  const libvirtd = await Libvirtd.start();
  t.after(() => libvirtd.stop());
  const linux = await guestFilesIn(libvirtd.imagesDirectory);
  const consoleLog = join(libvirtd.directory, "log/console");
  const xml = join(libvirtd.directory, "guest.xml");
  await writeFile(xml, guestXml({ name: "lab-linux", boot: { linux }, consoleLog }));
  const printed = async (words: string): Promise<boolean> =>
    (await readFile(consoleLog, "utf8")).includes(words);

  await virsh(libvirtd.uri, ["create", xml]);
  await eventually(() => printed(bootedMarker), { timeoutMs: 60_000, what: "the guest's marker" });

  await libvirtd.kill("SIGKILL");
  await assert.rejects(virsh(libvirtd.uri, ["list"]));
  await libvirtd.startAgain();
  assert.equal(await virsh(libvirtd.uri, ["domstate", "lab-linux"]), "running");

  await virsh(libvirtd.uri, ["shutdown", "lab-linux"]);
  await eventually(() => printed("socle-guest: power button"), { what: "the guest to see its power button" });
  await eventually(async () => (await virsh(libvirtd.uri, ["list", "--all", "--name"])) === "", {
    what: "the guest to stop",
  });
});

test("a guest with an agent answers through it; a boot sector runs at once", { skip }, async (t) => {
  const libvirtd = await Libvirtd.start();
  t.after(() => libvirtd.stop());
  const files = await guestFilesIn(libvirtd.imagesDirectory);
  const xml = join(libvirtd.directory, "guest.xml");
  const channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
  const linux = { ...files, initrd: files.initrdWithAgent };
  await writeFile(xml, guestXml({ name: "lab-agent", boot: { linux }, devices: channel }));
  await virsh(libvirtd.uri, ["create", xml]);

  const consoleLog = join(libvirtd.directory, "log/console");
  await writeFile(xml, guestXml({ name: "lab-sector", boot: files, consoleLog }));
  await virsh(libvirtd.uri, ["create", xml]);
  await eventually(async () => (await readFile(consoleLog, "utf8")).includes(bootedMarker), {
    what: "the boot sector's marker",
  });

  const ping = ["qemu-agent-command", "lab-agent", '{"execute":"guest-ping"}', "--timeout", "1"];
  await eventually(() => virsh(libvirtd.uri, ping), { timeoutMs: 60_000, what: "the guest agent" });
});

test("a stopped libvirtd hangs its clients and goes on after SIGCONT", { skip }, async (t) => {
  const libvirtd = await Libvirtd.start();
  t.after(() => libvirtd.stop());
  await libvirtd.kill("SIGSTOP");
  await assert.rejects(virsh(libvirtd.uri, ["version"], { timeoutMs: 300 }));
  await libvirtd.kill("SIGCONT");
  assert.match(await virsh(libvirtd.uri, ["version"]), /QEMU/);
});

test("two private libvirtds do not see each other", { skip }, async (t) => {
  const hosts = await Promise.all([Libvirtd.start(), Libvirtd.start()]);
  t.after(() => Promise.all(hosts.map((host) => host.stop())));
  const [one, other] = hosts;
  await virsh(one.uri, ["net-start", "default"]);
  await virsh(other.uri, ["net-start", "default"]);
  for (const host of hosts) {
    const { bootSector } = await guestFilesIn(host.imagesDirectory);
    const xml = join(host.directory, "guest.xml");
    await writeFile(xml, guestXml({ name: "same-name", boot: { bootSector } }));
    await virsh(host.uri, ["create", xml]);
  }
  await virsh(one.uri, ["destroy", "same-name"]);
  assert.equal(await virsh(other.uri, ["domstate", "same-name"]), "running");
});

test("a killed test leaves nothing of its private libvirtd", { skip }, async () => {
  const victim = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      "--input-type=module",
      "--eval",
      `const { Libvirtd } = await import(${JSON.stringify(join(import.meta.dirname, "../support/libvirtd.ts"))});
       const libvirtd = await Libvirtd.start();
       console.log(JSON.stringify({ directory: libvirtd.directory, pid: await libvirtd.pid() }));
       setInterval(() => undefined, 1000);`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(createInterface(victim.stdout), "line")) as [string];
  const { directory, pid } = JSON.parse(line) as { directory: string; pid: number };
  assert.ok(existsSync(directory));
  victim.kill("SIGKILL");
  await eventually(() => !existsSync(directory) && !existsSync(`/proc/${pid}`), {
    what: "the directory and the daemon to disappear",
  });
});
