import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test, { type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import type { CreateVmRequest__Output } from "../../../agent/gen/socle/v1/CreateVmRequest.ts";
import type { Image } from "../../../agent/gen/socle/v1/Image.ts";
import type { Pool } from "../../../agent/gen/socle/v1/Pool.ts";
import type { ImportImageRequest__Output } from "../../../agent/gen/socle/v1/ImportImageRequest.ts";
import { protos } from "../../support/api/client.ts";
import { fakeAgent, rpcError, socle } from "../../support/cli/fake-agent.ts";
import { nowMs, operation } from "../../support/cli/samples.ts";

const imageId = "0f0f0f0f-0000-4000-8000-000000000001";
const image: Image = {
  imageId,
  name: "debian-13",
  sha256: "ab".repeat(32),
  format: "DISK_FORMAT_QCOW2",
  sizeBytes: 400 * 2 ** 20,
  capacityBytes: 3 * 2 ** 30,
  pool: "fast",
  volume: `socle-image-${imageId}.qcow2`,
  createdAt: { seconds: nowMs / 1000 - 3600, nanos: 0 },
  users: 2,
};
const imported = operation({ kind: "IMPORT_IMAGE", vmId: "", imageId, result: { image_id: imageId } });

/** An agent that imports, and the requests that it gets. */
async function importing(context: TestContext) {
  const requests: ImportImageRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    images: {
      ImportImage: (call, done) => {
        requests.push(call.request);
        done(null, imported);
      },
    },
  });
  return { socket, requests };
}

test("an import sends what its options say, and its outcome names the image", async (context) => {
  const { socket, requests } = await importing(context);
  const sha256 = "ab".repeat(32);
  const line = ["image", "import", "https://a.example/x", "--sha256", sha256, "--name", "debian-13"];
  const { exitCode, stdout } = await socle(
    [...line, "--format", "raw", "--tenant", "acme", "--pool", "fast"],
    {
      socket,
    },
  );
  assert.equal(exitCode, 0);
  assert.match(stdout, new RegExp(`^import image debian-13: done in 2.0s\\n {2}id: ${imageId}\\n`));
  const [request] = requests;
  assert.ok(request !== undefined);
  const { requestId: _own, ...asked } = request;
  assert.deepEqual(asked, {
    url: "https://a.example/x",
    sha256,
    name: "debian-13",
    format: "DISK_FORMAT_RAW",
    tenant: "acme",
    pool: "fast",
    volume: null,
  });
});

test("an import from a volume sends no URL, and the volume's name decides the format", async (context) => {
  const { socket, requests } = await importing(context);
  const line = ["image", "import", "--name", "golden", "--volume", "fast/web-1.qcow2"];
  const { exitCode, stdout } = await socle([...line, "--json"], { socket });
  assert.equal(exitCode, 0);
  assert.equal((JSON.parse(stdout) as { imageId: string }).imageId, imageId);
  const [{ volume, url, sha256, format } = {}] = requests;
  assert.deepEqual(
    [volume, url, sha256, format],
    [{ pool: "fast", volume: "web-1.qcow2" }, "", "", "DISK_FORMAT_UNSPECIFIED"],
  );
  for (const wrong of [
    [...line, "https://a/x"],
    [...line, "./file"],
    ["image", "import", "--name", "x"],
  ])
    assert.match((await socle(wrong, { socket })).stderr, /--volume POOL\/VOLUME/);
  const two = ["image", "import", "--name", "x", "--volume", "web-1.qcow2"];
  assert.match((await socle(two, { socket })).stderr, /POOL\/VOLUME/);
  assert.equal(requests.length, 1);
});

test("an import without a digest is not sent", async (context) => {
  const socket = await fakeAgent(context, {});
  const { exitCode, stderr } = await socle(["image", "import", "https://a/x", "--name", "x"], { socket });
  const missing = await socle(["image", "import", "/none", "--name", "x"], { socket });
  assert.match(missing.stderr, /no such file/);
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /--sha256/);
});

test("images are listed with their size, their disk and their VMs; pools that were not read are named", async (context) => {
  const socket = await fakeAgent(context, {
    images: { ListImages: (_call, done) => done(null, { images: [image], unreadPools: ["slow"] }) },
  });
  const { stdout, stderr } = await socle(["image", "ls"], { socket });
  assert.match(stdout, /debian-13 +- +qcow2 +400 MiB +3 GiB +fast +2 +1h/);
  assert.match(stderr, /storage pools slow/);
  assert.equal((await socle(["image", "ls", "--quiet"], { socket })).stdout, "debian-13\n");
  const json = JSON.parse((await socle(["image", "ls", "--json"], { socket })).stdout) as {
    unreadPools: string[];
  };
  assert.deepEqual(json.unreadPools, ["slow"]);
});

test("vm create --image makes the first disk over the image, in the image's pool", async (context) => {
  const requests: CreateVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    images: { GetImage: (_call, done) => done(null, image) },
    vms: {
      CreateVm: (call, done) => {
        requests.push(call.request);
        done(null, operation({ kind: "CREATE_VM" }));
      },
    },
  });
  const line = ["vm", "create", "--name", "a", "--vcpus", "1", "--memory", "1GiB", "--image", "debian-13"];
  const more = ["--disk-size", "20GiB", "--disk", "new:default:1GiB"];
  assert.equal((await socle([...line, ...more], { socket })).exitCode, 0);
  const [root, second] = requests[0]?.spec?.disks ?? [];
  const { pool, capacityBytes, image: named, baseVolume } = root?.newVolume ?? {};
  assert.deepEqual([pool, capacityBytes, named, baseVolume], ["fast", 20 * 2 ** 30, "debian-13", ""]);
  assert.equal(second?.newVolume?.pool, "default");
  const without = await socle(["vm", "create", "--name", "a", "--disk-size", "1GiB"], { socket });
  assert.match(without.stderr, /--disk-size/);
});

test("prune deletes old images without VMs, after a dry run if asked; one in use by now is kept", async (context) => {
  const deleted: string[] = [];
  const old = { users: 0, createdAt: { seconds: nowMs / 1000 - 90 * 86_400, nanos: 0 } };
  const images: Image[] = [
    { ...image, ...old, imageId: "old", name: "old" },
    { ...image, ...old, imageId: "busy", name: "busy" },
    { ...image, ...old, imageId: "used", usedAt: { seconds: nowMs / 1000 - 60, nanos: 0 } },
    { ...image, ...old, imageId: "with-vms", users: 1 },
    { ...image, imageId: "new", users: 0 },
  ];
  const socket = await fakeAgent(context, {
    images: {
      ListImages: (_call, done) => done(null, { images }),
      DeleteImage: (call, done) => {
        if (call.request.image === "busy")
          done(rpcError(protos, status.FAILED_PRECONDITION, "in use", { reason: "IMAGE_IN_USE" }));
        else {
          deleted.push(call.request.image);
          done(null, operation({ kind: "DELETE_IMAGE", vmId: "", imageId: call.request.image }));
        }
      },
    },
  });
  const prune = ["image", "prune", "--older-than", "720h"];
  assert.match((await socle(prune, { socket })).stderr, /--yes/);
  const dry = await socle([...prune, "--dry-run"], { socket });
  assert.match(dry.stdout, /^busy .* age.*\nold .* age.*\nwould free 800 MiB; nothing changed/m);
  assert.deepEqual(deleted, []);
  const { exitCode, stderr } = await socle([...prune, "--yes"], { socket });
  assert.equal(exitCode, 0);
  assert.match(stderr, /image busy is kept/);
  assert.deepEqual(deleted, ["old"]);
});

test("prune shows what a full pool would lose, the least recently used first; without its use, nothing", async (context) => {
  const aged = (name: string, days: number): Image => ({
    ...image,
    ...{ imageId: name, name, users: 0, createdAt: { seconds: nowMs / 1000 - days * 86_400, nanos: 0 } },
  });
  const images = [aged("young", 2), aged("mid", 20), aged("oldest", 90), { ...aged("used", 99), users: 1 }];
  const pool = { name: "fast", state: "POOL_STATE_ACTIVE", capacityBytes: 4 * 2 ** 30 } as const;
  const known = { ...pool, observation: { presence: "PRESENCE_PRESENT" } } as const;
  const socketWith = (pools: readonly Pool[]): Promise<string> =>
    fakeAgent(context, {
      images: { ListImages: (_call, done) => done(null, { images }) },
      storage: { ListPools: (_call, done) => done(null, { pools: [...pools] }) },
    });
  const prune = ["image", "prune", "--above", "80", "--dry-run"];
  const full = await socketWith([{ ...known, allocatedBytes: 3.3 * 2 ** 30 }]);
  const { stdout } = await socle(prune, { socket: full });
  assert.match(stdout, /^oldest .* pressure.*\nwould free 400 MiB/m);
  const json = JSON.parse((await socle([...prune, "--json"], { socket: full })).stdout) as {
    images: { name: string; why: string }[];
    bytes: number;
  };
  assert.deepEqual(
    json.images.map(({ name, why }) => [name, why]),
    [["oldest", "pressure"]],
  );
  assert.equal(json.bytes, image.sizeBytes);
  const both = await socle([...prune, "--older-than", "2000h", "--unused-for", "24h"], {
    socket: await socketWith([{ ...known, allocatedBytes: 4 * 2 ** 30 }]),
  });
  assert.match(both.stdout, /^oldest .* age.*\nmid .* pressure.*\nyoung .* pressure.*\nwould free/m);
  for (const pools of [[], [known], [{ ...pool, allocatedBytes: 4 * 2 ** 30 }]])
    assert.match((await socle(prune, { socket: await socketWith(pools) })).stdout, /^no images/);
  assert.match((await socle(["image", "prune", "--dry-run"], { socket: full })).stderr, /--above/);
});

test("rm asks at a terminal, and deletes nothing without a yes", async (context) => {
  const deleted: string[] = [];
  const socket = await fakeAgent(context, {
    images: {
      DeleteImage: (call, done) => {
        deleted.push(call.request.image);
        done(null, operation({ kind: "DELETE_IMAGE", vmId: "", imageId }));
      },
    },
  });
  const answer = (text: string) => Object.assign(new PassThrough(), { isTTY: true }).end(text);
  const no = await socle(["image", "rm", "a"], { socket, stdin: answer("n\n") });
  assert.match(no.stderr, /Delete image a\?.*nothing was deleted/s);
  assert.deepEqual([no.exitCode, deleted], [5, []]);
  await socle(["image", "rm", "b"], { socket, stdin: answer("yes\n") });
  await socle(["image", "rm", "c", "--yes"], { socket, stdin: answer("") });
  await socle(["image", "rm", "d"], { socket });
  assert.deepEqual(deleted, ["b", "c", "d"]);
});
