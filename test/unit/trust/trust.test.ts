import assert from "node:assert/strict";
import { chmod, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../../../agent/kernel/log.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { identityOf, Trust } from "../../../agent/trust/index.ts";
import { Authority, installTrust } from "../../scheduler/authority.ts";
import { folder } from "../state/folder.ts";

const domain = "cloud.example";
const log = createLog({ level: "error", destination: { write: () => undefined } });
const problemOf = ({ problem }: Trust): { reason: string; message: string } | undefined => problem;
const trustOf = (directory: string): Trust => new Trust({ directory, domain, clock: systemClock, log });

test("an identity is one URI of the right form, and nothing else is taken for one", () => {
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

test("a trust directory that does not fit is refused, and the last good one stays in use", async (t) => {
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

test("the key of a certificate that somebody else puts there can be a credential of systemd", async (t) => {
  const [directory, credentials] = [await folder(t), await folder(t)];
  const authority = await Authority.make(domain);
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const keyPath = join(credentials, "socle-agent-key");
  await rename(join(directory, "agent.key"), keyPath);
  await chmod(keyPath, 0o400);
  const trust = new Trust({ directory, domain, keyPath, clock: systemClock, log });
  await trust.reload();
  assert.equal(problemOf(trust), undefined);
  assert.equal(trust.material?.tls.key, await readFile(keyPath, "utf8"));
  const without = trustOf(directory);
  await without.reload();
  assert.match(problemOf(without)?.message ?? "", /agent\.key is missing/);
});
