// The command reads a disk from QEMU's own socket where it can, and else from the agent.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { backupStage, CLUSTER, type BackupStage } from "../../support/cli/backup-stage.ts";
import { dataOf, statusOf, type Request } from "../../support/vm/nbd-server.ts";

const ZERO_AND_HOLE = 3;
const DIRTY = 1;
const READ = 0;
const DISCONNECT = 2;
const STATUS = 7;

/** More than the reader's buffers hold: they are used again. */
const CLUSTERS = 112;
const ZEROS = [
  [CLUSTERS * CLUSTER, 0],
  [2 * CLUSTER, ZERO_AND_HOLE],
] as const;
const CHANGES = [
  [(CLUSTERS + 1) * CLUSTER, DIRTY],
  [CLUSTER, 0],
] as const;

/** The agent's bytes. */
function answerOf({ type, cookie, offset, length }: Request): Buffer {
  if (type === READ) {
    const clusters = Array.from({ length: length / CLUSTER }, (_, at) =>
      Buffer.alloc(CLUSTER, 1 + offset / CLUSTER + at),
    );
    return dataOf(cookie, offset, Buffer.concat(clusters));
  }
  return statusOf(cookie, 1, ZEROS, true);
}

const create = (on: BackupStage, ...options: readonly string[]) =>
  on.run("vm", "backup", "create", "web-1", "--to", on.directory, ...options);

const backUp = async (on: BackupStage, ...options: readonly string[]): Promise<Buffer> => {
  const { exitCode, stderr } = await create(on, ...options);
  assert.equal(exitCode, 0, stderr);
  const { backupId = "" } = on.backups[0] ?? {};
  return await readFile(join(on.directory, `root.${backupId}.qcow2`));
};

test("a backup read from QEMU's socket is the one that the agent sends, and has its lease renewed", async (context) => {
  const [byAgent, byNbd] = [
    await backupStage(context, { clusters: CLUSTERS }),
    await backupStage(context, { clusters: CLUSTERS }),
  ];
  await byNbd.serveNbd(answerOf);
  assert.deepEqual(await backUp(byNbd), await backUp(byAgent));
  assert.deepEqual([byAgent.offsets, byNbd.offsets], [[0], []]);
  assert.deepEqual([byAgent.renewals, byNbd.renewals], [0, 1]);
});

test("an increment read from QEMU's socket is the one that the agent sends", async (context) => {
  const [byAgent, byNbd] = [
    await backupStage(context, { clusters: CLUSTERS }),
    await backupStage(context, { clusters: CLUSTERS }),
  ];
  for (const on of [byAgent, byNbd]) await backUp(on);
  await byNbd.serveNbd((request) => {
    const { type, cookie } = request;
    if (type !== STATUS) return answerOf(request);
    return Buffer.concat([statusOf(cookie, 1, ZEROS), statusOf(cookie, 2, CHANGES, true)]);
  }, "changes");
  assert.deepEqual(await backUp(byNbd), await backUp(byAgent));
  assert.deepEqual([byAgent.offsets, byNbd.offsets], [[0, 0], [0]]);
});

test("Ctrl-C ends a backup whose disk QEMU does not send", async (context) => {
  const on = await backupStage(context, { clusters: CLUSTERS });
  await on.serveNbd((request) => {
    if (request.type !== READ) return answerOf(request);
    process.emit("SIGINT");
    return undefined;
  });
  const { exitCode, stderr } = await create(on);
  assert.equal(exitCode, 130, stderr);
  assert.deepEqual(on.asked.at(-1), ["finish", "b1", false, false]);
  assert.deepEqual(on.backups, []);
});

test("an archive read from QEMU's socket has the disk that the agent sends", async (context) => {
  const disks: Buffer[] = [];
  for (const isByNbd of [false, true]) {
    const on = await backupStage(context, { clusters: CLUSTERS });
    if (isByNbd) await on.serveNbd(answerOf);
    const archive = `${on.directory}.tar`;
    const { exitCode, stderr } = await on.run("vm", "export", "web-1", archive);
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(on.offsets, isByNbd ? [] : [0]);
    disks.push(execFileSync("tar", ["-xOf", archive, "root.b1.qcow2"], { maxBuffer: 2 ** 26 }));
  }
  assert.deepEqual(disks[0], disks[1]);
});

test("an agent that is reached by its address is read itself: its paths are another host's", async (context) => {
  const on = await backupStage(context, { clusters: CLUSTERS });
  await on.serveNbd(answerOf);
  await backUp(on, "--address", await on.listen());
  assert.deepEqual([on.offsets, on.renewals], [[0], 0]);
});

test("where QEMU's socket ends, the agent is read on", async (context) => {
  const [whole, cut] = [
    await backupStage(context, { clusters: CLUSTERS }),
    await backupStage(context, { clusters: CLUSTERS }),
  ];
  await cut.serveNbd((request, socket) => {
    if (request.type !== READ) return answerOf(request);
    socket.end();
    return dataOf(request.cookie, request.offset, Buffer.alloc(request.length)).subarray(0, 100);
  });
  assert.deepEqual(await backUp(cut), await backUp(whole));
  assert.deepEqual(cut.offsets, [0]);
});

test("a socket that another backup has by now, or that does not answer, is not read", async (context) => {
  const [other, silent] = [
    await backupStage(context, { clusters: CLUSTERS }),
    await backupStage(context, { clusters: CLUSTERS }),
  ];
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
