import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as p from "../../../agent/libvirt/index.ts";
import { guestXml } from "../../support/guest.ts";
import { eventually } from "../../support/wait.ts";
import { uint, valueOf, type Proofs } from "./world.ts";

const mac = "52:54:00:5c:1e:01";
const networkXml =
  "<network><name>socle-proc-guest</name><bridge name='sprocg'/><ip address='10.199.9.1' netmask='255.255.255.0'>" +
  "<dhcp><range start='10.199.9.10' end='10.199.9.20'/></dhcp></ip></network>";
const devices =
  "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>" +
  `<interface type='network'><mac address='${mac}'/><source network='socle-proc-guest'/><model type='virtio'/>` +
  "<filterref filter='no-mac-spoofing'/></interface><memballoon model='virtio'/>" +
  "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>" +
  "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>";

export const guestAgent: Proofs = {
  "a Linux guest with an agent answers all that can be asked of it": async (world) => {
    const { on, virsh, recorder, host, files } = world;
    const { net } = await on.answers(p.networkCreateXml, { xml: networkXml });
    const consoleLog = join(host.directory, "log/socle-proc-guest.log");
    const linux = { ...files, initrd: files.initrdWithAgent };
    const { dom } = await on.answers(p.domainCreateXml, {
      xmlDesc: guestXml({
        name: "socle-proc-guest",
        memoryMib: 160,
        boot: { linux, words: "dhcp" },
        consoleLog,
        devices,
      }),
      flags: 0,
    });
    await recorder.waitFor(
      p.domainEventCallbackAgentLifecycle,
      (received) =>
        received.dom.uuid === dom.uuid &&
        received.state === p.ConnectDomainEventAgentLifecycleState.CONNECTED,
    );
    await eventually(async () => (await readFile(consoleLog, "utf8")).includes("socle-guest: address"), {
      what: "the guest to get an address",
      timeoutMs: 60_000,
    });

    const wait = { dom, timeout: 20, flags: 0 };
    assert.deepEqual(await on.answers(p.domainAgentSetResponseTimeout, wait), { result: 0 });
    const ping = await on.answers(p.domainAgentCommand, { ...wait, cmd: '{"execute":"guest-ping"}' });
    assert.equal(ping.result, '{"return":{}}');
    const { hostname } = await on.answers(p.domainGetHostname, {
      dom,
      flags: p.DomainGetHostnameFlags.AGENT,
    });
    assert.equal(hostname, await virsh("domhostname", dom.name, "--source", "agent"));
    const info = await on.answers(p.domainGetGuestInfo, {
      dom,
      types: p.DomainGuestInfoTypes.HOSTNAME,
      flags: 0,
    });
    assert.equal(valueOf(info.params, "hostname"), hostname);
    const vcpus = await on.answers(p.domainGetGuestVcpus, { dom, flags: 0 });
    assert.deepEqual(
      vcpus.params.map(({ field, value }) => [field, value.value]),
      [
        ["vcpus", "0"],
        ["online", "0"],
        ["offlinable", ""],
      ],
    );
    await on.answers(p.domainSetGuestVcpus, { dom, cpumap: "0", state: 1, flags: 0 });
    await on.answers(p.domainSetTime, { dom, seconds: 1_700_000_000, nseconds: 5, flags: 0 });
    const time = await on.answers(p.domainGetTime, { dom, flags: 0 });
    assert.ok(time.seconds >= 1_700_000_000 && time.seconds < 1_700_000_060);

    // A guest in its initial RAM disk has no filesystem to freeze.
    const filesystems = await on.answers(p.domainGetFsinfo, { dom, flags: 0 });
    assert.deepEqual(filesystems, { info: [], ret: 0 });
    assert.deepEqual(await on.answers(p.domainFsfreeze, { dom, mountpoints: [], flags: 0 }), {
      filesystems: 0,
    });
    assert.deepEqual(await on.answers(p.domainFsthaw, { dom, mountpoints: [], flags: 0 }), {
      filesystems: 0,
    });
    await on.answers(p.domainFstrim, { dom, mountPoint: null, minimum: 0, flags: 0 });

    const ask = { net, mac, needResults: true, flags: 0 };
    const { leases } = await on.answers(p.networkGetDhcpLeases, ask);
    const [lease] = leases;
    assert.deepEqual([leases.length, lease?.mac, lease?.iface, lease?.prefix], [1, mac, "sprocg", 24]);
    assert.match(await virsh("net-dhcp-leases", net.name), new RegExp(`${mac}.*${lease?.ipaddr}/24`));
    for (const source of [p.DomainInterfaceAddressesSource.LEASE, p.DomainInterfaceAddressesSource.AGENT]) {
      const { ifaces } = await on.answers(p.domainInterfaceAddresses, { dom, source, flags: 0 });
      const addresses = ifaces.filter(({ hwaddr }) => hwaddr === mac).flatMap(({ addrs }) => addrs);
      assert.ok(addresses.some(({ addr, prefix }) => addr === lease?.ipaddr && prefix === 24));
    }
    const ports = await on.answers(p.networkListAllPorts, { network: net, needResults: true, flags: 0 });
    assert.equal(ports.ret, 1);
    const [tap] = /\bvnet\d+\b/.exec(await virsh("domiflist", dom.name)) ?? [];
    assert.ok(tap);
    const bound = await on.answers(p.nwfilterBindingLookupByPortDev, { name: tap });
    assert.equal(bound.nwfilter.filtername, "no-mac-spoofing");
    const traffic = await on.answers(p.domainInterfaceStats, { dom, device: tap });
    assert.ok(traffic.rxPackets > 0 && traffic.txPackets > 0 && traffic.rxDrop === 0);
    const limits = { dom, device: tap, flags: p.DomainModificationImpact.LIVE };
    const count = await on.answers(p.domainGetInterfaceParameters, { ...limits, nparams: 0 });
    const current = await on.answers(p.domainGetInterfaceParameters, { ...limits, nparams: count.nparams });
    assert.equal(valueOf(current.params, "inbound.average"), 0);
    // Shaping needs packet schedulers that this kernel may lack.
    const params = [uint("inbound.average", 1000)];
    const shaped = { ...limits, params };
    if (
      (await on.answersUnless(p.domainSetInterfaceParameters, shaped, ["LIBVIRT_INTERNAL_ERROR"])) !==
      undefined
    ) {
      assert.match(await virsh("domiftune", dom.name, tap), /inbound\.average: 1000$/m);
    }

    await on.answers(p.domainSetMemoryFlags, { dom, memory: 150 * 1024, flags: p.DomainMemoryModFlags.LIVE });
    await recorder.waitFor(p.domainEventCallbackBalloonChange, ({ actual }) => actual === 150 * 1024);
    const port = /port='(\d+)' autoport/.exec(await virsh("dumpxml", dom.name))?.[1];
    const greeting = `exec 3<>/dev/tcp/127.0.0.1/${port}; head -c 3 <&3`;
    assert.equal(await host.run("bash", ["-c", greeting]), "RFB");
    const caller = await recorder.waitFor(
      p.domainEventCallbackGraphics,
      (received) => received.dom.uuid === dom.uuid,
    );
    assert.deepEqual([caller.phase, caller.local.service], [p.DomainEventGraphicsPhase.CONNECT, port]);
    await on.answers(p.domainUpdateDeviceFlags, {
      dom,
      xml: `<disk type='file' device='cdrom'><source file='${files.bootSector}'/><target dev='hda' bus='ide'/></disk>`,
      flags: p.DomainDeviceModifyFlags.LIVE,
    });
    await recorder.waitFor(
      p.domainEventCallbackTrayChange,
      ({ reason }) => reason === p.DomainEventTrayChangeReason.CLOSE,
    );
    await on.answers(p.domainDetachDeviceAlias, {
      dom,
      alias: "net0",
      flags: p.DomainDeviceModifyFlags.LIVE,
    });
    await recorder.waitFor(p.domainEventCallbackDeviceRemoved, ({ devAlias }) => devAlias === "net0");

    // libvirt returns an error when the agent's socket closes before the guest's shutdown event. The lifecycle event
    // below proves the shutdown.
    const byAgent = { dom, flags: p.DomainShutdownFlagValues.GUEST_AGENT };
    await on.answersUnless(p.domainShutdownFlags, byAgent, ["LIBVIRT_INTERNAL_ERROR"]);
    await recorder.waitFor(
      p.domainEventCallbackLifecycle,
      (received) =>
        received.dom.uuid === dom.uuid &&
        received.event === p.DomainEventType.STOPPED &&
        received.detail === p.DomainEventDetail.STOPPED.SHUTDOWN,
    );
    await on.refuses(p.domainAgentCommand, { ...wait, cmd: "{}" }, "LIBVIRT_NO_DOMAIN");
    await on.answers(p.networkDestroy, { net });
  },

  "a guest's failures are reported as events": async ({ on, virsh, recorder, host, files, path }) => {
    const small = path("socle-proc-small");
    await host.run("mkdir", [small]);
    await host.run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", small]);
    const disk = `${small}/disk.raw`;
    await host.run("truncate", ["-s", "8M", disk]);
    const agent = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
    const { dom } = await on.answers(p.domainCreateXml, {
      xmlDesc: guestXml({
        name: "socle-proc-trouble",
        boot: { linux: { ...files, initrd: files.initrdWithAgent } },
        devices:
          `${agent}<watchdog model='i6300esb' action='none'/><disk type='file' device='disk'>` +
          `<driver name='qemu' type='raw' error_policy='stop'/><source file='${disk}'/><target dev='vdb' bus='virtio'/></disk>`,
      }),
      flags: 0,
    });
    const mine = (received: { dom: p.Domain }): boolean => received.dom.uuid === dom.uuid;
    const connected = (received: { dom: p.Domain; state: number }): boolean =>
      mine(received) && received.state === p.ConnectDomainEventAgentLifecycleState.CONNECTED;
    await recorder.waitFor(p.domainEventCallbackAgentLifecycle, connected);
    const inGuest = async (script: string): Promise<void> => {
      const cmd = JSON.stringify({
        execute: "guest-exec",
        arguments: { path: "/bin/sh", arg: ["-c", script] },
      });
      await on.answers(p.domainAgentCommand, { dom, cmd, timeout: 20, flags: 0 });
    };
    await inGuest("watchdog -T 2 -t 60 -F /dev/watchdog");
    const bark = await recorder.waitFor(p.domainEventCallbackWatchdog, mine);
    assert.equal(bark.action, p.DomainEventWatchdogAction.NONE);

    const threshold = 512 * 1024;
    await on.answers(p.domainSetBlockThreshold, { dom, dev: "vdb", threshold, flags: 0 });
    await inGuest("dd if=/dev/zero of=/dev/vda bs=64k count=32 conv=fsync");
    const exceeded = await recorder.waitFor(p.domainEventBlockThreshold, mine);
    assert.deepEqual([exceeded.dev, exceeded.threshold], ["vdb", threshold]);
    const failed = await recorder.waitFor(p.domainEventCallbackIoErrorReason, mine);
    assert.deepEqual(
      [failed.srcPath, failed.devAlias, failed.action, failed.reason],
      [disk, "virtio-disk1", p.DomainEventIOErrorAction.PAUSE, "enospc"],
    );
    await recorder.waitFor(p.domainEventCallbackIoError, mine);
    assert.equal(await virsh("domstate", dom.name, "--reason"), "paused (I/O error)");
    const { errors } = await on.answers(p.domainGetDiskErrors, { dom, maxerrors: 8, flags: 0 });
    assert.deepEqual(errors, [{ disk: "vdb", error: p.DomainDiskErrorCode.NO_SPACE }]);
    await on.answers(p.domainDestroyFlags, { dom, flags: 0 });
  },
};
