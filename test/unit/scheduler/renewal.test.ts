// Which answers to a renewal a host accepts, and from which authority.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { authorityKeyOf } from "../../../agent/trust/index.ts";
import { eventually } from "../../support/wait.ts";
import { Authority, fingerprintOf, writeRevocations } from "../../scheduler/authority.ts";
import type { Enroller } from "../../scheduler/enroller.ts";
import {
  domain,
  failureOf,
  hostId,
  HOUR_MS,
  reasonOf,
  stage,
} from "../../support/scheduler/enrollment-stage.ts";

/** An enrolled host, and one round of its renewal. */
async function renewing(t: TestContext) {
  let offsetMs = 0;
  let rounds = 0;
  const end = new AbortController();
  const clock: Clock = {
    ...systemClock,
    now: () => Date.now() + offsetMs,
    sleep: (_ms, signal) => {
      rounds += 1;
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("over")), { once: true });
      });
    },
  };
  const staged = await stage(t, { lifeMs: HOUR_MS, clock, now: () => clock.now() });
  t.after(() => end.abort());
  const { enroller, enrollment, enroll, directory } = staged;
  await enroll(enroller.token(["host-a"], HOUR_MS));
  const contents = async (): Promise<string[]> => {
    const names = (await readdir(directory)).sort();
    return await Promise.all(
      names.map(async (name) => `${name}\n${await readFile(join(directory, name), "utf8")}`),
    );
  };
  /** The reason why the renewal failed, if one was due after this time. */
  const renew = async (afterMs = 0.65 * HOUR_MS): Promise<string | undefined> => {
    offsetMs += afterMs;
    const before = rounds;
    const round = new AbortController();
    const running = enrollment.run(round.signal, () => undefined);
    await eventually(() => rounds > before, { timeoutMs: 30_000 });
    round.abort();
    await running;
    return failureOf(enrollment)?.reason;
  };
  return { ...staged, contents, renew };
}

test("an authority that the host's revocation list names can neither renew nor enroll it", async (t) => {
  const { authority, enroller, directory, trust, contents, renew, enroll } = await renewing(t);
  assert.equal(await renew(), undefined);
  authority.revoke(enroller.own.serial);
  await writeRevocations(directory, await authority.revocationList());
  await trust.reload();
  const before = await contents();
  let requested = 0;
  enroller.tamper = () => {
    requested += 1;
    return {};
  };
  assert.equal(await renew(), "CERTIFICATE_REVOKED");
  const token = enroller.token(["host-a"], HOUR_MS);
  const own = fingerprintOf(authority.certificatePem);
  assert.equal(await reasonOf(enroll(token, enroller.address, own)), "CERTIFICATE_REVOKED");
  assert.equal(requested, 0, "nothing was sent to it");
  assert.deepEqual(await contents(), before);
});

test("a host with an older revocation list than before renews at once, until it has the newest", async (t) => {
  const { authority, enroller, trust, renew } = await renewing(t);
  const { serial } = trust.material ?? {};
  assert.equal(await renew(0), undefined);
  assert.equal(trust.material?.serial, serial, "nothing is due");
  const [key] = trust.material?.roots.map(authorityKeyOf) ?? [];
  assert.ok(key !== undefined);
  trust.noteListTimes({ [key]: Date.now() - HOUR_MS });
  assert.equal(await renew(0), undefined);
  assert.notEqual(trust.rolledBack, undefined);
  assert.notEqual(trust.material?.serial, serial);
  authority.revoke("4711");
  enroller.tamper = async () => ({ revocationLists: await authority.revocationList() });
  assert.equal(await renew(0), undefined);
  assert.equal(trust.rolledBack, undefined);
  assert.deepEqual([...(trust.material?.revoked ?? [])], ["4711"]);
});

test("an answer whose sender is revoked meanwhile is not accepted", async (t) => {
  const { authority, enroller, directory, trust, renew } = await renewing(t);
  const before = trust.material?.serial;
  enroller.tamper = async () => {
    authority.revoke(enroller.own.serial);
    await writeRevocations(directory, await authority.revocationList());
    await trust.reload();
    return {};
  };
  assert.equal(await renew(), "CERTIFICATE_REVOKED");
  assert.equal(trust.material?.serial, before);
});

test("an invalid renewal answer changes neither files nor the certificate in use, also over a restart", async (t) => {
  const { authority, enroller, trust, enrollment, contents, renew, trustAgain } = await renewing(t);
  const stranger = await Authority.make(domain);
  const inUse = trust.material;
  const before = await contents();
  const hours = (count: number): Date => new Date(Date.now() + count * HOUR_MS);
  const certified = (request: Buffer, holder: string, of = authority) =>
    of.certify(request, holder, { notAfter: hours(1000) });
  const expired = await authority.revocationList({ issuedAt: hours(-48), nextAt: hours(-24) });
  const answers: [what: string, tamper: Enroller["tamper"], reason: string][] = [
    ["nothing", () => ({ certificateChain: "", authorities: "" }), "CERTIFICATE_UNFIT"],
    [
      "half a certificate",
      (right) => ({ certificateChain: right.certificateChain?.slice(0, 400) ?? "" }),
      "CERTIFICATE_UNFIT",
    ],
    ["no authority", () => ({ authorities: "" }), "CERTIFICATE_UNFIT"],
    [
      "a certificate for another key",
      async () => ({ certificateChain: (await authority.issue(`agent/${hostId}`)).certificatePem }),
      "CERTIFICATE_UNFIT",
    ],
    [
      "another host's",
      async (_, request) => ({ certificateChain: await certified(request, "agent/other") }),
      "IDENTITY_CHANGED",
    ],
    [
      "a scheduler's",
      async (_, request) => ({ certificateChain: await certified(request, "scheduler/s") }),
      "CERTIFICATE_UNFIT",
    ],
    [
      "one of another authority",
      async (_, request) => ({ certificateChain: await certified(request, `agent/${hostId}`, stranger) }),
      "CERTIFICATE_UNFIT",
    ],
    [
      "another authority's whole set",
      async (_, request) => ({
        certificateChain: await certified(request, `agent/${hostId}`, stranger),
        authorities: stranger.certificatePem,
      }),
      "AUTHORITY_CHANGED",
    ],
    [
      "one authority more",
      () => ({ authorities: `${authority.certificatePem}\n${stranger.certificatePem}` }),
      "AUTHORITY_CHANGED",
    ],
    [
      "a certificate as authority",
      async () => ({
        authorities: `${authority.certificatePem}\n${(await authority.issue("viewer/v")).certificatePem}`,
      }),
      "CERTIFICATE_UNFIT",
    ],
    [
      "an expired certificate",
      async (_, request) => ({
        certificateChain: await authority.certify(request, `agent/${hostId}`, {
          notBefore: hours(-3),
          notAfter: hours(-2),
        }),
      }),
      "CERTIFICATE_UNFIT",
    ],
    [
      "a future certificate",
      async (_, request) => ({
        certificateChain: await authority.certify(request, `agent/${hostId}`, {
          notBefore: hours(500),
          notAfter: hours(900),
        }),
      }),
      "CERTIFICATE_UNFIT",
    ],
    ["an expired revocation list", () => ({ revocationLists: expired }), "CERTIFICATE_UNFIT"],
    [
      "another authority's revocation list",
      async () => ({ revocationLists: await stranger.revocationList() }),
      "CERTIFICATE_UNFIT",
    ],
    ["nonsense for a list", () => ({ revocationLists: "nonsense" }), "CERTIFICATE_UNFIT"],
  ];
  for (const [what, tamper, reason] of answers) {
    enroller.tamper = tamper;
    assert.equal(await renew(), reason, what);
    assert.equal(trust.material, inUse, what);
    assert.equal(trust.problem?.reason, reason, what);
    assert.deepEqual(await contents(), before, what);
  }
  const restarted = trustAgain();
  await restarted.reload();
  assert.equal(restarted.material?.serial, inUse?.serial);
  enroller.tamper = async () => ({
    revocationLists: await authority.revocationList({ nextAt: hours(1000) }),
  });
  assert.equal(await renew(), undefined);
  assert.equal(trust.problem, undefined);
  assert.notEqual(trust.material?.serial, inUse?.serial);
  assert.equal(failureOf(enrollment), undefined);
});
