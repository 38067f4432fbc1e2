import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { ChangeSeedRequest__Output } from "../../../agent/gen/socle/v1/ChangeSeedRequest.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";
import { folder } from "../../support/state/folder.ts";
import { publicKey } from "../../support/vm/seeds.ts";

test("socle vm seed names the parts that its options give or take away", async (t) => {
  const asked: ChangeSeedRequest__Output[] = [];
  const socket = await fakeAgent(t, {
    vms: {
      ChangeSeed: (call, done) => {
        asked.push(call.request);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "CHANGE_SEED" })),
  });
  const run = async (...args: string[]): Promise<string> => {
    const { exitCode, stderr } = await socle(["vm", "seed", "web", ...args], { socket });
    return exitCode === 0 ? "" : stderr;
  };
  const userData = join(await folder(t), "user-data");
  await writeFile(userData, "#cloud-config\n");
  assert.equal(await run("--user-data", userData, "--ssh-key", publicKey, "--run-again"), "");
  assert.equal(await run("--no-user-data", "--no-network-config", "--no-ssh-keys", "--hostname", ""), "");
  assert.equal(await run("--run-again"), "");
  const [given, taken, again] = asked;
  assert.deepEqual(given?.updateMask?.paths, ["ssh_keys", "user_data"]);
  const { cloudInit } = given;
  assert.deepEqual([cloudInit?.userData, cloudInit?.sshKeys], ["#cloud-config\n", [publicKey]]);
  assert.equal(given.newInstanceId, true);
  assert.deepEqual(taken?.updateMask?.paths, ["hostname", "ssh_keys", "user_data", "network_config"]);
  assert.equal(taken.cloudInit?.userData ?? "", "");
  assert.deepEqual([again?.updateMask?.paths, again?.newInstanceId], [[], true]);

  assert.match(await run(), /name what to change/);
  assert.match(await run("--ssh-key", publicKey, "--no-ssh-keys"), /exclude each other/);
  assert.match(await run("--user-data", "-", "--network-config", "-"), /stdin/);
  assert.equal(asked.length, 3);
});
