import assert from "node:assert/strict";
import { test } from "node:test";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { Domains } from "../../../../agent/vm/hypervisor/domains.ts";
import { ModelHost } from "../../../faults/history/libvirt-model.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

const uuid = "5f0e0d1c-0000-4000-8000-000000000001";
const dom = { name: "", uuid, id: -1 };
const diskXml = `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/srv/more.raw'/>
<target dev='vdb' bus='virtio'/><alias name='ua-disk-more'/></disk>`;
const xml = `<domain type='qemu'><name>web-1</name><uuid>${uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='cdrom'>
<driver name='qemu' type='raw'/><target dev='sda' bus='sata'/><readonly/><alias name='ua-disk-cd'/></disk></devices></domain>`;

/** Another client starts the domain between the agent's look at it and this change of it. */
async function startedBefore(change: string) {
  const clock = new FakeClock();
  const host: ModelHost = new ModelHost({
    clock,
    plan: ({ procedure, by }) => {
      if (procedure === change && by === "agent" && host.domains[0]?.state === "shutoff")
        host.foreign(libvirt.domainCreateWithFlags, { dom, flags: 0 });
      return {};
    },
  });
  host.foreign(libvirt.domainDefineXmlFlags, { xml, flags: 0 });
  const client = await host.connect().connect();
  return { host, domains: new Domains(client, clock) };
}

function requireBoth(host: ModelHost, has: RegExp): void {
  const shown = (flags: number): string => host.foreign(libvirt.domainGetXmlDesc, { dom, flags }).xml;
  assert.equal(host.domains[0]?.state, "running");
  assert.match(shown(libvirt.DomainXMLFlags.INACTIVE), has, "in the definition");
  assert.match(shown(0), has, "in the guest");
}

test("a guest that is started just before its medium is changed gets it too", async () => {
  const { host, domains } = await startedBefore(libvirt.domainUpdateDeviceFlags.name);
  await domains.media.change(uuid, "ua-disk-cd", "/srv/one.iso", false);
  requireBoth(host, /one\.iso/);
});

test("a guest that is started just before a disk is attached gets it too", async () => {
  const { host, domains } = await startedBefore(libvirt.domainAttachDeviceFlags.name);
  await domains.devices.attach(uuid, "ua-disk-more", diskXml);
  requireBoth(host, /ua-disk-more/);
});
