// How a host gets its first and its next certificate from a real authority over TLS.
import assert from "node:assert/strict";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { renewalMs } from "../../../agent/scheduler/enrollment.ts";
import type { Material } from "../../../agent/trust/index.ts";
import { eventually } from "../../support/wait.ts";
import { Authority, fingerprintOf } from "../../scheduler/authority.ts";
import { Enroller } from "../../scheduler/enroller.ts";
import {
  domain,
  failureOf,
  hostId,
  HOUR_MS,
  reasonOf,
  stage,
} from "../../support/scheduler/enrollment-stage.ts";

test("a host enrolls once with a token; its key is in one file that only the agent can read", async (t) => {
  const { authority, enroller, directory, logged, trust, enroll } = await stage(t);
  const own = fingerprintOf(authority.certificatePem);
  const token = enroller.token(["host-a"], HOUR_MS);
  const { identity } = await enroll(token);
  assert.equal(identity.uri, `spiffe://${domain}/agent/${hostId}`);
  assert.equal(trust.material?.identity.uri, identity.uri);
  assert.deepEqual((await readdir(directory)).sort(), [
    "agent.pem",
    "ca.crt",
    "enrollment.json",
    "last-good.json",
  ]);
  for (const name of ["agent.pem", "last-good.json"])
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600);
  const pem = await readFile(join(directory, "agent.pem"), "utf8");
  const [, secret = ""] = /PRIVATE KEY-----\n([^-]+)/.exec(pem) ?? [];
  const [line = ""] = secret.split("\n");
  assert.ok(line.length > 20);
  const words = logged.join("");
  for (const hidden of [token, token.slice(-32), line]) assert.ok(!words.includes(hidden));

  assert.equal(await reasonOf(enroll(token, enroller.address, own)), "ENROLLMENT_REFUSED");
  assert.equal(trust.material.identity.uri, identity.uri);
});

test("a token that is wrong, late, or for another host or authority enrolls no host", async (t) => {
  const { enroller, directory, enroll } = await stage(t);
  assert.equal(await reasonOf(enroll("secret")), "TOKEN_INVALID");
  assert.equal(await reasonOf(enroll(enroller.token(["host-b"], HOUR_MS))), "ENROLLMENT_REFUSED");
  assert.equal(await reasonOf(enroll(enroller.token(["host-a"], -1))), "ENROLLMENT_REFUSED");
  const good = enroller.token(["host-a"], HOUR_MS);
  assert.equal(await reasonOf(enroll(`${good.slice(0, -20)}${"x".repeat(20)}`)), "ENROLLMENT_REFUSED");
  const impostor = await Enroller.start(await Authority.make(domain));
  t.after(() => impostor.stop());
  assert.equal(await reasonOf(enroll(good, impostor.address)), "AUTHORITY_UNKNOWN");
  assert.equal(await reasonOf(enroll(good, "127.0.0.1:1")), "AUTHORITY_UNREACHABLE");
  assert.deepEqual(await readdir(directory), []);
  assert.equal(await reasonOf(enroll(good)), "done");
});

test("an authority of another domain is not this host's", async (t) => {
  const { enroll } = await stage(t);
  const other = await Enroller.start(await Authority.make("other.example"));
  t.after(() => other.stop());
  assert.equal(await reasonOf(enroll(other.token(["host-a"], HOUR_MS), other.address)), "CERTIFICATE_DOMAIN");
});

test("a certificate is renewed past half of its life and after its end, never earlier or when revoked", async (t) => {
  let offsetMs = 0;
  const wakes: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    now: () => Date.now() + offsetMs,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        wakes.push(resolve);
        signal?.addEventListener("abort", () => reject(new Error("over")), { once: true });
      }),
  };
  const look = async (): Promise<void> => {
    await eventually(() => wakes.length > 0);
    wakes.splice(0).forEach((wake) => wake());
    await eventually(() => wakes.length > 0, { timeoutMs: 30_000 });
  };
  const options = { lifeMs: HOUR_MS, clock, now: () => clock.now() };
  const { authority, enroller, trust, enrollment, enroll } = await stage(t, options);
  await enroll(enroller.token(["host-a"], HOUR_MS));
  const end = new AbortController();
  t.after(() => end.abort());
  void enrollment.run(end.signal, () => undefined);

  const inUse = (): Material => trust.material ?? assert.fail("there is no certificate");
  const first = inUse();
  const dueMs = renewalMs(first, hostId) - Date.now();
  assert.ok(dueMs > 0.49 * HOUR_MS && dueMs < 0.61 * HOUR_MS, `${dueMs}`);
  offsetMs = dueMs - 60_000;
  await look();
  assert.equal(inUse(), first);
  offsetMs = dueMs + 60_000;
  await look();
  const second = inUse();
  assert.notEqual(second.serial, first.serial);
  assert.notEqual(second.tls.key, first.tls.key);
  assert.equal(failureOf(enrollment), undefined);

  offsetMs = 48 * HOUR_MS;
  await look();
  const third = inUse();
  assert.notEqual(third.serial, second.serial, "an expired certificate is renewed too");

  authority.revoke(third.serial.toLowerCase());
  offsetMs += 0.7 * HOUR_MS;
  await look();
  assert.equal(failureOf(enrollment)?.reason, "ENROLLMENT_REFUSED");
  enroller.stop();
  await look();
  assert.equal(failureOf(enrollment)?.reason, "AUTHORITY_UNREACHABLE");
  assert.equal(inUse(), third, "the last one stays in use");
});

test("an enrolled host is enrolled again only with the new authority's fingerprint", async (t) => {
  const { directory, enroller, trust, enroll } = await stage(t);
  await enroll(enroller.token(["host-a"], HOUR_MS));
  const inUse = trust.material;
  const next = await Authority.make(domain);
  const other = await Enroller.start(next);
  t.after(() => other.stop());
  const token = other.token(["host-a"], HOUR_MS);
  assert.equal(await reasonOf(enroll(token, other.address)), "ALREADY_ENROLLED");
  const wrong = fingerprintOf((await Authority.make(domain)).certificatePem);
  assert.equal(await reasonOf(enroll(token, other.address, wrong)), "AUTHORITY_UNKNOWN");
  // Unusable files do not make it a new host.
  await writeFile(join(directory, "agent.pem"), "spoiled");
  assert.equal(await reasonOf(enroll(token, other.address)), "ALREADY_ENROLLED");
  await rm(join(directory, "agent.pem"));
  assert.equal(await reasonOf(enroll(token, other.address)), "ALREADY_ENROLLED");
  assert.equal(trust.material, inUse);
  const material = await enroll(token, other.address, fingerprintOf(next.certificatePem));
  assert.equal(material.tls.ca.trim(), next.certificatePem.trim());
  assert.equal(trust.material, material);
});

test("a crash during enrollment, before the certificates are written, leaves renewals with the current authority", async (t) => {
  const { directory, enroller, enrollment, enroll } = await stage(t);
  await enroll(enroller.token(["host-a"], HOUR_MS));
  const record = join(directory, "enrollment.json");
  const [own] = (JSON.parse(await readFile(record, "utf8")) as { places: unknown[] }).places;
  const other = { address: "elsewhere:1", authority: "0".repeat(64) };
  const renewedAt = async (text: string): Promise<string | undefined> => {
    await writeFile(record, text);
    const end = new AbortController();
    await new Promise<void>((resolve) => void enrollment.run(end.signal, resolve));
    end.abort();
    return enrollment.renewsFrom;
  };
  const places = (...all: unknown[]): string => JSON.stringify({ version: 2, places: all });
  assert.equal(await renewedAt(places(other, own)), enroller.address, "the new set was not installed");
  assert.equal(await renewedAt(places(own, other)), enroller.address, "it was installed");
  assert.equal(
    await renewedAt(places(other)),
    undefined,
    "the certificates come from an authority that others use",
  );
  assert.equal(
    await renewedAt(JSON.stringify({ version: 1, address: "old:1" })),
    "old:1",
    "as version 0.1.0 wrote it",
  );
});

test("the agent does not renew certificate files that a person installs", async (t) => {
  const { enroller, directory, enrollment, enroll } = await stage(t, { lifeMs: HOUR_MS });
  await enroll(enroller.token(["host-a"], HOUR_MS));
  assert.notEqual(enrollment.renewsAtMs, undefined);
  await rm(join(directory, "enrollment.json"));
  const end = new AbortController();
  await new Promise<void>((resolve) => void enrollment.run(end.signal, resolve));
  end.abort();
  assert.equal(enrollment.renewsAtMs, undefined);
});

test("a host with a token from systemd enrolls by itself once, and a refused token is not logged", async (t) => {
  // It waits for the next round, not for a time.
  const clock: Clock = { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(5, signal) };
  const staged = await stage(t, { isByItself: true, clock });
  const { enroller, credentials, logged, trust, enrollment } = staged;
  const enrolled = (): number => logged.filter((line) => line.includes("this host is enrolled")).length;
  const uri = (): string | undefined => trust.material?.identity.uri;
  const path = join(credentials, "socle-enrollment-token");
  const good = enroller.token(["host-a"], HOUR_MS);
  const spoiled = good.replace(/[^.]{8}$/, "spoiled0");
  await writeFile(path, `${spoiled}\n`);
  await trust.reload();
  const end = new AbortController();
  t.after(() => end.abort());
  void enrollment.run(end.signal, () => undefined);
  await eventually(() => logged.some((line) => line.includes("could not enroll")), {
    what: "the refusal",
    timeoutMs: 60_000,
  });
  assert.equal(uri(), undefined);
  await writeFile(path, `${good}\n`);
  await eventually(() => enrolled() > 0, { what: "the certificate", timeoutMs: 60_000 });
  assert.equal(uri(), `spiffe://${domain}/agent/${hostId}`);
  assert.equal(enrolled(), 1);
  const secrets = [good, spoiled].map((token) => token.split(".")[2] ?? "?");
  assert.ok(logged.every((line) => !secrets.some((secret) => line.includes(secret))));
});

test("a host does not enroll by itself without a configured authority or without a token", async (t) => {
  for (const isByItself of [true, false]) {
    const end = new AbortController();
    let rounds = 0;
    const sleep = (): Promise<void> => {
      rounds += 1;
      if (rounds === 3) end.abort();
      return Promise.resolve();
    };
    const staged = await stage(t, { isByItself, clock: { ...systemClock, sleep } });
    const { enroller, credentials, trust, enrollment, logged } = staged;
    const token = enroller.token(["host-a"], HOUR_MS);
    if (!isByItself) await writeFile(join(credentials, "socle-enrollment-token"), token);
    await trust.reload();
    await enrollment.run(end.signal, () => undefined);
    assert.equal(trust.material, undefined);
    assert.ok(!logged.some((line) => line.includes("could not enroll")));
  }
});
