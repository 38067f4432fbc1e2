import assert from "node:assert/strict";
import { chmod, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../../../agent/kernel/log.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { identityOf, Trust } from "../../../agent/trust/index.ts";
import { Authority, fingerprintOf, installTrust, writeRevocations } from "../../scheduler/authority.ts";
import { folder } from "../../support/state/folder.ts";

const domain = "cloud.example";
const log = createLog({ level: "error", destination: { write: () => undefined } });
const problemOf = ({ problem }: Trust): { reason: string; message: string } | undefined => problem;
const trustOf = (directory: string, write = replaceFile): Trust =>
  new Trust({ replaceFile: write, directory, domain, clock: systemClock, log });

test("an identity is one URI of the right form, and no other form is accepted", () => {
  const { role, name, tenant } = identityOf("URI:spiffe://cloud.example/scheduler/s-1/tenant/acme");
  assert.deepEqual([role, name, tenant], ["scheduler", "s-1", "acme"]);
  const others = [
    undefined,
    "",
    "DNS:cloud.example",
    "URI:https://cloud.example/scheduler/s-1",
    "URI:spiffe://cloud.example/scheduler",
    "URI:spiffe://cloud.example/scheduler/a/b",
    "URI:spiffe://cloud.example/scheduler/..%2fadmin",
    "URI:spiffe://cloud.example/viewer/a, URI:spiffe://cloud.example/admin/a",
    'URI:"spiffe://cloud.example/viewer/a, URI:spiffe://cloud.example/admin/a"',
    'DNS:"x, URI:spiffe://cloud.example/admin/a"',
    "URI:spiffe://Cloud.Example/scheduler/s",
  ];
  for (const names of others)
    assert.throws(() => identityOf(names), { reason: "CERTIFICATE_IDENTITY" }, names);
});

test("an invalid trust directory is refused, and the last good one stays in use", async (t) => {
  const directory = await folder(t);
  const trust = trustOf(directory);
  await trust.reload();
  assert.deepEqual([trust.material, problemOf(trust)?.reason], [undefined, "NOT_ENROLLED"]);

  const [authority, stranger] = [await Authority.make(domain), await Authority.make(domain)];
  const [first, second] = [await authority.issue("agent/host-1"), await authority.issue("agent/host-1")];
  await installTrust(directory, authority, first);
  await trust.reload();
  assert.equal(problemOf(trust), undefined);
  const good = trust.material;
  assert.equal(good?.identity.uri, "spiffe://cloud.example/agent/host-1");

  const misfits: [what: RegExp, put: () => Promise<void>][] = [
    [/is not the key/, () => installTrust(directory, authority, { ...second, keyPem: first.keyPem })],
    [/of no authority/, async () => installTrust(directory, authority, await stranger.issue("agent/host-1"))],
    [/needed/, async () => installTrust(directory, authority, await authority.issue("scheduler/host-1"))],
    [
      /needed/,
      async () => {
        const names = [{ type: "url", value: "spiffe://other.example/agent/host-1" }] as const;
        await installTrust(
          directory,
          authority,
          await authority.issue("agent/host-1", { names: [...names] }),
        );
      },
    ],
    [/no certificate/, () => installTrust(directory, authority, { ...first, certificatePem: "half a file" })],
    [/no revocation list/, () => installTrust(directory, authority, first, "nonsense")],
  ];
  for (const [what, put] of misfits) {
    await put();
    await trust.reload();
    assert.match(problemOf(trust)?.message ?? "", what);
    assert.equal(trust.material, good);
  }

  authority.revoke(first.serial);
  await installTrust(directory, authority, second, await authority.revocationList());
  await trust.reload();
  assert.equal(problemOf(trust), undefined);
  assert.deepEqual([...(trust.material?.revoked ?? [])].length, 1);
  assert.notEqual(trust.material?.serial, good.serial);

  await chmod(join(directory, "agent.key"), 0o644);
  await trust.reload();
  assert.match(problemOf(trust)?.message ?? "", /chmod 600/);
});

test("the key of a certificate that a person installs may be a credential of systemd", async (t) => {
  const [directory, credentials] = [await folder(t), await folder(t)];
  const authority = await Authority.make(domain);
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const keyPath = join(credentials, "socle-agent-key");
  await rename(join(directory, "agent.key"), keyPath);
  await chmod(keyPath, 0o400);
  const trust = new Trust({ replaceFile, directory, domain, keyPath, clock: systemClock, log });
  await trust.reload();
  assert.equal(problemOf(trust), undefined);
  assert.equal(trust.material?.tls.key, await readFile(keyPath, "utf8"));
  const without = trustOf(directory);
  await without.reload();
  assert.match(problemOf(without)?.message ?? "", /agent\.key is missing/);
});

const hours = (count: number): Date => new Date(Date.now() + count * 3_600_000);

test("an edited set that is expired, foreign or older is refused; the last good one survives restarts", async (t) => {
  const directory = await folder(t);
  const [authority, stranger] = [await Authority.make(domain), await Authority.make(domain)];
  const own = await authority.issue("agent/host-1");
  authority.revoke("4711");
  await installTrust(directory, authority, own, await authority.revocationList());
  const trust = trustOf(directory);
  await trust.reload();
  const good = trust.material;
  assert.deepEqual([...(good?.revoked ?? [])], ["4711"]);

  const late = { notBefore: hours(-3), notAfter: hours(-2) };
  const list = (issued: number, next: number, of = authority) =>
    of.revocationList({ issuedAt: hours(issued), nextAt: hours(next) });
  const misfits: [what: RegExp, put: () => Promise<void>][] = [
    [/expired/, async () => writeRevocations(directory, await list(-0.001, -0.0001))],
    [/no authority in ca\.crt signed/, async () => writeRevocations(directory, await list(-1, 9, stranger))],
    [/older than the one in force/, async () => writeRevocations(directory, await list(-5, 9))],
    [/clock right/, async () => writeRevocations(directory, await list(5, 9))],
    [/expired/, async () => installTrust(directory, authority, await authority.issue("agent/host-1", late))],
    [/is missing/, () => rm(join(directory, "ca.crt"))],
    [/no agent\.pem or agent\.crt/, () => rm(join(directory, "agent.crt"))],
  ];
  for (const [what, put] of misfits) {
    await put();
    const restarted = trustOf(directory);
    for (const each of [trust, restarted]) {
      await each.reload();
      assert.match(problemOf(each)?.message ?? "", what);
      assert.equal(problemOf(each)?.reason, "TRUST_INVALID");
      assert.equal(each.material?.serial, good?.serial, String(what));
      assert.deepEqual([...(each.material?.revoked ?? [])], ["4711"]);
    }
    await installTrust(directory, authority, own, await authority.revocationList());
    await trust.reload();
    assert.equal(problemOf(trust), undefined, String(what));
  }
});

test("a revocation list stays in force when its file is gone, and past its end", async (t) => {
  const directory = await folder(t);
  const authority = await Authority.make(domain);
  const own = await authority.issue("agent/host-1");
  authority.revoke("4711");
  // Version 0.1.0 left it like this: without a last good set, and with an expired list.
  const over = await authority.revocationList({ issuedAt: hours(-9), nextAt: hours(-8) });
  await installTrust(directory, authority, own, over);
  const trust = trustOf(directory);
  await trust.reload();
  assert.equal(problemOf(trust), undefined);
  assert.deepEqual([...(trust.material?.revoked ?? [])], ["4711"]);
  assert.ok((trust.material?.revocationsUntilMs ?? Infinity) < Date.now());
  assert.equal(trust.material?.tls.crl, undefined, "OpenSSL would refuse every handshake because of it");
  await rm(join(directory, "ca.crl"));
  for (const each of [trust, trustOf(directory)]) {
    await each.reload();
    assert.deepEqual([problemOf(each), [...(each.material?.revoked ?? [])]], [undefined, ["4711"]]);
  }
});

test("a crash while a new set is written leaves the old one or the new one, complete", async (t) => {
  const authority = await Authority.make(domain);
  const expected = {
    identity: `spiffe://${domain}/agent/host-1`,
    authority: fingerprintOf(authority.certificatePem),
  };
  const answerOf = async (revocationsPem?: string) => {
    const { certificatePem, keyPem } = await authority.issue("agent/host-1");
    return { certificatePem, keyPem, authoritiesPem: authority.certificatePem, revocationsPem };
  };
  const seen = new Set<string>();
  for (let writes = 0; ; writes += 1) {
    const directory = await folder(t);
    const before = trustOf(directory);
    await before.enroll(await answerOf(await authority.revocationList()), expected);
    const old = before.material?.serial;
    let left = writes;
    const crashing = trustOf(directory, async (path, bytes) => {
      if (left === 0) throw new Error("crash");
      left -= 1;
      await replaceFile(path, bytes);
    });
    await crashing.reload();
    authority.revoke(`${4711 + writes}`);
    const answer = await answerOf(await authority.revocationList({ issuedAt: new Date() }));
    const isDone = await crashing.renew(answer).then(
      () => true,
      () => false,
    );
    const after = trustOf(directory);
    await after.reload();
    assert.equal(problemOf(after), undefined, `after ${writes} writes`);
    const { serial, revoked } = after.material ?? assert.fail(`nothing is in use after ${writes} writes`);
    const isOld = serial === old;
    assert.equal(revoked.has(String(4711 + writes)), !isOld, "list and certificate are of one set");
    // The files alone give the same, as version 0.1.0 reads them.
    await rm(join(directory, "last-good.json"));
    const files = trustOf(directory);
    await files.reload();
    assert.equal(files.material?.serial, serial);
    seen.add(isOld ? "old" : "new");
    if (isDone) break;
  }
  assert.deepEqual([...seen], ["old", "new"]);
});
