import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { RescueVmRequest__Output } from "../../../agent/gen/socle/v1/RescueVmRequest.ts";
import type { UnrescueVmRequest__Output } from "../../../agent/gen/socle/v1/UnrescueVmRequest.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";
import { folder } from "../../support/state/folder.ts";

test("rescue names an image or a volume, and unrescue ends it", async (t) => {
  const asked: (RescueVmRequest__Output | UnrescueVmRequest__Output)[] = [];
  const socket = await fakeAgent(t, {
    vms: {
      RescueVm: (call, done) => {
        asked.push(call.request);
        done(null, running);
      },
      UnrescueVm: (call, done) => {
        asked.push(call.request);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "RESCUE_VM" })),
  });
  const { exitCode, stderr } = await socle(
    ["vm", "rescue", "web", "--image", "debian", "--grace", "1500ms"],
    {
      socket,
    },
  );
  assert.equal(exitCode, 0, stderr);
  assert.equal(
    (await socle(["vm", "rescue", "web", "--volume", "p/r.img", "--force"], { socket })).exitCode,
    0,
  );
  assert.equal((await socle(["vm", "unrescue", "web", "--force"], { socket })).exitCode, 0);
  const [image, volume, end] = asked;
  assert.deepEqual(image, {
    requestId: image?.requestId,
    vm: "web",
    etag: "",
    validateOnly: false,
    force: false,
    gracefulTimeout: { seconds: 1, nanos: 500_000_000 },
    source: "image",
    image: "debian",
  });
  assert.ok(volume !== undefined && "source" in volume && volume.source === "volume");
  assert.deepEqual([volume.volume, volume.force], [{ pool: "p", volume: "r.img" }, true]);
  assert.deepEqual([end?.vm, end?.force], ["web", true]);

  const neither = await socle(["vm", "rescue", "web"], { socket });
  assert.deepEqual([neither.exitCode, asked.length], [2, 3]);
  assert.match(neither.stderr, /--image IMAGE, or --volume POOL\/VOLUME/);
});

test("a screenshot is written to its file, or to stdout", async (t) => {
  const socket = await fakeAgent(t, {
    screens: {
      GetScreenshot: (call) => {
        for (const png of ["first ", call.request.vm]) call.write({ png: Buffer.from(png) });
        call.end();
      },
    },
  });
  const file = join(await folder(t), "web.png");
  const saved = await socle(["vm", "screenshot", "web", "-o", file], { socket });
  assert.match(saved.stdout, /^screenshot web: .*web\.png, 9 B\n$/);
  assert.equal(await readFile(file, "utf8"), "first web");
  assert.equal((await socle(["vm", "screenshot", "web", "-o", "-"], { socket })).stdout, "first web");
  assert.equal((await socle(["--json", "vm", "screenshot", "web", "-o", "-"], { socket })).exitCode, 2);
});
