import assert from "node:assert/strict";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import type { Child } from "../../../../agent/hardware/privileged/child.ts";
import { MountWatch } from "../../../../agent/hardware/storage/mount-watch.ts";
import { mountOf, readMounts } from "../../../../agent/hardware/storage/mounts.ts";
import { unpackHost } from "../../../support/tree.ts";

const pools = ["/var/lib/libvirt/images"];
const ours = ["/var/lib/socle"];

async function readOnly(watch: MountWatch): Promise<string[]> {
  const reading = await watch.read(ours, pools);
  assert.ok(reading.kind === "read", JSON.stringify(reading));
  return reading.value.flatMap((mount) => (mount.readOnly ? [mount.mountPoint] : []));
}

test("a hardened service's own read-only view is not a broken filesystem", async (context) => {
  const watch = new MountWatch(await unpackHost(context, "worn-compute-node"));
  const reading = await watch.read(ours, pools);
  assert.ok(reading.kind === "read");
  assert.deepEqual(
    reading.value.map(({ mountPoint, source, readOnly, holdsVms }) => [
      mountPoint,
      source,
      readOnly,
      holdsVms,
    ]),
    [
      ["/", "/dev/md0", false, false],
      ["/boot/efi", "/dev/nvme0n1p1", false, false],
      ["/var/lib/libvirt/images", "/dev/md1", false, true],
    ],
  );
});

test("a filesystem that turns read-only is found by each of the kernel's markers", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const path = join(host.procRoot, "self/mountinfo");
  const text = await readFile(path, "utf8");
  const watch = new MountWatch(host);
  assert.deepEqual(await readOnly(watch), []);
  await writeFile(path, text.replace("/dev/md1 rw", "/dev/md1 ro"));
  assert.deepEqual(await readOnly(watch), ["/var/lib/libvirt/images"]);
  await writeFile(path, text.replaceAll("/dev/md0 rw,", "/dev/md0 rw,emergency_ro,"));
  assert.deepEqual(await readOnly(watch), ["/"]);
  await writeFile(path, text);
  assert.deepEqual(await readOnly(watch), []);
});

test("filesystems read-only by fstab, never writable or unmounted are no fault", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const path = join(host.procRoot, "self/mountinfo");
  const text = await readFile(path, "utf8");
  const template = "40 22 8:1 / /srv/data rw - ext4 /dev/sda1";
  await writeFile(path, `${text}${template} ro\n`);
  const watch = new MountWatch(host);
  assert.deepEqual(await readOnly(watch), []);
  await writeFile(path, `${text}${template} rw\n`);
  assert.deepEqual(await readOnly(watch), []);
  await writeFile(path, `${text}${template} ro\n`);
  assert.deepEqual(await readOnly(watch), ["/srv/data"]);
  await writeFile(path, text);
  assert.deepEqual(await readOnly(watch), []);
  await writeFile(path, `${text}${template} ro\n`);
  assert.deepEqual(await readOnly(watch), []);
});

test("a pool behind a symbolic link is on the filesystem of its target", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const text = await readFile(join(host.procRoot, "self/mountinfo"), "utf8");
  await mkdir(join(host.root, "real/pool"), { recursive: true });
  await symlink("real", join(host.root, "link"));
  const target = `50 22 8:2 / ${host.root}/real rw - xfs /dev/sdb rw`;
  await writeFile(join(host.procRoot, "self/mountinfo"), `${text}${target}\n`);
  const reading = await new MountWatch(host).read([], [join(host.root, "link/pool")]);
  assert.ok(reading.kind === "read", JSON.stringify(reading));
  const holding = reading.value.filter(({ holdsVms }) => holdsVms);
  assert.deepEqual(
    holding.map(({ source }) => source),
    ["/dev/sdb"],
  );
});

test("a path that could not be resolved is retried, without one hung child after the other", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  let release: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => (release = resolve));
  const hung = (): Child => ({ output: Promise.reject(new Error("no answer in time")), gone });
  const answered = (target: string) => (): Child => ({
    output: Promise.resolve({ stdout: `${target}\n`, stderr: "" }),
    gone: Promise.resolve(),
  });
  let children = [hung, answered("/var/lib/libvirt/images")];
  const queried: string[] = [];
  const watch = new MountWatch(host, (path) => {
    queried.push(path);
    return children.shift()?.() ?? assert.fail(`${path} was resolved once more`);
  });
  const holding = async (paths: readonly string[]): Promise<string[]> => {
    const reading = await watch.read([], paths);
    assert.ok(reading.kind === "read", JSON.stringify(reading));
    return reading.value.flatMap(({ mountPoint, holdsVms }) => (holdsVms ? [mountPoint] : []));
  };
  assert.deepEqual(await holding(["/link"]), ["/"]);
  assert.deepEqual([await holding(["/link"]), queried.length], [["/"], 1]);
  release();
  await gone;
  assert.deepEqual(await holding(["/link"]), ["/var/lib/libvirt/images"]);
  assert.deepEqual([await holding(["/link"]), queried.length], [["/var/lib/libvirt/images"], 2]);
  // Without a user the target of a path is dropped, and resolved again for the next one.
  assert.deepEqual(await holding([]), []);
  children = [answered("/boot/efi")];
  assert.deepEqual(await holding(["/link"]), ["/boot/efi"]);
});

test("the mount of a path is found", async (context) => {
  const mounts = await readMounts(await unpackHost(context, "worn-compute-node"));
  assert.ok(mounts.kind === "read");
  const at = (path: string) => mountOf(mounts.value, path)?.mountPoint;
  assert.equal(at("/var/lib/libvirt/images/disk.qcow2"), "/var/lib/libvirt/images");
  assert.equal(at("/var/lib/libvirt/images2"), "/");
  assert.equal(at("/mnt/with space/x"), "/mnt/with space");
});
