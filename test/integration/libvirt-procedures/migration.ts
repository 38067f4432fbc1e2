import assert from "node:assert/strict";
import { join } from "node:path";
import * as p from "../../../agent/libvirt/index.ts";
import { eventually } from "../../support/wait.ts";
import { text, ullong, valueOf, type Proofs } from "./world.ts";

const nothing = new Uint8Array(0);
const MIB = 1024 * 1024;

export const migration: Proofs = {
  "jobs, the monitor's health and the dirty rate of a guest": async ({ on, xml }) => {
    const { dom } = await on.answers(p.domainCreateXml, { xmlDesc: xml("socle-proc-job"), flags: 0 });
    assert.equal((await on.answers(p.domainGetJobInfo, { dom })).type, p.DomainJobType.NONE);
    assert.deepEqual(await on.answers(p.domainGetJobStats, { dom, flags: 0 }), {
      type: p.DomainJobType.NONE,
      params: [],
    });
    await on.refuses(p.domainAbortJob, { dom }, "LIBVIRT_OPERATION_INVALID");
    // After the start libvirt itself occupies the monitor for a moment.
    const isAtRest = async (): Promise<boolean> =>
      (await on.answers(p.domainGetControlInfo, { dom, flags: 0 })).state === p.DomainControlState.OK;
    await eventually(isAtRest, { what: "the monitor to be free" });
    await on.answers(p.domainStartDirtyRateCalc, {
      dom,
      seconds: 1,
      flags: p.DomainDirtyRateCalcFlags.PAGE_SAMPLING,
    });
    const measured = async (): Promise<boolean> => {
      const ask = { doms: [dom], stats: p.DomainStatsTypes.DIRTYRATE, flags: 0 };
      const { retStats } = await on.answers(p.connectGetAllDomainStats, ask);
      const status = valueOf(retStats[0]?.params ?? [], "dirtyrate.calc_status");
      return status === p.DomainDirtyRateStatus.MEASURED;
    };
    await eventually(measured, { what: "a dirty rate" });

    await on.answers(p.domainMigrateSetMaxDowntime, { dom, downtime: 450, flags: 0 });
    assert.deepEqual(await on.answers(p.domainMigrateGetMaxDowntime, { dom, flags: 0 }), { downtime: 450 });
    await on.answers(p.domainMigrateSetMaxSpeed, { dom, bandwidth: 77, flags: 0 });
    assert.deepEqual(await on.answers(p.domainMigrateGetMaxSpeed, { dom, flags: 0 }), { bandwidth: 77 });
    await on.answers(p.domainMigrateSetCompressionCache, { dom, cacheSize: 128 * MIB, flags: 0 });
    assert.deepEqual(await on.answers(p.domainMigrateGetCompressionCache, { dom, flags: 0 }), {
      cacheSize: 128 * MIB,
    });
    await on.refuses(p.domainMigrateStartPostCopy, { dom, flags: 0 }, "LIBVIRT_OPERATION_INVALID");
    await on.answers(p.domainDestroyFlags, { dom, flags: 0 });
  },

  "a guest migrates in five steps, and back in one with post-copy": async (world) => {
    const { on, onDestination, xml, host, destination, recorder } = world;
    const name = "socle-proc-migrate";
    const { dom } = await on.answers(p.domainCreateXml, { xmlDesc: xml(name), flags: 0 });
    const uri = text(p.VIR_MIGRATE_PARAM_URI, `unix://${join(host.directory, "forth.sock")}`);
    const destinationName = text(p.VIR_MIGRATE_PARAM_DEST_NAME, name);
    const { LIVE, CHANGE_PROTECTION, UNSAFE, PEER2PEER, POSTCOPY } = p.DomainMigrateFlags;
    const flags = p.flags(LIVE, CHANGE_PROTECTION, UNSAFE);

    const begun = await on.answers(p.domainMigrateBegin3Params, { dom, params: [], flags });
    const prepared = await onDestination.answers(p.domainMigratePrepare3Params, {
      params: [uri, destinationName, text(p.VIR_MIGRATE_PARAM_DEST_XML, begun.xml)],
      cookieIn: begun.cookieOut,
      flags,
    });
    const performed = await on.answers(p.domainMigratePerform3Params, {
      dom,
      dconnuri: null,
      params: [uri],
      cookieIn: prepared.cookieOut,
      flags,
    });
    const finished = await onDestination.answers(p.domainMigrateFinish3Params, {
      params: [uri, destinationName],
      cookieIn: performed.cookieOut,
      flags,
      cancelled: false,
    });
    await on.answers(p.domainMigrateConfirm3Params, {
      dom,
      params: [],
      cookieIn: finished.cookieOut,
      flags,
      cancelled: false,
    });
    await on.refuses(p.domainLookupByUuid, { uuid: dom.uuid }, "LIBVIRT_NO_DOMAIN");
    const there = finished.dom;
    assert.equal(there.uuid, dom.uuid);
    assert.deepEqual(await onDestination.answers(p.domainGetState, { dom: there, flags: 0 }), {
      state: p.DomainState.RUNNING,
      reason: p.DomainStateReason.RUNNING.MIGRATED,
    });
    await recorder.waitFor(
      p.domainEventCallbackMigrationIteration,
      (received) => received.dom.uuid === dom.uuid,
    );

    // Slow enough to be observed, until post-copy switches the guest over.
    const slow = ullong(p.VIR_MIGRATE_PARAM_BANDWIDTH, 1);
    const back = onDestination.answers(p.domainMigratePerform3Params, {
      dom: there,
      dconnuri: host.uri.replace("qemu:", "qemu+unix:"),
      params: [text(p.VIR_MIGRATE_PARAM_URI, `unix://${join(host.directory, "back.sock")}`), slow],
      cookieIn: nothing,
      flags: p.flags(LIVE, UNSAFE, PEER2PEER, POSTCOPY),
    });
    const underWay = async (): Promise<boolean> => {
      const { params } = await onDestination.answers(p.domainGetJobStats, { dom: there, flags: 0 });
      return Number(valueOf(params, "memory_iteration")) >= 1;
    };
    await eventually(underWay, { what: "the migration to run" });
    await onDestination.answers(p.domainMigrateStartPostCopy, { dom: there, flags: 0 });
    await back;
    const returned = await on.answers(p.domainLookupByUuid, { uuid: dom.uuid });
    await on.answers(p.domainDestroyFlags, { ...returned, flags: 0 });
    await onDestination.refuses(p.domainLookupByUuid, { uuid: dom.uuid }, "LIBVIRT_NO_DOMAIN");
    assert.notEqual(host.hostUuid, destination.hostUuid);
  },
};
