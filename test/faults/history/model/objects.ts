/** libvirt's calls for secrets, networks and the host itself. */
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { element, find, readXml, textAt, writeXml } from "./element.ts";
import { answering, Refusal, type Entry, type ModelNetwork, type ModelSecret, type World } from "./world.ts";

const secretOf = (world: World, { uuid }: Pick<libvirt.Secret, "uuid">): ModelSecret => {
  const found = world.secrets.get(uuid);
  if (found === undefined) throw new Refusal(66, `Secret not found: no secret with matching uuid '${uuid}'`);
  return found;
};
const secretReference = ({ uuid, usageType, usageId }: ModelSecret): libvirt.Secret => ({
  uuid,
  usageType,
  usageId,
});
const usageTypes: Readonly<Record<string, number>> = { volume: 1, ceph: 2, iscsi: 3, tls: 4, vtpm: 5 };
const secretOfUsage = (world: World, usageType: number, usageId: string): ModelSecret | undefined =>
  usageType === 0
    ? undefined
    : [...world.secrets.values()].find(
        (secret) => secret.usageType === usageType && secret.usageId === usageId,
      );

const networkOf = (world: World, { name }: Pick<libvirt.Network, "name">): ModelNetwork => {
  const found = world.networks.get(name);
  if (found === undefined)
    throw new Refusal(43, `Network not found: no network with matching name '${name}'`);
  return found;
};

export const objectCalls: readonly Entry[] = [
  answering(libvirt.secretLookupByUuid, (world, { uuid }) => ({
    secret: secretReference(secretOf(world, { uuid })),
  })),
  answering(libvirt.secretLookupByUsage, (world, { usageType, usageId }) => {
    const found = secretOfUsage(world, usageType, usageId);
    if (found !== undefined) return { secret: secretReference(found) };
    throw new Refusal(66, `Secret not found: no secret with matching usage '${usageId}'`);
  }),
  answering(libvirt.secretGetXmlDesc, (world, { secret }) => ({
    xml: writeXml(secretOf(world, secret).xml),
  })),
  answering(
    libvirt.secretDefineXml,
    (world, { xml }) => {
      const read = readXml(xml, "secret");
      const uuid = textAt(read, "uuid") ?? "";
      const usageType = usageTypes[find(read, "usage")?.attributes.type ?? ""] ?? 0;
      const usageId = textAt(read, "usage/name") ?? "";
      const before = world.secrets.get(uuid);
      const other = before ?? secretOfUsage(world, usageType, usageId);
      if (
        other !== undefined &&
        (other.usageType !== usageType || other.usageId !== usageId || other !== before)
      )
        throw new Refusal(
          1,
          `internal error: a secret with UUID ${other.uuid} is already defined for use with ${other.usageId}`,
        );
      const value = before?.value;
      const ephemeral = read.attributes.ephemeral === "yes";
      const kept = value === undefined ? {} : { value };
      const secret: ModelSecret = { uuid, usageType, usageId, xml: read, ephemeral, ...kept };
      world.secrets.set(uuid, secret);
      world.publish({ kind: "secret", secret: secretReference(secret), event: "defined" });
      return { secret: secretReference(secret) };
    },
    { call: "secret_define", of: () => ({}) },
  ),
  answering(libvirt.secretSetValue, (world, { secret: { uuid }, value }) => {
    const secret = secretOf(world, { uuid });
    secret.value = value;
    world.publish({ kind: "secret", secret: secretReference(secret), event: "value_changed" });
    return {};
  }),
  answering(
    libvirt.secretUndefine,
    (world, { secret: { uuid } }) => {
      const secret = secretOf(world, { uuid });
      world.secrets.delete(uuid);
      world.publish({ kind: "secret", secret: secretReference(secret), event: "undefined" });
      return {};
    },
    { call: "secret_undefine", of: () => ({}) },
  ),
  answering(libvirt.connectListAllNetworks, (world) => {
    const nets = [...world.networks.values()].map(({ name, uuid }) => ({ name, uuid }));
    return { nets, ret: nets.length };
  }),
  answering(libvirt.networkLookupByName, (world, { name }) => {
    const { uuid } = networkOf(world, { name });
    return { net: { name, uuid } };
  }),
  answering(libvirt.networkIsActive, (world, { net }) => ({ active: networkOf(world, net).active })),
  answering(libvirt.networkGetXmlDesc, (world, { net }) => {
    const { name, uuid, bridge } = networkOf(world, net);
    const children = [
      element("name", {}, name),
      element("uuid", {}, uuid),
      element("bridge", { name: bridge }),
    ];
    return { xml: writeXml(element("network", {}, children)) };
  }),
  answering(libvirt.connectGetLibVersion, ({ facts }) => ({ libVer: facts.libVersion })),
  answering(libvirt.connectGetCapabilities, ({ facts }) => ({ capabilities: facts.capabilities })),
  answering(libvirt.connectGetDomainCapabilities, ({ facts }) => ({
    capabilities: facts.domainCapabilities,
  })),
  answering(libvirt.nodeGetMemoryStats, ({ facts }, { nparams }) => {
    const kib = facts.memoryBytes / 1024;
    const params = [
      { field: "total", value: kib },
      { field: "free", value: kib },
      { field: "buffers", value: 0 },
      { field: "cached", value: 0 },
    ];
    return { params: nparams === 0 ? [] : params, nparams: params.length };
  }),
  answering(libvirt.nodeDeviceGetXmlDesc, (_world, { name }) => {
    throw new Refusal(53, `Node device not found: no node device with matching name '${name}'`);
  }),
];

/** An ephemeral secret is lost with its daemon. */
export function forgetEphemeralSecrets(world: World): void {
  for (const secret of world.secrets.values()) if (secret.ephemeral) world.secrets.delete(secret.uuid);
}

/** For tests: libvirt's view of a secret. */
export const usageOf = ({ xml }: ModelSecret): string | undefined => find(xml, "usage")?.attributes.type;
