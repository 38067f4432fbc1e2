import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as p from "../../../agent/libvirt/index.ts";
import { eventually } from "../../support/wait.ts";
import { lines, printed, type Proofs } from "./world.ts";

const KEY_A = 30;
const config = p.DomainModificationImpact.CONFIG;
const both = p.flags(p.DomainModificationImpact.LIVE, p.DomainModificationImpact.CONFIG);

export const domain: Proofs = {
  "a domain is defined, found, renamed and undefined": async ({ on, xml, virsh, recorder }) => {
    const name = "socle-proc-name";
    const define = { xml: xml(name), flags: p.DomainDefineFlags.VALIDATE };
    const { dom } = await on.answers(p.domainDefineXmlFlags, define);
    assert.deepEqual(dom, { name, uuid: dom.uuid, id: -1 });
    assert.deepEqual(await on.answers(p.domainLookupByName, { name }), { dom });
    assert.deepEqual(await on.answers(p.domainLookupByUuid, { uuid: dom.uuid }), { dom });
    assert.deepEqual(await on.answers(p.domainIsActive, { dom }), { active: false });
    assert.deepEqual(await on.answers(p.domainIsPersistent, { dom }), { persistent: true });
    assert.deepEqual(await on.answers(p.domainIsUpdated, { dom }), { updated: false });
    assert.deepEqual(await on.answers(p.domainGetOsType, { dom }), { type: "hvm" });
    assert.deepEqual(await on.answers(p.domainGetMaxMemory, { dom }), { memory: 32 * 1024 });
    assert.deepEqual(await on.answers(p.domainGetState, { dom, flags: 0 }), {
      state: p.DomainState.SHUTOFF,
      reason: p.DomainStateReason.SHUTOFF.UNKNOWN,
    });
    await on.answers(p.domainSetAutostart, { dom, autostart: true });
    assert.deepEqual(await on.answers(p.domainGetAutostart, { dom }), { autostart: true });
    assert.equal(printed(await virsh("dominfo", name), "Autostart"), "enable");

    await on.answers(p.domainRename, { dom, newName: "socle-proc-renamed", flags: 0 });
    const renamed = await on.answers(p.domainLookupByUuid, { uuid: dom.uuid });
    assert.equal(renamed.dom.name, "socle-proc-renamed");
    assert.equal(await virsh("domname", dom.uuid), "socle-proc-renamed");
    await recorder.waitFor(
      p.domainEventCallbackLifecycle,
      (received) =>
        received.dom.uuid === dom.uuid &&
        received.event === p.DomainEventType.DEFINED &&
        received.detail === p.DomainEventDetail.DEFINED.RENAMED,
    );
    await on.answers(p.domainUndefineFlags, {
      dom: renamed.dom,
      flags: p.DomainUndefineFlagsValues.MANAGED_SAVE,
    });
    await on.refuses(p.domainLookupByUuid, { uuid: dom.uuid }, "LIBVIRT_NO_DOMAIN");
  },

  "a guest runs, pauses, is reset and destroyed": async ({ on, xml, virsh, recorder }) => {
    const name = "socle-proc-run";
    const defined = await on.answers(p.domainDefineXmlFlags, { xml: xml(name), flags: 0 });
    const create = { ...defined, flags: p.DomainCreateFlags.START_PAUSED };
    const { dom } = await on.answers(p.domainCreateWithFlags, create);
    assert.equal(String(dom.id), await virsh("domid", name));
    assert.deepEqual(await on.answers(p.domainLookupById, { id: dom.id }), { dom });
    const stateOf = async (): Promise<string> => {
      const { state, reason } = await on.answers(p.domainGetState, { dom, flags: 0 });
      const [word = ""] = Object.entries(p.DomainState).find(([, value]) => value === state) ?? [];
      assert.match(
        await virsh("domstate", name, "--reason"),
        new RegExp(`^${word.toLowerCase().replace("shutoff", "shut off")}`),
      );
      return `${word} ${reason}`;
    };
    assert.equal(await stateOf(), `PAUSED ${p.DomainStateReason.PAUSED.USER}`);
    await on.answers(p.domainResume, { dom });
    assert.equal(await stateOf(), `RUNNING ${p.DomainStateReason.RUNNING.UNPAUSED}`);
    await on.answers(p.domainSuspend, { dom });
    assert.equal(await stateOf(), `PAUSED ${p.DomainStateReason.PAUSED.USER}`);
    await on.answers(p.domainResume, { dom });

    const info = await on.answers(p.domainGetInfo, { dom });
    assert.deepEqual([info.state, info.maxMem, info.nrVirtCpu], [p.DomainState.RUNNING, 32 * 1024, 1]);
    assert.ok(info.cpuTime > 0);
    const { xml: shown } = await on.answers(p.domainGetXmlDesc, { dom, flags: p.DomainXMLFlags.SECURE });
    assert.equal(shown.trim(), await virsh("dumpxml", "--security-info", name));
    const { msgs } = await on.answers(p.domainGetMessages, { dom, flags: p.DomainMessageType.TAINTING });
    assert.deepEqual(msgs, ["tainted: running with undesirable elevated privileges"]);

    await on.answers(p.domainReset, { dom, flags: 0 });
    await on.answers(p.domainReboot, { dom, flags: p.DomainShutdownFlagValues.ACPI_POWER_BTN });
    await on.answers(p.domainInjectNmi, { dom, flags: 0 });
    const keys = { codeset: p.KeycodeSet.LINUX, holdtime: 10, keycodes: [KEY_A], flags: 0 };
    await on.answers(p.domainSendKey, { dom, ...keys });
    await on.answers(p.domainSetLifecycleAction, {
      dom,
      type: p.DomainLifecycle.CRASH,
      action: p.DomainLifecycleAction.PRESERVE,
      flags: both,
    });
    assert.match(await virsh("dumpxml", name), /<on_crash>preserve<\/on_crash>/);
    // A boot sector ignores the button; only libvirt's acceptance of the request is visible.
    await on.answers(p.domainShutdownFlags, { dom, flags: p.DomainShutdownFlagValues.ACPI_POWER_BTN });

    await on.answers(p.domainDestroyFlags, { dom, flags: p.DomainDestroyFlagsValues.GRACEFUL });
    assert.equal(await stateOf(), `SHUTOFF ${p.DomainStateReason.SHUTOFF.DESTROYED}`);
    await on.refuses(p.domainDestroyFlags, { dom, flags: 0 }, "LIBVIRT_OPERATION_INVALID");
    for (const event of ["DEFINED", "STARTED", "SUSPENDED", "RESUMED", "STOPPED"] as const) {
      await recorder.waitFor(
        p.domainEventCallbackLifecycle,
        (received) => received.dom.uuid === dom.uuid && received.event === p.DomainEventType[event],
      );
    }
    const monitor = await recorder.waitFor(
      p.domainMonitorEvent,
      (received) => received.dom.uuid === dom.uuid,
    );
    assert.ok(monitor.seconds > 1_700_000_000);
    await on.answers(p.domainUndefineFlags, { dom, flags: 0 });
  },

  "custom metadata is kept with the domain": async ({ on, xml, virsh, recorder }) => {
    const name = "socle-proc-meta";
    const { dom } = await on.answers(p.domainDefineXmlFlags, { xml: xml(name), flags: 0 });
    const element = { dom, type: p.DomainMetadataType.ELEMENT, uri: "urn:socle-proc" };
    const note = { ...element, key: "proc", metadata: "<note text='für &quot;alle&quot;'/>", flags: config };
    await on.answers(p.domainSetMetadata, note);
    const { metadata } = await on.answers(p.domainGetMetadata, { ...element, flags: config });
    // Non-ASCII characters come back as numeric references.
    assert.equal(metadata, '<note text="f&#xFC;r &quot;alle&quot;"/>');
    assert.equal(metadata, await virsh("metadata", name, "urn:socle-proc"));
    await recorder.waitFor(
      p.domainEventCallbackMetadataChange,
      (received) => received.dom.uuid === dom.uuid && received.nsuri === "urn:socle-proc",
    );
    await on.answers(p.domainSetMetadata, { ...element, key: "proc", metadata: null, flags: config });
    await on.refuses(p.domainGetMetadata, { ...element, flags: config }, "LIBVIRT_NO_DOMAIN_METADATA");
    await on.answers(p.domainUndefineFlags, { dom, flags: 0 });
  },

  "a guest's memory goes to disk and comes back": async ({ on, xml, path, virsh }) => {
    const name = "socle-proc-save";
    const defined = await on.answers(p.domainDefineXmlFlags, { xml: xml(name), flags: 0 });
    let { dom } = await on.answers(p.domainCreateWithFlags, { ...defined, flags: 0 });
    await on.answers(p.domainManagedSave, { dom, flags: p.DomainSaveRestoreFlags.PAUSED });
    assert.deepEqual(await on.answers(p.domainHasManagedSaveImage, { dom, flags: 0 }), { result: true });
    const { xml: saved } = await on.answers(p.domainManagedSaveGetXmlDesc, { dom, flags: 0 });
    assert.equal(saved.trim(), await virsh("managedsave-dumpxml", name));
    assert.deepEqual(lines(await virsh("list", "--all", "--with-managed-save", "--name")), [name]);
    await on.answers(p.domainManagedSaveRemove, { dom, flags: 0 });
    assert.deepEqual(await on.answers(p.domainHasManagedSaveImage, { dom, flags: 0 }), { result: false });

    ({ dom } = await on.answers(p.domainCreateWithFlags, { dom, flags: 0 }));
    const file = path("socle-proc.save");
    await on.answers(p.domainSaveFlags, { dom, to: file, dxml: null, flags: 0 });
    assert.equal((await readFile(file)).subarray(0, 15).toString(), "LibvirtQemudSav");
    const { xml: inFile } = await on.answers(p.domainSaveImageGetXmlDesc, { file, flags: 0 });
    assert.match(inFile, new RegExp(`<uuid>${dom.uuid}</uuid>`));
    await on.answers(p.domainRestoreFlags, { from: file, dxml: null, flags: 0 });
    assert.deepEqual(await on.answers(p.domainGetState, { dom, flags: 0 }), {
      state: p.DomainState.RUNNING,
      reason: p.DomainStateReason.RUNNING.RESTORED,
    });
    ({ dom } = await on.answers(p.domainLookupByName, { name }));
    await on.answers(p.domainDestroyFlags, { dom, flags: 0 });
    await on.answers(p.domainUndefineFlags, { dom, flags: 0 });
  },

  "a transient guest speaks on its console and its channel": async ({ on, libvirt, ledger, xml }) => {
    const channel = "<channel type='unix'><target type='virtio' name='socle.proc'/></channel>";
    const { dom } = await on.answers(p.domainCreateXml, {
      xmlDesc: xml("socle-proc-console", { devices: channel }),
      flags: p.DomainCreateFlags.START_PAUSED,
    });
    assert.deepEqual(await on.answers(p.domainIsPersistent, { dom }), { persistent: false });
    const console = await libvirt.openStream(p.domainOpenConsole, { dom, devName: null, flags: 0 });
    ledger.answered(p.domainOpenConsole);
    await on.answers(p.domainResume, { dom });
    let received = "";
    for await (const piece of console) {
      received += piece.toString();
      if (received.includes("socle-guest: booted from its boot sector")) break;
    }
    const open = { dom, name: "socle.proc", flags: p.DomainChannelFlags.FORCE };
    const stream = await libvirt.openStream(p.domainOpenChannel, open);
    ledger.answered(p.domainOpenChannel);
    await stream.write(Buffer.from("hello"));
    await stream.abort();
    await on.answers(p.domainDestroyFlags, { dom, flags: 0 });
    await eventually(
      async () => {
        const { domains } = await on.answers(p.connectListAllDomains, { needResults: true, flags: 0 });
        return !domains.some(({ uuid }) => uuid === dom.uuid);
      },
      { what: "a transient domain to be gone" },
    );
  },

  "QEMU's monitor is reachable": async ({ on, xml, recorder }) => {
    const flags = 0;
    const { dom } = await on.answers(p.domainCreateXml, { xmlDesc: xml("socle-proc-qemu"), flags });
    const status = { dom, cmd: '{"execute":"query-status"}', flags };
    const { result } = await on.answers(p.domainMonitorCommand, status);
    assert.match(result, /"status":"running"/);
    const human = { dom, cmd: "info status", flags: p.DomainQemuMonitorCommandFlags.HMP };
    assert.equal((await on.answers(p.domainMonitorCommand, human)).result.trim(), "VM status: running");
    await on.answers(p.domainMonitorCommand, { dom, cmd: '{"execute":"stop"}', flags });
    await recorder.waitFor(
      p.domainMonitorEvent,
      (received) => received.dom.uuid === dom.uuid && received.event === "STOP",
    );
    await on.answers(p.domainDestroyFlags, { dom, flags });
  },
};
