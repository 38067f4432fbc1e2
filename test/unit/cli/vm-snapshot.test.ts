import assert from "node:assert/strict";
import test from "node:test";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";
import { operation } from "../../support/cli/samples.ts";

const snapshot = (id: string, name: string, parentId = "", more: object = {}) => ({
  ...{ id, name, parentId, description: "", createdAt: { seconds: 1000, nanos: 0 }, disks: ["root"] },
  ...{ state: "SNAPSHOT_STATE_READY" as const, quiesced: false, current: false },
  ...more,
});

test("snapshots are shown as a tree", async (context) => {
  const socket = await fakeAgent(context, {
    snapshots: {
      ListSnapshots(_call, done) {
        done(null, {
          snapshots: [
            snapshot("00000001", "one"),
            snapshot("00000002", "two", "00000001"),
            snapshot("00000003", "branch", "00000001", {
              current: true,
              quiesced: true,
              memoryBytes: 2 ** 20,
            }),
            snapshot("00000004", "three", "00000002", { state: "SNAPSHOT_STATE_DELETING" }),
          ],
        });
      },
    },
  });
  const { stdout } = await socle(["vm", "snapshot", "ls", "web-1"], { socket });
  const shown = stdout.split("\n").map((line) => /^ *[a-z]+/.exec(line)?.[0] ?? "");
  assert.deepEqual(shown, ["", "one", "  two", "    three", "  branch", ""]);
  assert.match(stdout, /branch +00000003 .* yes +1 MiB +based on it/);
  assert.match(stdout, /three .*deleting/);
});

test("flags become the request; a revert without a prompt needs --yes", async (context) => {
  const asked: unknown[] = [];
  const socket = await fakeAgent(context, {
    snapshots: {
      CreateSnapshot({ request: { vm, name, description, quiesce, memory, validateOnly } }, done) {
        asked.push(["create", vm, name, description, quiesce, memory, validateOnly]);
        done(null, running);
      },
      DeleteSnapshot({ request: { vm, snapshot: name, validateOnly } }, done) {
        asked.push(["rm", vm, name, validateOnly]);
        done(null, running);
      },
      RevertSnapshot({ request: { vm, snapshot: name, force, discardMemory, validateOnly } }, done) {
        asked.push(["revert", vm, name, force, discardMemory, validateOnly]);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "CREATE_SNAPSHOT" })),
  });
  const run = async (...words: string[]) => await socle(["vm", "snapshot", ...words], { socket });
  await run("create", "web-1", "one", "--quiesce", "--description", "before");
  await run("rm", "web-1", "one", "--dry-run");
  const refused = await run("revert", "web-1", "one", "--force");
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /--yes/);
  await run("revert", "web-1", "one", "--dry-run");
  await run("revert", "web-1", "one", "--force", "--yes");
  await run("create", "web-1", "two", "--memory");
  await run("revert", "web-1", "two", "--discard-memory", "--yes");
  assert.deepEqual(asked, [
    ["create", "web-1", "one", "before", true, false, false],
    ["rm", "web-1", "one", true],
    ["revert", "web-1", "one", false, false, true],
    ["revert", "web-1", "one", true, false, false],
    ["create", "web-1", "two", "", false, true, false],
    ["revert", "web-1", "two", false, true, false],
  ]);
});

test("a guest is frozen for the given time, and thawed", async (context) => {
  const asked: unknown[] = [];
  const socket = await fakeAgent(context, {
    guests: {
      FreezeFilesystems({ request: { vm, timeout } }, done) {
        asked.push([vm, timeout?.seconds]);
        done(null, { filesystems: 2, frozenUntil: { seconds: 1000, nanos: 0 } });
      },
      ThawFilesystems({ request: { vm } }, done) {
        asked.push([vm]);
        done(null, { filesystems: 2 });
      },
    },
  });
  const frozen = await socle(["guest", "freeze", "web-1", "--for", "1m"], { socket });
  assert.match(frozen.stdout, /2 file systems frozen until .*socle guest thaw web-1/);
  const thawed = await socle(["guest", "thaw", "web-1"], { socket });
  assert.equal(thawed.stdout, "2 file systems thawed\n");
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [["web-1", 60], ["web-1"]]);
});
