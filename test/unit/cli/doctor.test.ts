import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { checkLibvirt, checkUnit } from "../../../agent/cli/doctor/host-checks.ts";
import type { Finding } from "../../../agent/cli/doctor/finding.ts";
import { folder } from "../state/folder.ts";

test("doctor connects to libvirt: a socket that a dead one left is no libvirt", async (t) => {
  const directory = await folder(t);
  const path = join(directory, "sock");
  const uri = `qemu:///system?socket=${path}`;
  assert.match((await checkLibvirt(uri, undefined)).found, /not running: there is no .*sock$/);
  const daemon = createServer().listen(path);
  await once(daemon, "listening");
  assert.equal((await checkLibvirt(uri, undefined)).verdict, "ok");
  // As one that was killed leaves it.
  await rename(path, `${path}-kept`);
  daemon.close();
  await once(daemon, "close");
  await rename(`${path}-kept`, path);
  const dead = await checkLibvirt(uri, undefined);
  assert.equal(dead.verdict, "fail");
  assert.match(dead.found, /not running: .*sock is there, and nobody answers at it \(ECONNREFUSED\)/);
});

test("doctor tells of an agent with rights it should not have, and of a credential that keeps it from starting", async (t) => {
  const directory = await folder(t);
  const unit = async (properties: string, capabilities?: string): Promise<Finding | undefined> => {
    const words = `LoadState=loaded\n${properties}`;
    await writeFile(join(directory, "systemctl"), `#!/bin/sh\necho '${words}'\n`, { mode: 0o755 });
    await mkdir(join(directory, "7"), { recursive: true });
    if (capabilities !== undefined)
      await writeFile(join(directory, "7/status"), `Name:\tnode\nCapPrm:\t0\nCapEff:\t${capabilities}\n`);
    return await checkUnit({ PATH: directory }, directory);
  };
  const running = "ActiveState=active\nResult=success\nMainPID=7\nExecMainStatus=0";
  assert.equal((await unit(running))?.verdict, "warn");
  assert.deepEqual((await unit(running, "0000000000000000"))?.verdict, "ok");
  const mighty = await unit(running, "0000000400220002");
  assert.equal(mighty?.verdict, "warn");
  assert.match(`${mighty.found} ${mighty.next ?? ""}`, /0000000400220002.*systemctl cat socle-agent/);

  const waiting = "ActiveState=activating\nResult=exit-code\nMainPID=0";
  const sealed = await unit(`${waiting}\nExecMainStatus=243`);
  assert.equal(sealed?.verdict, "fail");
  assert.match(
    `${sealed.found} ${sealed.next ?? ""}`,
    /cannot decrypt a credential.*credstore\.encrypted.*systemd-creds decrypt.*move it/,
  );
  const other = await unit(`${waiting}\nExecMainStatus=1`);
  assert.equal(other?.verdict, "warn");
  assert.match(other.found, /activating \(exit-code\)/);

  await writeFile(join(directory, "systemctl"), "#!/bin/sh\necho LoadState=not-found\n");
  assert.equal(await checkUnit({ PATH: directory }), undefined);
  assert.equal(await checkUnit({ PATH: join(directory, "nothing") }), undefined);
});
