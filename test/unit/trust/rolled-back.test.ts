// A trust directory that is replaced by an older copy, over one libvirt's secrets.
import assert from "node:assert/strict";
import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { buildLease } from "../../../agent/composition/hypervisor.ts";
import { openState } from "../../../agent/composition/state.ts";
import { parseConfig } from "../../../agent/config/load.ts";
import { systemClock as clock, type Clock } from "../../../agent/kernel/clock.ts";
import { silentLog as log } from "../../../agent/kernel/log.ts";
import type * as libvirt from "../../../agent/libvirt/index.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { RevocationGuard, Trust } from "../../../agent/trust/index.ts";
import { eventually } from "../../support/wait.ts";
import { Authority, installTrust, writeRevocations } from "../../scheduler/authority.ts";
import { folder } from "../../support/state/folder.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";
import { SecretStore } from "../../support/vm/lease-stage.ts";

const domain = "cloud.example";
const defaults = parseConfig("", "defaults").config;
const hours = (count: number): Date => new Date(Date.now() + count * 3_600_000);

/** An agent's trust, its guard and its lease, once it is in this state. */
async function agent(t: TestContext, base: string, store: SecretStore, leaseClock: Clock = clock) {
  const trust = new Trust({ replaceFile, directory: join(base, "trust"), domain, clock, log });
  await trust.reload();
  const config = { ...defaults, state: { ...defaults.state, directory: join(base, "state") } };
  const state = await openState({ config, version: "test", environment: {}, clock, log });
  const revocations = new RevocationGuard(trust, state.permit, () => state.watermark.raise());
  const parts = { libvirt: store.calls as unknown as libvirt.Libvirt, revocations };
  const lease = buildLease({ config, clock: leaseClock, log }, state, parts);
  const end = new AbortController();
  t.after(() => end.abort());
  const running = [revocations, lease].map((service) => service.run(end.signal, () => undefined));
  const holds = (): boolean => store.lease()["agentEpoch"] === state.record.agentEpoch;
  await eventually(holds, { what: "the lease" });
  const stop = async (): Promise<void> => {
    end.abort();
    await Promise.all(running);
    await state.close();
  };
  return { trust, stop, refusal: () => state.permit.refusal };
}

async function host(t: TestContext) {
  const base = await folder(t);
  const authority = await Authority.make(domain);
  const own = await authority.issue("agent/host-1");
  const [directory, copy] = [join(base, "trust"), join(base, "copy")];
  const store = new SecretStore();
  store.xml = undefined;
  return {
    authority,
    directory,
    store,
    start: (leaseClock?: Clock) => agent(t, base, store, leaseClock),
    install: (list?: string) => installTrust(directory, authority, own, list),
    listOf: (issued: number) => authority.revocationList({ issuedAt: hours(issued), nextAt: hours(24) }),
    copy: () => cp(directory, copy, { recursive: true }),
    putCopyInPlace: async () => {
      await rm(directory, { recursive: true });
      await cp(copy, directory, { recursive: true });
    },
  };
}

for (const what of ["an older list", "no list"])
  test(`a trust directory replaced by ${what} changes nothing until it has the newest list`, async (t) => {
    const { authority, directory, start, install, listOf, copy, putCopyInPlace } = await host(t);
    await install(what === "no list" ? undefined : await listOf(-3));
    const first = await start();
    assert.equal(first.refusal(), undefined);
    await copy();
    authority.revoke("4711");
    await writeRevocations(directory, await listOf(-2));
    await first.trust.reload();
    await first.stop();
    await putCopyInPlace();

    // Also the second start after it, whose lease was written by an agent with the older list.
    for (let starts = 0; starts < 2; starts += 1) {
      const { trust, refusal, stop } = await start();
      assert.equal(refusal()?.reason, "REVOCATIONS_ROLLED_BACK");
      assert.match(refusal()?.message ?? "", /put the newest ca\.crl/);
      assert.equal(trust.problem, undefined, "the files match");
      await stop();
    }
    const last = await start();
    await writeRevocations(directory, await listOf(-2.5));
    await last.trust.reload();
    assert.equal(last.refusal()?.reason, "REVOCATIONS_ROLLED_BACK");
    await writeRevocations(directory, await listOf(-1));
    await last.trust.reload();
    await eventually(() => last.refusal() === undefined, { what: "changes to be allowed" });
    await last.stop();
  });

test("the lists of two authorities with one name are both in force, and neither counts as missing", async (t) => {
  const { authority, directory, start, install, listOf } = await host(t);
  authority.revoke("4711");
  await install(await listOf(-1));
  const { trust, refusal, stop } = await start();
  const next = await Authority.make(domain);
  next.revoke("4712");
  await writeFile(join(directory, "ca.crt"), `${authority.certificatePem}\n${next.certificatePem}`);
  await writeRevocations(directory, await next.revocationList({ issuedAt: hours(-2), nextAt: hours(24) }));
  await trust.reload();
  assert.deepEqual([trust.problem, trust.rolledBack, refusal()], [undefined, undefined, undefined]);
  assert.deepEqual([...(trust.material?.revoked ?? [])].sort(), ["4711", "4712"]);
  await stop();
});

test("a list from the future does not make later correct ones older", async (t) => {
  const { directory, start, install, listOf } = await host(t);
  await install(await listOf(20));
  await (await start()).stop();
  await rm(directory, { recursive: true });
  await install(await listOf(-1));
  const { refusal, stop } = await start();
  assert.equal(refusal(), undefined);
  await stop();
});

test("a copy from before its authority was replaced is detected as older, and so is the one after it", async (t) => {
  const { directory, start, install, listOf, copy, putCopyInPlace } = await host(t);
  await install(await listOf(-5));
  await copy();
  await writeRevocations(directory, await listOf(-4));
  await (await start()).stop();
  const next = await Authority.make(domain);
  const own = await next.issue("agent/host-1");
  const listOfNext = (issued: number): Promise<string> =>
    next.revocationList({ issuedAt: hours(issued), nextAt: hours(24) });
  const exchange = async (issued: number): Promise<void> => {
    await rm(directory, { recursive: true });
    await installTrust(directory, next, own, await listOfNext(issued));
  };
  await exchange(-2);
  await (await start()).stop();

  await putCopyInPlace();
  const rolledBack = await start();
  assert.equal(rolledBack.refusal()?.reason, "REVOCATIONS_ROLLED_BACK");
  await rolledBack.stop();
  await exchange(-3);
  const older = await start();
  assert.equal(older.refusal()?.reason, "REVOCATIONS_ROLLED_BACK");
  await exchange(-2);
  await older.trust.reload();
  await eventually(() => older.refusal() === undefined, { what: "changes to be allowed" });
  await older.stop();
});

test("the lease has the time of a new list before its next renewal", async (t) => {
  const { directory, store, start, install, listOf } = await host(t);
  await install(await listOf(-2));
  const { trust, stop } = await start(new FakeClock());
  await writeRevocations(directory, await listOf(-1));
  await trust.reload();
  const newest = (): number => Math.max(...Object.values(trust.listTimes));
  const hasNewest = (): boolean =>
    Object.values(store.lease()["revocationLists"] as object).includes(newest());
  await eventually(hasNewest, { what: "the new list's time" });
  await stop();
});

test("an authority that is not trusted any more leaves no list behind that could count as missing", async (t) => {
  const { directory, start, install, listOf } = await host(t);
  await install(await listOf(-1));
  await (await start()).stop();
  const another = await Authority.make(domain);
  await rm(join(directory, "ca.crl"));
  await installTrust(directory, another, await another.issue("agent/host-1"));
  const second = await start();
  assert.deepEqual([second.trust.problem, second.refusal()], [undefined, undefined]);
  await second.stop();
});
