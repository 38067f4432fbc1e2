import assert from "node:assert/strict";
import { join } from "node:path";
import * as p from "../../../agent/libvirt/index.ts";
import { ullong, type Proofs } from "./world.ts";

const graphics = "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>";

// Many of these need hardware, a command of the guest agent or file descriptors that tests do not have. The daemon must
// then understand the call and refuse it.
export const rarely: Proofs = {
  "a guest's screen, labels and counters": async ({ on, libvirt, ledger, xml }) => {
    const xmlDesc = xml("socle-proc-rare", { devices: graphics });
    await on.refuses(p.domainCreateXmlWithFiles, { xmlDesc, flags: 0 });
    const { dom } = await on.answers(p.domainCreateXml, { xmlDesc, flags: 0 });
    await on.refuses(p.domainCreateWithFiles, { dom, flags: 0 });
    const screen = await libvirt.openStream(p.domainScreenshot, { dom, screen: 0, flags: 0 });
    const pieces: Buffer[] = [];
    for await (const piece of screen) pieces.push(piece);
    ledger.answered(p.domainScreenshot);
    assert.match(Buffer.concat(pieces).subarray(0, 8).toString("latin1"), /^P6|PNG/);

    await on.answers(p.domainGetSecurityLabel, { dom });
    await on.answers(p.domainGetSecurityLabelList, { dom });
    await on.answers(p.nodeGetSecurityModel, {});
    await on.answers(p.domainGetPerfEvents, { dom, flags: 0 });
    const cmt = { field: p.VIR_PERF_PARAM_CMT, value: { type: "boolean", value: false } } as const;
    await on.answers(p.domainSetPerfEvents, { dom, params: [cmt], flags: 0 });

    const none = await on.answers(p.domainGetLaunchSecurityInfo, { dom, flags: 0 });
    assert.deepEqual(none, { params: [] });
    await on.refuses(p.domainPmWakeup, { dom, flags: 0 });
    await on.refuses(p.domainSetLaunchSecurityState, { dom, params: [], flags: 0 });
    await on.refuses(p.domainPmSuspendForDuration, { dom, target: 0, duration: 0, flags: 0 });
    await on.refuses(p.domainSetUserPassword, { dom, user: "root", password: "x", flags: 0 });
    await on.refuses(p.domainAuthorizedSshKeysGet, { dom, user: "root", flags: 0 });
    await on.refuses(p.domainAuthorizedSshKeysSet, { dom, user: "root", keys: ["x"], flags: 0 });
    await on.refuses(p.domainSendProcessSignal, { dom, pidValue: 1, signum: 9, flags: 0 });
    await on.refuses(p.domainOpenGraphics, { dom, idx: 0, flags: 0 });
    await on.refuses(p.domainFdAssociate, { dom, name: "socle", flags: 0 });
    await on.refuses(p.domainGraphicsReload, { dom, type: p.DomainGraphicsReloadType.VNC, flags: 0 });
    const throttle = { dom, group: "socle-proc", flags: 0 };
    const limit = ullong(p.VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, 1000);
    await on.answers(p.domainSetThrottleGroup, { ...throttle, params: [limit] });
    await on.answers(p.domainDelThrottleGroup, throttle);
    await on.refuses(p.domainAttach, { pidValue: 1, flags: 0 });
    await on.answers(p.domainDestroy, { dom });
  },

  "command lines, identities and hardware of a host": async ({ on, onTestDriver, xml }) => {
    const qemu = { nativeFormat: "qemu-argv", flags: 0 };
    const domainXml = xml("socle-proc-native");
    const { nativeConfig } = await on.answers(p.connectDomainXmlToNative, { ...qemu, domainXml });
    assert.match(nativeConfig, /guest=socle-proc-native/);
    await on.refuses(p.connectDomainXmlFromNative, { ...qemu, nativeConfig });
    await on.answers(p.connectSetIdentity, { params: [], flags: 0 });
    await on.answersUnless(p.nodeGetSevInfo, { nparams: 0, flags: 0 }, ["LIBVIRT_OPERATION_UNSUPPORTED"]);
    await on.refuses(p.nodeDeviceLookupScsiHostByWwn, { wwnn: "1", wwpn: "2", flags: 0 });
    await on.refuses(p.nodeDeviceDettach, { name: "socle-proc-none" });
    const device = "<device><parent>computer</parent><capability type='system'/></device>";
    for (const create of [p.nodeDeviceCreateXml, p.nodeDeviceDefineXml]) {
      await on.refuses(create, { xmlDesc: device, flags: 0 });
    }
    await on.refuses(p.nodeDeviceDestroy, { name: "computer" });
    await on.refuses(p.nodeDeviceCreate, { name: "computer", flags: 0 });
    await on.refuses(p.nodeDeviceUndefine, { name: "computer", flags: 0 });
    await on.refuses(p.nodeDeviceSetAutostart, { name: "computer", autostart: true });
    await on.refuses(p.nodeDeviceUpdate, { name: "computer", xmlDesc: device, flags: 0 });
    await onTestDriver.refuses(p.nodeSuspendForDuration, { target: 0, duration: 60, flags: 0 });
  },

  "a guest migrates by the third version of the protocol without parameters": async (world) => {
    const { on, onDestination, xml, host } = world;
    const name = "socle-proc-third";
    const { dom } = await on.answers(p.domainCreateXml, { xmlDesc: xml(name), flags: 0 });
    const flags = p.flags(p.DomainMigrateFlags.LIVE, p.DomainMigrateFlags.UNSAFE);
    const how = { dname: name, flags, resource: 0 };
    const uri = `unix://${join(host.directory, "third.sock")}`;
    // Only other drivers implement the first version.
    await onDestination.refuses(p.domainMigratePrepare, { uriIn: uri, ...how });

    const begun = await on.answers(p.domainMigrateBegin3, { dom, xmlin: null, ...how });
    const prepared = await onDestination.answers(p.domainMigratePrepare3, {
      cookieIn: begun.cookieOut,
      uriIn: uri,
      domXml: begun.xml,
      ...how,
    });
    const performed = await on.answers(p.domainMigratePerform3, {
      dom,
      xmlin: null,
      cookieIn: prepared.cookieOut,
      dconnuri: null,
      uri,
      ...how,
    });
    const finished = await onDestination.answers(p.domainMigrateFinish3, {
      dname: name,
      cookieIn: performed.cookieOut,
      dconnuri: null,
      uri,
      flags,
      cancelled: false,
    });
    const confirm = { dom, cookieIn: finished.cookieOut, flags, cancelled: false };
    await on.answers(p.domainMigrateConfirm3, confirm);
    assert.equal(finished.dom.uuid, dom.uuid);
    await onDestination.answers(p.domainDestroy, { dom: finished.dom });
  },
};
