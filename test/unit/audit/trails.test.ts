import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  auditHealth,
  certificateTrail,
  operationTrail,
  type Act,
  type AuditState,
  type AuditTrouble,
  type ForwardState,
} from "../../../agent/audit/index.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import type { Service } from "../../../agent/kernel/lifecycle/service.ts";
import { Operations } from "../../../agent/state/operations/operations.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../agent/trust/index.ts";
import { eventually } from "../../support/wait.ts";
import { Authority, installTrust } from "../../scheduler/authority.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";
import { folder } from "../../support/state/folder.ts";

async function run(t: TestContext, service: Service): Promise<void> {
  const end = new AbortController();
  t.after(() => end.abort());
  await new Promise<void>((resolve) => void service.run(end.signal, resolve));
}

function notes(): { readonly acts: Act[]; readonly note: (act: Act) => void } {
  const acts: Act[] = [];
  return { acts, note: (act) => void acts.push(act) };
}

test("the end of each operation is audited with its VM's tenant, also after the VM is removed", async (t) => {
  const directory = await folder(t);
  const clock = new FakeClock();
  const operations = await Operations.open({ directory, clock, log: silentLog, retentionMs: 1e9 });
  t.after(() => operations.drain(0));
  const { acts, note } = notes();
  const tenants = new Map([["vm-1", "red"]]);
  await run(
    t,
    operationTrail({ note }, operations, (id) => tenants.get(id) ?? ""),
  );
  const requested = { caller: "ann", vmId: "vm-1", fingerprint: "f", intent: {} };
  const { operation } = await operations.begin({ ...requested, kind: "DELETE_VM", requestId: "r-1" });
  await new Promise((resolve) => setImmediate(resolve)); // the beginning is observed while the VM exists
  tenants.clear();
  operations.run(operation, () => Promise.reject(new SocleError("unavailable", "POOL_GONE", "no pool")));
  await eventually(() => acts.length > 0);
  assert.deepEqual(acts, [
    {
      act: "operation_ended",
      requestId: "r-1",
      vm: "vm-1",
      tenant: "red",
      outcome: "failed",
      reason: "POOL_GONE",
      operation: operation.id,
      details: { kind: "DELETE_VM", by: "ann" },
    },
  ]);
});

test("each certificate that comes into use is audited, and so is a refused set of files", async (t) => {
  const directory = await folder(t);
  const authority = await Authority.make("cloud.example");
  const first = await authority.issue("agent/host-1");
  await installTrust(directory, authority, first);
  const trust = new Trust({
    replaceFile,
    directory,
    domain: "cloud.example",
    clock: systemClock,
    log: silentLog,
  });
  await trust.reload();
  const { acts, note } = notes();
  await run(t, certificateTrail({ note }, trust));
  const second = await authority.issue("agent/host-1");
  await installTrust(directory, authority, second);
  await trust.reload();
  await eventually(() => acts.length === 2);
  assert.deepEqual(
    acts.map(({ act, outcome, details }) => [act, outcome, String(details?.["serial"]).toLowerCase()]),
    [first, second].map(({ serial }) => ["certificate_changed", "done", serial.replace(/^0+/, "")]),
  );
});

test("a problem with the log or a sink is reported, and so is its end", async (t) => {
  const clock = new FakeClock();
  let state: Partial<AuditState> = {};
  let sink: ForwardState = { name: "syslog", connected: true, lagEntries: 0, lagSeconds: 0, lost: 0 };
  const reports: AuditTrouble[] = [];
  const audit = {
    get state(): AuditState {
      return { sequence: 1, bytes: 1, waiting: 0, refused: 0, ...state };
    },
  };
  const forwarder = {
    get state(): ForwardState {
      return sink;
    },
  };
  await run(
    t,
    auditHealth(audit, [forwarder], (trouble) => reports.push(trouble), clock),
  );
  state = { damage: "entry 3 is missing" };
  sink = { ...sink, connected: false, lagEntries: 7, lagSeconds: 301 };
  clock.advance(5000);
  await eventually(() => reports.length === 2);
  state = {};
  sink = { ...sink, lagSeconds: 300 };
  clock.advance(5000);
  await eventually(() => reports.length === 3);
  state = { unreadable: "chmod 600 key.pem" };
  clock.advance(5000);
  await eventually(() => reports.length === 4);
  assert.deepEqual(reports, [
    {},
    {
      damaged: "entry 3 is missing",
      behind: "syslog lacks 7 entries, for 301 s",
    },
    {},
    { unreadable: "chmod 600 key.pem" },
  ]);
});
