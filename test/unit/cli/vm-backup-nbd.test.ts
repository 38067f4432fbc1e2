// The command reads a disk from QEMU's own socket where it can, and else from the agent.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { backupStage, CLUSTER, type BackupStage } from "../../support/cli/backup-stage.ts";
import { dataOf, statusOf, type Request } from "../../support/vm/nbd-server.ts";

const ZERO_AND_HOLE = 3;
const READ = 0;
const DISCONNECT = 2;

/** The agent's bytes. */
function answerOf({ type, cookie, offset, length }: Request): Buffer {
  if (type === READ) {
    const clusters = Array.from({ length: length / CLUSTER }, (_, at) =>
      Buffer.alloc(CLUSTER, 1 + offset / CLUSTER + at),
    );
    return dataOf(cookie, offset, Buffer.concat(clusters));
  }
  const runs = [
    [2 * CLUSTER, 0],
    [2 * CLUSTER, ZERO_AND_HOLE],
  ] as const;
  return statusOf(cookie, 1, runs, true);
}

const backUp = async (on: BackupStage): Promise<Buffer> => {
  const { exitCode, stderr } = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  assert.equal(exitCode, 0, stderr);
  return await readFile(join(on.directory, "root.b1.qcow2"));
};

test("a backup read from QEMU's socket is the one that the agent sends, and has its lease renewed", async (context) => {
  const [byAgent, byNbd] = [await backupStage(context), await backupStage(context)];
  await byNbd.serveNbd(answerOf);
  assert.deepEqual(await backUp(byNbd), await backUp(byAgent));
  assert.deepEqual([byAgent.offsets, byNbd.offsets], [[0], []]);
  assert.deepEqual([byAgent.renewals, byNbd.renewals], [0, 1]);
});

test("where QEMU's socket ends, the agent is read on", async (context) => {
  const [whole, cut] = [await backupStage(context), await backupStage(context)];
  await cut.serveNbd((request, socket) => {
    if (request.type !== READ) return answerOf(request);
    socket.end();
    return dataOf(request.cookie, request.offset, Buffer.alloc(request.length)).subarray(0, 100);
  });
  assert.deepEqual(await backUp(cut), await backUp(whole));
  assert.deepEqual(cut.offsets, [0]);
});

test("a socket that another backup has by now, or that does not answer, is not read", async (context) => {
  const [other, silent] = [await backupStage(context), await backupStage(context)];
  const asked: Request[] = [];
  await other.serveNbd((request) => {
    if (request.type !== DISCONNECT) asked.push(request);
    return undefined;
  });
  other.refusesRenewals = true;
  await backUp(other);
  silent.nbdUri = `nbd+unix:///?socket=${silent.directory}/none`;
  await backUp(silent);
  assert.deepEqual([other.offsets, silent.offsets, asked], [[0], [0], []]);
});
