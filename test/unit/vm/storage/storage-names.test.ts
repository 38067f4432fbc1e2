import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { LibvirtCalls } from "../../../../agent/vm/hypervisor/certainty.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import {
  lookByChild,
  numberOf,
  StorageLooks,
  type FileFacts,
} from "../../../../agent/vm/storage/storage-looks.ts";
import { StorageNames } from "../../../../agent/vm/storage/storage-names.ts";
import { requireUsable, usersNow, whereOf } from "../../../../agent/vm/storage/volume-users.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { vm } from "../../../support/api/harness.ts";

/** A libvirt that knows pools by their directories. */
function pools(directories: Readonly<Record<string, string>>): LibvirtCalls {
  const call = (procedure: { name: string }, args: { name?: string; pool?: { name: string } }): unknown => {
    const name = args.name ?? args.pool?.name ?? "";
    const path = directories[name];
    if (path === undefined) throw new SocleError("not_found", "LIBVIRT_NO_STORAGE_POOL", name);
    return procedure.name === "STORAGE_POOL_LOOKUP_BY_NAME"
      ? { pool: { name, uuid: "" } }
      : { xml: `<pool type="dir"><name>${name}</name><target><path>${path}</path></target></pool>` };
  };
  return {
    call: (...requested: [never, never]) => Promise.resolve().then(() => call(...requested)),
  } as unknown as LibvirtCalls;
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "socle-storage-"));
  t.after(() => rm(path, { recursive: true }));
  await mkdir(join(path, "images"));
  await writeFile(join(path, "images/data.img"), "");
  return path;
}

const clock = { monotonicMs: () => performance.now() };
const areSame = async (names: StorageNames, a: string, b: string): Promise<boolean> => {
  const same = await names.of([a, b]);
  return same(a).some((name) => same(b).includes(name));
};

test("another path, a link and a hard link name the same storage; other files do not", async (t) => {
  const path = await folder(t);
  await symlink(join(path, "images"), join(path, "mirror"));
  await symlink(join(path, "images/data.img"), join(path, "data"));
  await link(join(path, "images/data.img"), join(path, "second"));
  await writeFile(join(path, "images/other.img"), "");
  const names = new StorageNames(pools({ a: join(path, "images"), b: join(path, "mirror") }), clock);
  const data = join(path, "images/data.img");
  for (const other of ["mirror/data.img", "data", "second"])
    assert.ok(await areSame(names, data, join(path, other)), other);
  assert.ok(await areSame(names, "a/data.img", "b/data.img"));
  assert.ok(await areSame(names, "a/data.img", join(path, "mirror/data.img")));
  assert.ok(await areSame(names, "a/not-yet.img", "b/not-yet.img"), "a file that does not exist yet");
  assert.ok(!(await areSame(names, "a/data.img", "b/other.img")));
  assert.ok(!(await areSame(names, "a/data.img", "elsewhere/data.img")));
});

interface Facts {
  readonly dev?: number;
  readonly ino?: number;
}
const facts = ({ dev = 1, ino = 1 }: Facts): FileFacts => ({
  isFile: () => true,
  isBlockDevice: () => false,
  dev,
  ino,
  rdev: 0,
});
const failed = (code: string): Error => Object.assign(new Error(code), { code });

/** Files by the beginning of their path: other paths hang until `answer`. */
function disk(files: Readonly<Record<string, Facts>>): {
  looks: StorageLooks;
  requested: string[];
  byChild: string[];
  answer: () => void;
} {
  const waiting: (() => void)[] = [];
  const requested: string[] = [];
  const byChild: string[] = [];
  const look = (path: string): Promise<FileFacts> => {
    const found = Object.entries(files).find(([start]) => path.startsWith(start));
    if (found !== undefined) return Promise.resolve(facts(found[1]));
    return new Promise((_, reject) => waiting.push(() => reject(failed("ENOENT"))));
  };
  const looks = new StorageLooks({
    withinMs: 20,
    look: (path) => (requested.push(path), look(path)),
    lookByChild: (path) => (byChild.push(path), look(path)),
    deviceOf: (path) => Promise.resolve(path.startsWith("/dead") ? 66 : undefined),
  });
  const answer = (): void => waiting.splice(0).forEach((end) => end());
  return { looks, requested, byChild, answer };
}

test("a directory that hangs holds one check, leaves its files in doubt, and is checked again after a reply", async () => {
  const { looks, requested, byChild, answer } = disk({ "/alive": { dev: 1 }, "/beside": { dev: 66 } });
  const names = new StorageNames(pools({}), clock, looks);
  const dead = Array.from({ length: 50 }, (_, index) => `/dead/${index}`);
  const same = await names.of([...dead, "/alive/1", "/beside/1"]);
  assert.deepEqual(requested, ["/dead"]);
  assert.deepEqual(
    byChild,
    ["/alive", "/alive/1", "/beside", "/beside/1"],
    "the others are checked meanwhile",
  );
  assert.deepEqual(same.doubtOf(["/dead/1"], []), { at: "/dead/1", silent: "filesystem" });
  assert.equal(same.doubtOf(["/alive/1"], dead), undefined, "another filesystem");
  assert.equal(
    same.doubtOf(["/beside/1"], dead)?.at,
    "/beside/1",
    "the same filesystem at another mount point",
  );
  answer();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await names.of(["/dead/1"])).doubtOf(["/dead/1"], [])?.at, "/dead/1", "a new check hangs");
  assert.equal(requested.length, 2);
});

test("directories of one known filesystem hang together", async () => {
  const files: Record<string, Facts> = { "/a": { dev: 7 }, "/b": { dev: 7 } };
  const { looks, requested, byChild } = disk(files);
  let nowMs = 0;
  const names = new StorageNames(pools({}), { monotonicMs: () => nowMs }, looks);
  await names.of(["/a/1", "/b/1"]);
  delete files["/a"];
  delete files["/b"];
  nowMs += 61_000;
  const same = await names.of(["/a/1", "/b/1"]);
  assert.deepEqual([same.doubtOf(["/a/1"], [])?.at, same.doubtOf(["/b/1"], [])?.at], ["/a/1", "/b/1"]);
  assert.equal(requested.length + byChild.length, 5);
});

test("at most eight checks hang at a time", async () => {
  const { looks, requested, byChild } = disk({});
  for (let index = 0; index < 9; index += 1) assert.equal((await looks.at(`/dead-${index}/x`)).isSeen, false);
  assert.deepEqual([requested.length, byChild.length], [1, 7]);
});

test("a disk error leaves a file in doubt; a missing file does not", async () => {
  for (const [code, isSeen] of [
    ["EIO", false],
    ["ESTALE", false],
    ["ENOENT", true],
    ["EACCES", true],
  ] as const) {
    const looks = new StorageLooks({
      look: () => Promise.reject(failed(code)),
      deviceOf: () => Promise.resolve(undefined),
    });
    assert.equal((await looks.at("/p/x")).isSeen, isSeen, code);
  }
});

test("a child process reads the same facts as this process", async (t) => {
  const path = await folder(t);
  const data = join(path, "images/data.img");
  await symlink(data, join(path, "link"));
  const own = await stat(data);
  for (const at of [data, join(path, "link")]) {
    const seen = await lookByChild(at);
    assert.deepEqual(
      [seen.dev, seen.ino, seen.isFile(), seen.isBlockDevice()],
      [own.dev, own.ino, true, false],
    );
  }
  const device = await lookByChild("/dev/null");
  assert.deepEqual([device.rdev, device.isFile()], [(await stat("/dev/null")).rdev, false]);
  await assert.rejects(lookByChild(join(path, "none")), { code: "ENOENT" });
});

test("a filesystem's number in mountinfo is the one of its files", () => {
  assert.equal(numberOf("0:27"), 27);
  assert.equal(numberOf("8:1"), 0x801);
  assert.equal(numberOf("259:300"), 0x11_032c);
});

test("a pool stays in doubt until libvirt answers; after a timeout the next query waits for seconds", async (t) => {
  const path = join(await folder(t), "images");
  const answering = pools({ images: path });
  let nowMs = 0;
  let requested = 0;
  for (const { kind, againAfterMs } of [
    { kind: "timeout", againAfterMs: 5000 },
    { kind: "unavailable", againAfterMs: 0 },
    { kind: "exhausted", againAfterMs: 0 },
  ] as const) {
    let isSilent = true;
    const silent = {
      call: (...call: [never, never]) => {
        requested += 1;
        return isSilent ? Promise.reject(new SocleError(kind, "LIBVIRT", "silent")) : answering.call(...call);
      },
    };
    const names = new StorageNames(silent as unknown as LibvirtCalls, { monotonicMs: () => nowMs });
    const doubt = async (): Promise<unknown> => (await names.of(["images/1"])).doubtOf(["images/1"], []);
    assert.deepEqual(await doubt(), { at: "images/1", silent: "libvirt" }, kind);
    isSilent = false;
    requested = 0;
    nowMs += againAfterMs - 1;
    if (againAfterMs > 0)
      assert.ok(
        (await doubt()) !== undefined && requested === 0,
        `${kind}: a pool that hangs delays every check`,
      );
    nowMs += 1;
    assert.equal(await doubt(), undefined, kind);
  }
});

test("a volume is in use through another pool over the same directory", async (t) => {
  const path = await folder(t);
  await symlink(join(path, "images"), join(path, "mirror"));
  const volumes = {
    names: new StorageNames(pools({ a: join(path, "images"), b: join(path, "mirror") }), clock),
  };
  const specOf = (id: string, pool: string): VmSpec =>
    checkSpec(
      {
        name: `vm-${pool}`,
        id,
        vcpus: 1,
        memoryBytes: 2 ** 20,
        disks: [{ name: "data", source: { kind: "volume", volume: { pool, volume: "data.img" } } }],
      },
      { bridges: [], allowSpoofing: false },
    );
  const requested = specOf("aaaaaaaa-0000-4000-8000-000000000001", "b");
  const other = specOf("aaaaaaaa-0000-4000-8000-000000000002", "a");
  const table = new VmTable();
  table.completed(1);
  const check = async (creations: VmSpec[]): Promise<void> =>
    requireUsable(requested, await usersNow({ table, volumes }, () => creations, whereOf(requested)));
  await check([]);
  await assert.rejects(check([other]), { reason: "VOLUME_IN_USE" });
  const foreign = { device: "vda", path: join(path, "images/data.img") };
  table.put(vm("foreign", { managed: false, disks: [foreign] }));
  await assert.rejects(check([]), { reason: "VOLUME_IN_USE", message: /name-foreign/ });
});

test("a volume that cannot be identified is refused; one on another filesystem is not", async () => {
  const { looks } = disk({ "/alive": { dev: 1 } });
  const volumes = { names: new StorageNames(pools({ a: "/alive", d: "/dead" }), clock, looks) };
  const specOf = (id: string, pool: string): VmSpec => {
    const disks = [{ name: "data", source: { kind: "volume", volume: { pool, volume: `${pool}.img` } } }];
    return checkSpec(
      { name: `vm-${pool}`, id, vcpus: 1, memoryBytes: 2 ** 20, disks },
      { bridges: [], allowSpoofing: false },
    );
  };
  const alive = specOf("aaaaaaaa-0000-4000-8000-000000000001", "a");
  const dead = specOf("aaaaaaaa-0000-4000-8000-000000000002", "d");
  const table = new VmTable();
  table.completed(1);
  const check = async (requested: VmSpec, other: VmSpec): Promise<void> =>
    requireUsable(requested, await usersNow({ table, volumes }, () => [other], whereOf(requested)));
  await check(alive, dead);
  await assert.rejects(check(dead, alive), { kind: "unavailable", reason: "STORAGE_UNIDENTIFIED" });
});
