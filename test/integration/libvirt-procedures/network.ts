import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import * as p from "../../../agent/libvirt/index.ts";
import { lines, names, printed, uint, valueOf, type Proofs } from "./world.ts";

const networkXml = (name: string, subnet: number, uuid?: string): string =>
  `<network><name>${name}</name>${uuid === undefined ? "" : `<uuid>${uuid}</uuid>`}<bridge name='sproc${subnet}'/>` +
  `<ip address='10.199.${subnet}.1' netmask='255.255.255.0'><dhcp>` +
  `<range start='10.199.${subnet}.10' end='10.199.${subnet}.20'/></dhcp></ip></network>`;

export const network: Proofs = {
  "a network from its definition to its removal": async ({ on, virsh, recorder }) => {
    const name = "socle-proc-life";
    const { net } = await on.answers(p.networkDefineXmlFlags, {
      xml: networkXml(name, 1),
      flags: p.NetworkDefineFlags.VALIDATE,
    });
    assert.deepEqual(await on.answers(p.networkDefineXml, { xml: networkXml(name, 1, net.uuid) }), { net });
    await on.answers(p.networkCreate, { net });
    assert.deepEqual(await on.answers(p.networkIsActive, { net }), { active: true });
    assert.deepEqual(await on.answers(p.networkIsPersistent, { net }), { persistent: true });
    await on.answers(p.networkSetAutostart, { net, autostart: true });
    assert.deepEqual(await on.answers(p.networkGetAutostart, { net }), { autostart: true });
    assert.deepEqual(await on.answers(p.networkGetBridgeName, { net }), { name: "sproc1" });
    const shown = await virsh("net-info", name);
    assert.equal(printed(shown, "Active"), "yes");
    assert.equal(printed(shown, "Autostart"), "yes");

    await on.answers(p.networkUpdate, {
      net,
      command: p.NetworkUpdateCommand.ADD_LAST,
      section: p.NetworkUpdateSection.IP_DHCP_HOST,
      parentIndex: -1,
      xml: "<host mac='52:54:00:aa:bb:01' ip='10.199.1.30'/>",
      flags: p.flags(p.NetworkUpdateFlags.LIVE, p.NetworkUpdateFlags.CONFIG),
    });
    const { xml } = await on.answers(p.networkGetXmlDesc, { net, flags: 0 });
    assert.match(xml, /<host mac='52:54:00:aa:bb:01' ip='10\.199\.1\.30'\/>/);
    assert.equal(xml.trim(), await virsh("net-dumpxml", name));

    assert.deepEqual(await on.answers(p.networkLookupByName, { name }), { net });
    assert.deepEqual(await on.answers(p.networkLookupByUuid, { uuid: net.uuid }), { net });
    const listed = await on.answers(p.connectListAllNetworks, {
      needResults: true,
      flags: p.ConnectListAllNetworksFlags.ACTIVE,
    });
    assert.deepEqual(names(listed.nets), lines(await virsh("net-list", "--name")));

    const element = p.DomainMetadataType.ELEMENT;
    const both = p.flags(p.NetworkUpdateFlags.LIVE, p.NetworkUpdateFlags.CONFIG);
    const note = {
      type: element,
      metadata: "<note a='1'/>",
      key: "proc",
      uri: "urn:socle-proc",
      flags: both,
    };
    await on.answers(p.networkSetMetadata, { network: net, ...note });
    await recorder.waitFor(p.networkEventCallbackMetadataChange, ({ nsuri }) => nsuri === "urn:socle-proc");
    const { metadata } = await on.answers(p.networkGetMetadata, {
      network: net,
      type: element,
      uri: "urn:socle-proc",
      flags: 0,
    });
    assert.equal(metadata, await virsh("net-metadata", name, "urn:socle-proc"));

    await on.answers(p.networkDestroy, { net });
    await on.answers(p.networkUndefine, { net });
    await on.refuses(p.networkLookupByName, { name }, "LIBVIRT_NO_NETWORK");
    for (const event of ["DEFINED", "STARTED", "STOPPED", "UNDEFINED"] as const) {
      const isIt = (received: { net: p.Network; event: number }): boolean =>
        received.net.uuid === net.uuid && received.event === p.NetworkEventLifecycleType[event];
      await recorder.waitFor(p.networkEventLifecycle, isIt);
    }
  },

  "ports of a transient network": async ({ on, virsh }) => {
    const first = await on.answers(p.networkCreateXml, { xml: networkXml("socle-proc-gone", 2) });
    assert.deepEqual(await on.answers(p.networkIsPersistent, first), { persistent: false });
    await on.answers(p.networkDestroy, first);
    const { net } = await on.answers(p.networkCreateXmlFlags, {
      xml: networkXml("socle-proc-ports", 2),
      flags: p.NetworkDefineFlags.VALIDATE,
    });
    const uuid = randomUUID();
    const xml =
      `<networkport><uuid>${uuid}</uuid><owner><name>socle-proc-owner</name><uuid>${randomUUID()}</uuid></owner>` +
      `<mac address='52:54:00:7b:35:93'/></networkport>`;
    const { port } = await on.answers(p.networkPortCreateXml, { network: net, xml, flags: 0 });
    assert.deepEqual(port, { net, uuid });
    const listed = await on.answers(p.networkListAllPorts, { network: net, needResults: true, flags: 0 });
    assert.deepEqual(listed, { ports: [port], ret: 1 });
    assert.deepEqual(await on.answers(p.networkPortLookupByUuid, { network: net, uuid }), { port });
    const described = await on.answers(p.networkPortGetXmlDesc, { port, flags: 0 });
    assert.equal(described.xml.trim(), await virsh("net-port-dumpxml", net.name, uuid));
    await on.answers(p.networkPortSetParameters, { port, params: [uint("inbound.average", 1000)], flags: 0 });
    const { nparams } = await on.answers(p.networkPortGetParameters, { port, nparams: 0, flags: 0 });
    const { params } = await on.answers(p.networkPortGetParameters, { port, nparams, flags: 0 });
    assert.equal(valueOf(params, "inbound.average"), 1000);
    const leases = await on.answers(p.networkGetDhcpLeases, { net, mac: null, needResults: true, flags: 0 });
    assert.deepEqual(leases, { leases: [], ret: 0 });
    await on.answers(p.networkPortDelete, { port, flags: 0 });
    await on.refuses(p.networkPortLookupByUuid, { network: net, uuid }, "LIBVIRT_NO_NETWORK_PORT");
    await on.answers(p.networkDestroy, { net });
  },

  "filters, and a filter on a port": async ({ on, virsh }) => {
    const name = "socle-proc-filter";
    const filterXml = (action: string, uuid = ""): string =>
      `<filter name='${name}' chain='root'>${uuid}<rule action='${action}' direction='out' priority='500'><all/></rule></filter>`;
    const { nwfilter } = await on.answers(p.nwfilterDefineXml, { xml: filterXml("drop") });
    await on.answers(p.nwfilterDefineXmlFlags, {
      xml: filterXml("accept", `<uuid>${nwfilter.uuid}</uuid>`),
      flags: 1,
    });
    const { xml } = await on.answers(p.nwfilterGetXmlDesc, { nwfilter, flags: 0 });
    assert.match(xml, /action='accept'/);
    assert.equal(xml.trim(), await virsh("nwfilter-dumpxml", name));
    assert.deepEqual(await on.answers(p.nwfilterLookupByName, { name }), { nwfilter });
    assert.deepEqual(await on.answers(p.nwfilterLookupByUuid, { uuid: nwfilter.uuid }), { nwfilter });
    const listed = await on.answers(p.connectListAllNwfilters, { needResults: true, flags: 0 });
    const theirs = lines(await virsh("nwfilter-list")).map((line) => line.split(/\s+/)[1] ?? "");
    assert.deepEqual(names(listed.filters), theirs.sort());

    const binding = { portdev: "sproctap", filtername: name };
    const bindingXml =
      `<filterbinding><owner><name>socle-proc-owner</name><uuid>${randomUUID()}</uuid></owner>` +
      `<portdev name='sproctap'/><mac address='52:54:00:7b:35:93'/><filterref filter='${name}'/></filterbinding>`;
    const bound = await on.answers(p.nwfilterBindingCreateXml, { xml: bindingXml, flags: 0 });
    assert.deepEqual(bound, { nwfilter: binding });
    assert.deepEqual(await on.answers(p.connectListAllNwfilterBindings, { needResults: true, flags: 0 }), {
      bindings: [binding],
      ret: 1,
    });
    assert.deepEqual(await on.answers(p.nwfilterBindingLookupByPortDev, { name: "sproctap" }), bound);
    const shown = await on.answers(p.nwfilterBindingGetXmlDesc, { ...bound, flags: 0 });
    assert.equal(shown.xml.trim(), await virsh("nwfilter-binding-dumpxml", "sproctap"));
    await on.answers(p.nwfilterBindingDelete, bound);
    await on.answers(p.nwfilterUndefine, { nwfilter });
    await on.refuses(p.nwfilterLookupByName, { name }, "LIBVIRT_NO_NWFILTER");
  },
};
