// A rolled back state directory: its open operations are not repeated.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { checkSpec } from "../../agent/vm/model/spec-check.ts";
import type { Intent } from "../../agent/vm/operations/registry.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";

const MIB = 2 ** 20;

suite("a rolled back state directory", { skip: libvirtdUnavailable() }, () => {
  let host: SocleHost;
  let state: string;
  let copy: string;

  before(async () => {
    host = await SocleHost.start();
    state = join(host.agent.directory, "state");
    copy = join(host.agent.directory, "copy");
  });
  after(() => host.stop());

  const disk = { pool: "images", capacityBytes: MIB } as const;
  const specOf = (id: string) =>
    bootSector(`vm-${id.slice(0, 8)}`, { vmId: id, disks: [{ name: "own", newVolume: disk }] });
  const volumesOf = async (id: string): Promise<string[]> =>
    (await host.volumes()).filter((name) => name.includes(id));

  /** A creation without an end in this state directory's journal, like after a crash or in an early copy. */
  const leaveOpen = async (directory: string, id: string): Promise<string> => {
    const operations = await Operations.open({
      directory,
      clock: systemClock,
      log: silentLog,
      retentionMs: 86_400_000,
    });
    const source = { kind: "new", pool: "images", capacityBytes: MIB };
    const { vmId: _, ...asked } = specOf(id);
    const spec = { ...asked, id, accelerator: "tcg", disks: [{ name: "own", source }] };
    const intent: Intent = {
      kind: "CREATE_VM",
      spec: checkSpec(spec, { bridges: [], allowSpoofing: false }),
      accelerator: "tcg",
      leaveStopped: true,
      placementEpoch: 0,
      createdAtMs: Date.now(),
    };
    const { operation } = await operations.begin({
      requestId: randomUUID(),
      caller: "unix:test",
      kind: "CREATE_VM",
      vmId: id,
      instance: randomUUID(),
      fingerprint: "f",
      intent,
    });
    await operations.drain(0);
    return operation.id;
  };
  const startAgain = async (): Promise<void> => {
    await host.agent.startAgain();
    await host.reconnect();
  };
  const endOf = async (operationId: string) => {
    const { operations } = host.client.contract;
    return await host.end(await host.client.ask(operations.GetOperation, { operationId }));
  };

  test("an interrupted creation of the newest state is finished", async () => {
    const id = randomUUID();
    await host.agent.kill();
    const operation = await leaveOpen(state, id);
    await startAgain();
    assert.equal((await endOf(operation)).state, "STATE_SUCCEEDED");
    assert.deepEqual(await host.domains(), [`vm-${id.slice(0, 8)}`]);
    await host.remove(id);
  });

  test("a creation of an older state, whose VM was deleted since, has no effect", async () => {
    const id = randomUUID();
    const later = randomUUID();
    // Copied from the running agent, so the epoch does not show the rollback.
    await cp(state, copy, { recursive: true, verbatimSymlinks: true });
    const operation = await leaveOpen(copy, id);
    await host.create(specOf(id), { leaveStopped: true });
    await host.remove(id);
    await host.create(specOf(later), { leaveStopped: true });
    await host.agent.kill();
    await rm(state, { recursive: true });
    await cp(copy, state, { recursive: true, verbatimSymlinks: true });
    await startAgain();
    const end = await endOf(operation);
    assert.equal(end.state, "STATE_FAILED");
    assert.equal(host.failureOf(end)?.reason, "OPERATION_SUPERSEDED");
    assert.match(host.failureOf(end)?.message ?? "", new RegExp(`rolled back.* check VM ${id}`));
    assert.deepEqual(await host.domains(), [`vm-${later.slice(0, 8)}`]);
    assert.deepEqual(await volumesOf(id), []);
    await host.agent.logged(({ msg }) => /was rolled back/.test(msg), "the log to report it");

    await host.agent.kill();
    await startAgain();
    assert.equal((await endOf(operation)).state, "STATE_FAILED");
    // Later requests are executed, also after a crash.
    const newer = await (async () => {
      await host.agent.kill();
      return await leaveOpen(state, id);
    })();
    await startAgain();
    assert.equal((await endOf(newer)).state, "STATE_SUCCEEDED");
    assert.equal((await volumesOf(id)).length, 1);
  });

  test("a control epoch accepted after the copy stays in force after the rollback", async () => {
    const reset = async (controlEpoch: number) => {
      const { ResetControlEpoch } = host.client.contract.host;
      const request = { requestId: randomUUID(), controlEpoch };
      return (await host.client.ask(ResetControlEpoch, request)).previousControlEpoch;
    };
    await rm(copy, { recursive: true, force: true });
    await host.agent.whileHalted(() => cp(state, copy, { recursive: true, verbatimSymlinks: true }));
    assert.equal(await reset(7), 0);
    // The lease has it once the call returns.
    await host.agent.kill();
    await rm(state, { recursive: true });
    await cp(copy, state, { recursive: true, verbatimSymlinks: true });
    await startAgain();
    const isTaken = ({ msg }: { msg: string }): boolean => /control epoch is taken from/.test(msg);
    await host.agent.logged(isTaken, "the epoch to be accepted");
    assert.equal(await reset(0), 7);
  });
});
