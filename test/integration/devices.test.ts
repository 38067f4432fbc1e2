import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { readBonds } from "../../agent/hardware/network/bonding.ts";
import { runChild } from "../../agent/hardware/privileged/child.ts";
import { MountWatch } from "../../agent/hardware/storage/mount-watch.ts";
import { readNetworkInterfaces } from "../../agent/hardware/network/network.ts";
import type { Roots } from "../../agent/hardware/roots.ts";
import { readTimeSync } from "../../agent/hardware/system/time-sync.ts";
import { spawnBound } from "../support/bound-child.ts";
import { eventually } from "../support/wait.ts";

const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : "namespaces need root";

/** The kernel's real files, in namespaces of a process that the kernel ends with this one. */
suite("devices of a real kernel", { skip, timeout: 60_000 }, () => {
  let directory: string;
  let namespace: ReturnType<typeof spawnBound>;
  let roots: Roots;

  const inside = async (command: string, ...args: string[]): Promise<string> => {
    const where = ["-t", String(namespace.pid), "-m", "-n", command, ...args];
    return (await promisify(execFile)("nsenter", where, { timeout: 20_000 })).stdout;
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-devices-"));
    const enter = "mount --make-rprivate / && mount -t sysfs sysfs /sys && echo in && exec sleep infinity";
    namespace = spawnBound("unshare", ["--net", "--mount", "sh", "-c", enter]);
    await new Promise((resolve) => namespace.stdout.once("data", resolve));
    const process = `/proc/${namespace.pid ?? ""}`;
    const procRoot = join(directory, "proc");
    await mkdir(procRoot);
    await symlink(process, join(procRoot, "self"));
    await symlink(`${process}/net`, join(procRoot, "net"));
    roots = {
      procRoot,
      sysRoot: `${process}/root/sys`,
      devRoot: "/dev",
      etcRoot: directory,
      runRoot: directory,
    };
  });

  after(async () => {
    namespace.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  });

  const readOnly = async (watch: MountWatch, path: string): Promise<boolean | undefined> => {
    const reading = await watch.read([path], []);
    assert.ok(reading.kind === "read", JSON.stringify(reading));
    return reading.value.find(({ mountPoint }) => mountPoint === path)?.readOnly;
  };

  test("a tmpfs bound read-only in one place is writable; remounted read-only it is not", async () => {
    const path = join(directory, "tmpfs");
    await mkdir(path);
    await inside("mount", "-t", "tmpfs", "socle-test", path);
    const watch = new MountWatch(roots);
    assert.equal(await readOnly(watch, path), false);
    await inside("mount", "-o", "remount,bind,ro", path);
    assert.equal(await readOnly(watch, path), false);
    await inside("mount", "-o", "remount,ro", path);
    assert.equal(await readOnly(watch, path), true);
    await inside("umount", path);
    assert.equal(await readOnly(watch, path), undefined);
  });

  test("an ext4 with an error accepts no writes and is detected", async (t) => {
    const path = join(directory, "ext4");
    const image = join(directory, "ext4.img");
    await mkdir(path);
    await writeFile(image, "");
    await promisify(execFile)("truncate", ["-s", "16M", image]);
    await promisify(execFile)("mkfs.ext4", ["-q", "-F", "-e", "remount-ro", image]);
    try {
      await inside("mount", "-o", "loop", image, path);
    } catch (cause) {
      t.skip(`no loop device with ext4 here: ${String(cause).slice(0, 200)}`);
      return;
    }
    try {
      const watch = new MountWatch(roots);
      assert.equal(await readOnly(watch, path), false);
      const device = (await inside("findmnt", "-no", "SOURCE", path)).trim().replace("/dev/", "");
      await inside("sh", "-c", `echo 1 > /sys/fs/ext4/${device}/trigger_fs_error`);
      assert.equal(await readOnly(watch, path), true);
      await assert.rejects(inside("touch", join(path, "file")), /Read-only file system/);
    } finally {
      await inside("umount", path);
    }
  });

  test("a veth pair: its link, and the counters that ip sees", async () => {
    await inside("ip", "link", "add", "left", "type", "veth", "peer", "name", "right");
    const left = async () => {
      const reading = await readNetworkInterfaces(roots);
      assert.ok(reading.kind === "read", JSON.stringify(reading));
      return reading.value.find(({ name }) => name === "left");
    };
    assert.equal((await left())?.up, false);
    await inside("ip", "link", "set", "left", "up");
    await inside("ip", "link", "set", "right", "up");
    await eventually(async () => (await left())?.up === true, { what: "the link" });
    await inside("ip", "address", "add", "192.0.2.1/24", "dev", "left");
    // There is no reply, and the ARP requests count.
    await inside("sh", "-c", "ping -c 1 -W 1 192.0.2.2 || true");
    await eventually(
      async () => {
        const links = JSON.parse(await inside("ip", "-s", "-j", "link", "show", "left")) as {
          stats64: Record<"rx" | "tx", { bytes: number; packets: number; errors: number; dropped: number }>;
        }[];
        const stats = links[0]?.stats64;
        const ours = await left();
        assert.ok(stats !== undefined && ours !== undefined && stats.tx.bytes > 0);
        const ofIp = ({ bytes, packets, errors, dropped: drops }: (typeof stats)["rx"]) =>
          JSON.stringify({ bytes, packets, errors, drops });
        return (
          ofIp(stats.rx) === JSON.stringify(ours.receive) && ofIp(stats.tx) === JSON.stringify(ours.transmit)
        );
      },
      { what: "the counters to be the same while nothing is sent" },
    );
    // veth reports a speed of 10 Gbit/s.
    assert.equal((await left())?.speedBytesPerSecond, 1.25e9);
  });

  test("a bond of veths with one link down", async (t) => {
    if (!existsSync("/sys/class/net/bonding_masters")) {
      t.skip("this kernel has no bonding; what one has shown is in test/fixtures/hosts");
      return;
    }
    const net = "/sys/class/net/bond-test";
    await inside("ip", "link", "add", "bond-test", "type", "bond", "mode", "active-backup", "miimon", "50");
    for (const name of ["one", "two"]) {
      await inside("ip", "link", "add", name, "type", "veth", "peer", "name", `${name}-peer`);
      await inside("ip", "link", "set", name, "master", "bond-test");
      await inside("ip", "link", "set", name, "up");
    }
    await inside("ip", "link", "set", "one-peer", "up");
    await inside("ip", "link", "set", "bond-test", "up");
    await eventually(
      async () => {
        const bonds = await readBonds(roots);
        const slaves = bonds.kind === "read" ? bonds.value[0]?.slaves : undefined;
        return JSON.stringify(slaves?.map(({ name, up }) => [name, up])) === '[["one",true],["two",false]]';
      },
      { what: `the links of ${net}` },
    );
  });

  test("chrony: not synchronised without a source, synchronised with one", async (t) => {
    if (!existsSync("/usr/sbin/chronyd")) {
      t.skip("chrony is not installed");
      return;
    }
    // Only loopback's address, so it cannot conflict with another chrony, and -x does not set this machine's clock.
    await inside("ip", "link", "set", "lo", "up");
    const ask = (argv: readonly [string, ...string[]], signal: AbortSignal) => {
      const [program, ...args] = argv;
      const command = ["nsenter", "-t", String(namespace.pid), "-n", program, ...args] as const;
      return runChild([...command], { timeoutMs: 60_000, maxOutputBytes: 65_536, signal }).output;
    };
    for (const [extra, synced] of [
      ["", false],
      ["local stratum 10\n", true],
    ] as const) {
      const settings = join(directory, "chrony.conf");
      await writeFile(settings, `port 0\nbindcmdaddress /\npidfile ${directory}/chrony.pid\n${extra}`);
      const netns = ["nsenter", "-t", String(namespace.pid), "-n"];
      const chronyd = spawnBound(netns[0] ?? "", [
        ...netns.slice(1),
        ..."chronyd -x -d -u root -f".split(" "),
        settings,
      ]);
      try {
        const expected = JSON.stringify({ source: "chrony", synced });
        await eventually(
          async () => {
            const reading = await readTimeSync(AbortSignal.timeout(20_000), ask);
            assert.ok(reading.kind === "read", JSON.stringify(reading));
            const { source, synced: is, offsetSeconds } = reading.value;
            if (synced && is) assert.ok(Math.abs(offsetSeconds ?? NaN) < 0.001);
            return JSON.stringify({ source, synced: is }) === expected;
          },
          { what: `chrony to say ${expected}`, timeoutMs: 60_000, intervalMs: 200 },
        );
      } finally {
        const gone = new Promise((resolve) => chronyd.once("close", resolve));
        chronyd.kill("SIGTERM");
        await gone;
      }
    }
  });
});
