import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { checkUnit } from "../../../agent/cli/doctor/host-checks.ts";
import type { Finding } from "../../../agent/cli/doctor/finding.ts";
import { folder } from "../state/folder.ts";

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
