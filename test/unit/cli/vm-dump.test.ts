import assert from "node:assert/strict";
import { test } from "node:test";
import type { DumpMemoryRequest__Output } from "../../../agent/gen/socle/v1/DumpMemoryRequest.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";

test("socle vm dump asks for a format, and shows the file", async (t) => {
  const asked: DumpMemoryRequest__Output[] = [];
  const socket = await fakeAgent(t, {
    vms: {
      DumpMemory: (call, done) => {
        asked.push(call.request);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "DUMP_MEMORY", result: { path: "/dumps/web.1.elf" } })),
  });
  const shown = await socle(["vm", "dump", "web"], { socket });
  assert.match(shown.stdout, /path: \/dumps\/web\.1\.elf/);
  const { exitCode } = await socle(
    ["vm", "dump", "web", "--format", "kdump-zlib", "--allow-encrypted", "--dry-run"],
    {
      socket,
    },
  );
  assert.equal(exitCode, 0);
  assert.deepEqual(
    asked.map(({ format, allowEncrypted, validateOnly }) => [format, allowEncrypted, validateOnly]),
    [
      ["DUMP_FORMAT_ELF", false, false],
      ["DUMP_FORMAT_KDUMP_ZLIB", true, true],
    ],
  );
  assert.equal((await socle(["vm", "dump", "web", "--format", "raw"], { socket })).exitCode, 2);

  for (const pool of [[], ["--pool", "fast"]])
    await socle(["vm", "dump", "web", "--volume", "crash", ...pool], { socket });
  assert.deepEqual(
    asked.map(({ volume }) => volume),
    [null, null, { pool: "default", name: "crash" }, { pool: "fast", name: "crash" }],
  );
  const without = await socle(["vm", "dump", "web", "--pool", "fast"], { socket });
  assert.match(without.stderr, /--volume/);
  assert.equal(without.exitCode, 2);
});
