// On whose behalf a change is made, where a person is required, and what passes without one.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createSecureContext } from "node:tls";
import { credentials, status } from "@grpc/grpc-js";
import type { BrokenGlass, PersonVerifier } from "../../../../agent/api/auth/people.ts";
import { configSchema } from "../../../../agent/config/schema.ts";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { replaceFile } from "../../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../../agent/trust/index.ts";
import { Authority, installTrust } from "../../../scheduler/authority.ts";
import { folder } from "../../../support/state/folder.ts";
import { ApiClient, errorOf, protos, startApi, vm } from "../../../support/api/harness.ts";

type Rules = Partial<PersonVerifier["rules"]>;

/**
 * An API over TLS and on its socket; "ann" is Ann's token, "ann CHG-7" one with a ticket, all others are
 * forged.
 */
async function peopled(t: TestContext, rules: Rules) {
  const directory = await folder(t);
  const authority = await Authority.make("cloud.example");
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const trust = new Trust({
    replaceFile,
    directory,
    domain: "cloud.example",
    clock: systemClock,
    log: silentLog,
  });
  await trust.reload();
  const uses: BrokenGlass[] = [];
  const people: PersonVerifier = {
    rules: { ...configSchema.parse({}).people, ...rules },
    verify(token) {
      const [name = "", ticket] = token.split(" ");
      if (name !== "ann") throw new SocleError("unauthenticated", "PERSON_TOKEN_INVALID", "it is forged");
      return { name, token: "t-1", ...(ticket === undefined ? {} : { ticket }) };
    },
    brokeGlass: (use) => void uses.push(use),
  };
  const api = await startApi(t, { listen: "127.0.0.1:0" }, trust, undefined, people);
  api.table.put(vm("a"));
  const local = new ApiClient(t, `unix:${api.socket}`);
  const as = async (holder: string): Promise<ApiClient> => {
    const { certificatePem: cert, keyPem: key } = await authority.issue(holder);
    const context = createSecureContext({ ca: authority.certificatePem, cert, key });
    const secured = credentials.createFromSecureContext(context, { checkServerIdentity: () => undefined });
    return new ApiClient(t, `127.0.0.1:${api.tcpPort ?? 0}`, {}, secured);
  };
  let count = 0;
  const start = (client: ApiClient, metadata: Record<string, string | string[]> = {}) =>
    client.call(protos.vms.StartVm, { requestId: `r-${(count += 1)}`, vm: "a" }, 60_000, metadata);
  const last = () => api.audited.at(-1);
  return { ...api, uses, local, as, start, last };
}

test("the person and the ticket are in the operation and in the audit log", async (t) => {
  const { as, local, start, audited } = await peopled(t, {});
  const operator = await as("operator/portal");
  const operation = await start(operator, { "socle-person": "ann", "socle-ticket": "INC-12" });
  assert.deepEqual([operation.person, operation.ticket, operation.breakGlass], ["ann", "INC-12", ""]);
  assert.equal(operation.caller, "spiffe://cloud.example/operator/portal");
  const [admitted, ended] = audited;
  assert.deepEqual([admitted?.act, ended?.act], ["call_admitted", "call_ended"]);
  for (const entry of [admitted, ended]) {
    const { person, token, ticket, role } = entry?.caller ?? {};
    assert.deepEqual([person, token, ticket, role], ["ann", "t-1", "INC-12", "operator"]);
  }
  const signed = await start(local, { "socle-person": "ann CHG-7" });
  assert.deepEqual([signed.person, signed.ticket, signed.caller], ["ann", "CHG-7", "unix:operator"]);
  const alone = await start(local, { "socle-ticket": "CHG-8" });
  assert.deepEqual([alone.person, alone.ticket], ["", "CHG-8"]);
  const anonymous = await start(local);
  assert.deepEqual([anonymous.person, anonymous.ticket], ["", ""]);
});

test("where a person is required, a change without one is refused, and the refusal is audited", async (t) => {
  const { as, local, start, requests, last } = await peopled(t, { required: "network" });
  for (const role of ["operator", "admin"]) {
    const client = await as(`${role}/portal`);
    const { code, info } = await errorOf(start(client));
    assert.deepEqual([code, info.reason], [status.UNAUTHENTICATED, "PERSON_MISSING"], role);
    const { act, outcome, reason, caller } = last() ?? {};
    assert.deepEqual([act, outcome, reason], ["call_refused", "denied", "PERSON_MISSING"]);
    assert.equal(caller?.person, undefined);
    assert.equal((await client.call(protos.vms.GetVm, { vm: "a" })).name, "name-a", "reads need no person");
    assert.equal((await start(client, { "socle-person": "ann" })).person, "ann");
  }
  const scheduler = await as("scheduler/s-1");
  assert.equal((await start(scheduler)).person, "");
  assert.equal((await start(local)).person, "", "the requirement covers the network, not the socket");
  assert.equal(requests.length, 4);
});

test("a person may be required of schedulers, and on the socket, consoles included", async (t) => {
  const { as, local, start, requests } = await peopled(t, {
    required: "everywhere",
    requiredOf: ["scheduler", "operator"],
  });
  assert.equal((await errorOf(start(await as("scheduler/s-1")))).info.reason, "PERSON_MISSING");
  assert.equal((await errorOf(start(local))).info.reason, "PERSON_MISSING");
  const console = local.bidi(protos.vms.Console);
  console.write({ vm: "a" });
  const code = await new Promise<number>((resolve) => {
    console.on("error", (error: { code: number }) => resolve(error.code));
    console.resume();
  });
  assert.equal(code, status.UNAUTHENTICATED);
  assert.equal(requests.length, 0);
});

test("a token that is forged, repeated or contradicted is refused even where none is required", async (t) => {
  const { as, start, requests, audited } = await peopled(t, {});
  const operator = await as("operator/portal");
  const tries: [Record<string, string | string[]>, string][] = [
    [{ "socle-person": "eve" }, "PERSON_TOKEN_INVALID"],
    [{ "socle-person": ["ann", "ann"] }, "PERSON_TOKEN_INVALID"],
    [{ "socle-person": "ann CHG-7", "socle-ticket": "CHG-8" }, "PERSON_METADATA_INVALID"],
    [{ "socle-ticket": "x".repeat(129) }, "PERSON_METADATA_INVALID"],
    [{ "socle-ticket": "" }, "PERSON_METADATA_INVALID"],
  ];
  for (const [metadata, reason] of tries) {
    assert.equal((await errorOf(start(operator, metadata))).info.reason, reason);
    assert.deepEqual([audited.at(-1)?.act, audited.at(-1)?.reason], ["call_refused", reason]);
  }
  assert.ok(!JSON.stringify(audited).includes("eve"), "a forged token's name is not recorded as the person");
  assert.equal(requests.length, 0);
});

test("a person's token extends neither the caller's role nor its tenant", async (t) => {
  const { as, start, requests, last } = await peopled(t, { required: "network" });
  for (const role of ["viewer", "auditor", "metrics"]) {
    const client = await as(`${role}/portal`);
    const error = await errorOf(start(client, { "socle-person": "ann" }));
    assert.deepEqual([error.code, error.info.reason], [status.PERMISSION_DENIED, "ROLE_DENIED"], role);
    assert.equal(last()?.caller?.person, "ann", "the person who tried is audited");
  }
  const red = await as("operator/portal/tenant/red");
  const cordon = { state: "LIFECYCLE_STATE_CORDONED", reason: "" } as const;
  const tried = red.call(protos.host.SetSchedulingState, cordon, 60_000, { "socle-person": "ann" });
  assert.equal((await errorOf(tried)).info.reason, "TENANT_DENIED");
  assert.equal(requests.length, 0);
});

test("break-glass works only on the socket, and is audited, counted and logged", async (t) => {
  const glass = { "socle-break-glass": "the provider is down" };
  const { as, local, start, api, audited, uses, logged } = await peopled(t, { required: "everywhere" });
  assert.equal((await errorOf(start(local))).info.reason, "PERSON_MISSING");
  const operation = await start(local, glass);
  assert.deepEqual([operation.breakGlass, operation.person], ["the provider is down", ""]);
  const { act, caller } = audited.at(-2) ?? {};
  assert.deepEqual(
    [act, caller?.role, caller?.breakGlass],
    ["call_admitted", "admin", "the provider is down"],
  );
  const use = { reason: "the provider is down", method: "/socle.v1.VmService/StartVm", requestId: "r-2" };
  assert.deepEqual(uses, [use]);
  assert.equal(api.brokenGlass, 1);
  assert.ok(logged.some(({ level, msg }) => level === "warn" && String(msg).startsWith("break-glass")));

  const acknowledge = { type: "BreakGlass", requestId: "r" };
  const unseen = local.call(protos.host.AcknowledgeCondition, acknowledge, 60_000, glass);
  assert.equal((await errorOf(unseen)).info.reason, "BREAK_GLASS_CANNOT_ACKNOWLEDGE");

  const admin = await as("admin/root");
  for (const metadata of [glass, { ...glass, "socle-person": "ann" }]) {
    const { code, info } = await errorOf(start(admin, metadata));
    assert.deepEqual([code, info.reason], [status.PERMISSION_DENIED, "BREAK_GLASS_NOT_LOCAL"]);
    assert.deepEqual([audited.at(-1)?.act, audited.at(-1)?.outcome], ["call_refused", "denied"]);
  }
  assert.equal(
    (await errorOf(start(local, { "socle-break-glass": "" }))).info.reason,
    "PERSON_METADATA_INVALID",
  );
  assert.equal(api.brokenGlass, 2, "the refused acknowledgement of break-glass counts too");
});

test("a host may forbid break-glass, and publishes no use that could not be audited", async (t) => {
  const glass = { "socle-break-glass": "the provider is down" };
  const { local, start, last, uses } = await peopled(t, { required: "everywhere", breakGlass: false });
  assert.equal((await errorOf(start(local, glass))).info.reason, "BREAK_GLASS_FORBIDDEN");
  assert.equal(last()?.reason, "BREAK_GLASS_FORBIDDEN");
  assert.deepEqual(uses, []);
  const full = await peopled(t, { required: "everywhere" });
  full.audit.record = () => Promise.reject(new SocleError("exhausted", "AUDIT_FAILED", "the disk is full"));
  assert.equal((await errorOf(full.start(full.local, glass))).info.reason, "AUDIT_FAILED");
  assert.deepEqual([full.uses, full.requests], [[], []]);
});
