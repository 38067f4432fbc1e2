import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { keyWatch } from "../../../../agent/vm/keys/key-watch.ts";
import { KeyWrap } from "../../../../agent/vm/keys/key-wrap.ts";
import { sealerOf } from "../../../../agent/vm/model/sealed-keys.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { eventually } from "../../../support/wait.ts";
import { folder } from "../../../support/state/folder.ts";

test("guests with a lost or replaced volume key are reported before their start, until the key is back", async (context) => {
  const file = join(await folder(context), "key");
  await writeFile(file, randomBytes(32), { mode: 0o600 });
  const wrap = new KeyWrap({ file, environment: {} });
  const sealer = sealerOf(await wrap.wrap("secret", "a disk"));
  const table = new VmTable();
  const clock = new FakeClock();
  const reported: (string | undefined)[] = [];
  const stop = new AbortController();
  const watch = keyWatch({ table, wrap, clock, report: (problem) => reported.push(problem) });
  const running = watch.run(stop.signal, () => undefined);
  const look = async (): Promise<string | undefined> => {
    const { length } = reported;
    await eventually(
      () => {
        if (reported.length > length) return true;
        clock.advance(60_000);
        return false;
      },
      { what: "the key's state to be reported", intervalMs: 0 },
    );
    return reported.at(-1);
  };
  const put = (name: string, sealedBy?: readonly string[]): void => {
    const plain = { tenant: "", labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
    const facts = { presence: "present", observedAtMs: 1, state: "stopped", stateReason: "" } as const;
    const size = { managed: true, vcpus: 1, memoryBytes: 1 };
    const keys = sealedBy === undefined ? {} : { sealedBy };
    table.put(withEtag({ id: name, name, ...plain, ...facts, ...size, ...keys }));
  };
  put("plain");
  put("sealed", [sealer]);
  await setImmediate();
  assert.deepEqual(reported, [], "nothing is reported before all VMs are known");
  table.completed(1);
  assert.equal(await look(), undefined);
  await rename(file, `${file}.away`);
  assert.match((await look()) ?? "", /^cannot be started again: sealed; .*key does not exist/);
  await writeFile(file, randomBytes(32), { mode: 0o600 });
  assert.match((await look()) ?? "", new RegExp(`sealed by the volume key ${sealer}, and this host has`));
  await rename(`${file}.away`, file);
  assert.equal(await look(), undefined);
  stop.abort();
  await running;
});
