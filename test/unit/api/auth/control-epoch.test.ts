// Who may raise the control epoch, by how much, and what a lower one is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { createSecureContext } from "node:tls";
import {
  checkControlEpoch,
  controlEpochKey,
  enforceControlEpoch,
} from "../../../../agent/api/auth/control-epoch.ts";
import type { Actor } from "../../../../agent/audit/index.ts";
import type { SocleError } from "../../../../agent/kernel/errors.ts";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { createLog } from "../../../../agent/kernel/log.ts";
import {
  ControlEpochs,
  maxControlEpochStep,
  type ControlEpochChange,
} from "../../../../agent/state/records/control-epochs.ts";
import { HostRecord } from "../../../../agent/state/records/host-record.ts";
import { replaceFile } from "../../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../../agent/trust/index.ts";
import { Authority, installTrust } from "../../../scheduler/authority.ts";
import { eventually } from "../../../support/wait.ts";
import { folder } from "../../../support/state/folder.ts";
import { ApiClient, errorOf, keptEpochs, protos, startApi, vm } from "../../../support/api/harness.ts";

const domain = "cloud.example";
const scheduler = { name: "s", role: "scheduler" } as const;
const scoped = { ...scheduler, tenant: "acme" };
const operator = { name: "o", role: "operator" } as const;
const reasonOf = async (act: () => unknown): Promise<string | undefined> => {
  try {
    await act();
    return undefined;
  } catch (thrown) {
    return (thrown as SocleError).reason;
  }
};

test("only a mutation of an unscoped scheduler raises the epoch, by a bounded step; others are compared", async () => {
  const epochs = keptEpochs(0);
  type Caller = Parameters<typeof checkControlEpoch>[1]["caller"];
  const ask = (caller: Caller, epoch: string | undefined, changes = true): Promise<string | undefined> => {
    const metadata = new Metadata();
    if (epoch !== undefined) metadata.set(controlEpochKey, epoch);
    const call = { caller, metadata, changes };
    return reasonOf(() =>
      changes ? enforceControlEpoch(epochs, call, caller) : checkControlEpoch(epochs, call),
    );
  };
  assert.equal(await ask(scheduler, undefined), undefined, "without epochs in use none is required");
  assert.equal(await ask(scheduler, "5"), undefined);
  assert.deepEqual(epochs.raised, [5]);
  const far = String(5 + maxControlEpochStep + 1);
  const refused: [Caller, string | undefined, boolean, string][] = [
    [scheduler, "4", true, "CONTROL_EPOCH_STALE"],
    [scheduler, "4", false, "CONTROL_EPOCH_STALE"],
    [scoped, "4", true, "CONTROL_EPOCH_STALE"],
    [scheduler, undefined, true, "CONTROL_EPOCH_MISSING"],
    [scoped, undefined, true, "CONTROL_EPOCH_MISSING"],
    [scheduler, "5x", true, "CONTROL_EPOCH_INVALID"],
    [scheduler, "-6", false, "CONTROL_EPOCH_INVALID"],
    [operator, String(2 ** 53), true, "CONTROL_EPOCH_INVALID"],
    [scheduler, "9".repeat(17), true, "CONTROL_EPOCH_INVALID"],
    [scheduler, far, true, "CONTROL_EPOCH_TOO_FAR"],
    [scheduler, String(Number.MAX_SAFE_INTEGER), true, "CONTROL_EPOCH_TOO_FAR"],
  ];
  for (const [caller, epoch, changes, reason] of refused)
    assert.equal(await ask(caller, epoch, changes), reason, `${caller.name} ${epoch}`);
  const compared: [Caller, string | undefined, boolean][] = [
    [scheduler, "5", true],
    [scheduler, "6", false],
    [scheduler, far, false],
    [scheduler, undefined, false],
    [scoped, "6", true],
    [scoped, String(Number.MAX_SAFE_INTEGER), true],
    [operator, "6", true],
    [operator, undefined, true],
  ];
  for (const [caller, epoch, changes] of compared)
    assert.equal(await ask(caller, epoch, changes), undefined, `${caller.name} ${epoch}`);
  assert.deepEqual(epochs.raised, [5], "none of these calls raised the epoch");
  assert.equal(await ask(scheduler, String(5 + maxControlEpochStep)), undefined);
});

test("a command whose scheduler was replaced while its admission was written has no effect", async (t) => {
  const epochs = keptEpochs(5);
  const { tcpPort, table, requests, audit, audited } = await startApi(
    t,
    { listen: "127.0.0.1:0" },
    undefined,
    epochs,
  );
  table.put(vm("a"));
  const record = audit.record.bind(audit);
  audit.record = async (act) => {
    await epochs.raise(6, scheduler);
    return await record(act);
  };
  const client = new ApiClient(t, `127.0.0.1:${tcpPort ?? 0}`);
  const pause = { requestId: "r", vm: "a" };
  const refused = await errorOf(client.call(protos.vms.PauseVm, pause, 2000, { [controlEpochKey]: "5" }));
  assert.equal(refused.info.reason, "CONTROL_EPOCH_STALE");
  assert.equal(refused.info.metadata["control_epoch"], "6");
  assert.deepEqual(requests, []);
  assert.deepEqual(audited.at(-1)?.outcome, "refused");
});

test("a command whose scheduler was replaced while its call was queued has no effect", async (t) => {
  const kept = keptEpochs(0);
  const epochs: typeof kept = {
    raised: kept.raised,
    get controlEpoch() {
      return kept.controlEpoch;
    },
    async raise(epoch, by) {
      await kept.raise(epoch, by);
      void kept.raise(epoch + 1, by);
    },
    reset: (epoch) => kept.reset(epoch),
  };
  const { tcpPort, table, requests, audited } = await startApi(
    t,
    { listen: "127.0.0.1:0" },
    undefined,
    epochs,
  );
  table.put(vm("a"));
  const client = new ApiClient(t, `127.0.0.1:${tcpPort ?? 0}`);
  const pause = { requestId: "r", vm: "a" };
  const refused = await errorOf(client.call(protos.vms.PauseVm, pause, 2000, { [controlEpochKey]: "5" }));
  assert.deepEqual([refused.info.reason, requests], ["CONTROL_EPOCH_STALE", []]);
  assert.equal(audited.at(-1)?.outcome, "refused");
});

test("a scheduler replaced while its epoch is published is refused", async (t) => {
  const record = await HostRecord.open(await folder(t));
  const publications: (() => void)[] = [];
  const epochs = new ControlEpochs<Actor>(
    record,
    () => Promise.resolve(),
    () => new Promise((resolve) => publications.push(resolve)),
  );
  const [first, second] = [5, 6].map((epoch) => reasonOf(() => epochs.raise(epoch, scheduler)));
  await eventually(() => publications.length === 2, { what: "both to be published" });
  for (const publish of publications) publish();
  assert.deepEqual([await first, await second], ["CONTROL_EPOCH_STALE", undefined]);
});

test("over TLS a tenant's scheduler, a read or a health check never moves the host's epoch", async (t) => {
  const directory = await folder(t);
  const authority = await Authority.make(domain);
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const log = createLog({ level: "error" });
  const trust = new Trust({ replaceFile, directory, domain, clock: systemClock, log });
  await trust.reload();
  const record = await HostRecord.open(await folder(t));
  const audited: ControlEpochChange<Actor>[] = [];
  const epochs = new ControlEpochs<Actor>(record, (change) => Promise.resolve(audited.push(change)));
  const {
    tcpPort,
    table,
    socket,
    audited: acts,
  } = await startApi(t, { listen: "127.0.0.1:0" }, trust, epochs);
  table.put(vm("a", { tenant: "acme" }));
  const clientOf = async (holder: string): Promise<ApiClient> => {
    const { certificatePem: cert, keyPem: key } = await authority.issue(holder);
    const context = createSecureContext({ ca: authority.certificatePem, cert, key });
    const by = credentials.createFromSecureContext(context, { checkServerIdentity: () => undefined });
    return new ApiClient(t, `127.0.0.1:${tcpPort ?? 0}`, {}, by);
  };
  const epoch = (value: number) => ({ [controlEpochKey]: String(value) });
  const pause = { requestId: "r", vm: "a" };
  const ofTenant = await clientOf("scheduler/t/tenant/acme");
  await ofTenant.call(protos.vms.PauseVm, pause, 5000, epoch(900_000));
  await ofTenant.call(protos.health.Check, { service: "" }, 5000, epoch(900_000));
  const inCharge = await clientOf("scheduler/s-1");
  await inCharge.call(protos.host.GetHost, {}, 5000, epoch(900_000));
  assert.deepEqual([record.controlEpoch, audited], [0, []]);
  // A call outside its role raises nothing either.
  const denied = await errorOf(
    inCharge.call(protos.host.SetSchedulingState, { requestId: "c" }, 5000, epoch(7)),
  );
  assert.equal(denied.code, status.PERMISSION_DENIED);
  assert.equal(record.controlEpoch, 0);
  await inCharge.call(protos.vms.PauseVm, { ...pause, requestId: "r2" }, 5000, epoch(7));
  assert.equal(record.controlEpoch, 7);
  assert.deepEqual(
    audited.map(({ from, to, by }) => [from, to, by.name, by.role]),
    [[0, 7, "spiffe://cloud.example/scheduler/s-1", "scheduler"]],
  );

  const admin = await clientOf("admin/someone");
  const reset = { requestId: "e", controlEpoch: 3 };
  const remote = await errorOf(admin.call(protos.host.ResetControlEpoch, reset));
  assert.deepEqual([remote.code, remote.info.reason], [status.PERMISSION_DENIED, "SOCKET_ONLY"]);
  const local = new ApiClient(t, `unix:${socket}`);
  const before = acts.length;
  const answer = await local.call(protos.host.ResetControlEpoch, reset);
  assert.deepEqual([answer.previousControlEpoch, answer.controlEpoch, record.controlEpoch], [7, 3, 3]);
  assert.deepEqual(
    acts
      .slice(before)
      .map(({ act, outcome, caller, arguments: fields }) => [act, outcome, caller?.name, fields]),
    [
      ["call_admitted", "allowed", "unix:operator", { controlEpoch: 3 }],
      ["call_ended", "done", "unix:operator", undefined],
    ],
  );
  assert.equal((await local.call(protos.host.GetHost, {})).controlEpoch, 3);
  const unsafe = local.call(protos.host.ResetControlEpoch, { ...reset, controlEpoch: 2 ** 53 });
  assert.equal((await errorOf(unsafe)).code, status.INVALID_ARGUMENT);
  await inCharge.call(protos.vms.PauseVm, { ...pause, requestId: "r3" }, 5000, epoch(4));
  assert.equal(record.controlEpoch, 4);
});
