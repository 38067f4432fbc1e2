import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import type { LibvirtCalls } from "../../../agent/vm/certainty.ts";
import { checkSpec } from "../../../agent/vm/spec-check.ts";
import type { VmSpec } from "../../../agent/vm/spec.ts";
import { StorageNames, type LookAt } from "../../../agent/vm/storage-names.ts";
import { requireUsable, usersNow, whereOf } from "../../../agent/vm/volume-users.ts";
import { VmTable } from "../../../agent/vm/vm-table.ts";
import { vm } from "../api/harness.ts";

/** A libvirt that knows pools by the directories that they are over. */
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
    call: (...asked: [never, never]) => Promise.resolve().then(() => call(...asked)),
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

test("a directory by another path, a link and a hard link are the same storage; other files are not", async (t) => {
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
  assert.ok(await areSame(names, "a/not-yet.img", "b/not-yet.img"), "one that is not there yet");
  assert.ok(!(await areSame(names, "a/data.img", "b/other.img")));
  assert.ok(!(await areSame(names, "a/data.img", "elsewhere/data.img")));
});

test("storage that hangs holds one look, and is looked at again when it answers", async () => {
  let looks = 0;
  let answer = (): void => undefined;
  const look: LookAt = (path) => {
    looks += 1;
    if (!path.startsWith("/dead")) return Promise.reject(new Error("ENOENT"));
    return new Promise(
      (_, reject) =>
        (answer = () => {
          reject(new Error("EIO"));
        }),
    );
  };
  const names = new StorageNames(pools({}), clock, look);
  const same = await names.of(Array.from({ length: 50 }, (_, index) => `/dead/${index}`));
  assert.deepEqual(same("/dead/1"), []);
  assert.equal(looks, 1);
  answer();
  await new Promise((resolve) => setImmediate(resolve));
  await names.of(["/alive/1"]);
  assert.equal(looks, 3);
});

test("a volume through another pool over the same directory is in use", async (t) => {
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
  const asked = specOf("aaaaaaaa-0000-4000-8000-000000000001", "b");
  const other = specOf("aaaaaaaa-0000-4000-8000-000000000002", "a");
  const table = new VmTable();
  table.completed(1);
  const check = async (creations: VmSpec[]): Promise<void> =>
    requireUsable(asked, await usersNow({ table, volumes }, () => creations, whereOf(asked)));
  await check([]);
  await assert.rejects(check([other]), { reason: "VOLUME_IN_USE" });
  const foreign = { device: "vda", path: join(path, "images/data.img") };
  table.put(vm("foreign", { managed: false, disks: [foreign] }));
  await assert.rejects(check([]), { reason: "VOLUME_IN_USE", message: /name-foreign/ });
});
