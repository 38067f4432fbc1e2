/** libvirt's calls for the devices of a domain. */
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { all, cloneElement, find, readXml, viewXml, type Element } from "./element.ts";
import { active, affected } from "./guest-run.ts";
import { answering, Refusal, type Entry, type ModelDomain, type Subject, type World } from "./world.ts";

const { LIVE, CONFIG } = libvirt.DomainModificationImpact;

export const aliasOf = (device: Element): string | undefined => find(device, "alias")?.attributes.name;

const places = (flags: number): string =>
  [...((flags & CONFIG) === 0 ? [] : ["definition"]), ...((flags & LIVE) === 0 ? [] : ["guest"])].join();

const about = ({ dom, flags }: { dom: libvirt.Domain; flags: number }, alias = ""): Subject => ({
  vm: dom.uuid,
  device: `${alias} in ${places(flags)}`,
});

const ofXml = (args: { dom: libvirt.Domain; xml: string; flags: number }): Subject => {
  try {
    return about(args, aliasOf(viewXml(args.xml)));
  } catch {
    return about(args);
  }
};

const devicesIn = (domain: Element): Element => {
  const devices = find(domain, "devices");
  if (devices === undefined) throw new Refusal(27, "the model needs a domain with devices");
  return devices;
};

const withAlias = (domain: Element, alias: string): Element => {
  const found = devicesIn(domain).children.find((device) => aliasOf(device) === alias);
  if (found === undefined) throw new Refusal(1, `internal error: no device found with alias ${alias}`);
  return found;
};

const targetOf = (device: Element): string | undefined => find(device, "target")?.attributes.dev;

function refuseTaken(domain: Element, device: Element): void {
  const target = targetOf(device);
  if (device.name !== "disk" || target === undefined) return;
  if (all(devicesIn(domain), "disk").some((other) => targetOf(other) === target))
    throw new Refusal(67, `unsupported configuration: target ${target} already exists`);
}

/** Of volumes of the model alone; other files are taken for present. */
function isMissing(world: World, device: Element): boolean {
  const path = find(device, "source")?.attributes.file;
  const pool = [...world.pools.values()].find((each) => path?.startsWith(`${each.path}/`));
  return pool !== undefined && ![...pool.volumes.values()].some((volume) => volume.path === path);
}

const tellOfDefinition = (world: World, domain: ModelDomain): void =>
  world.emit(domain, { kind: "lifecycle", event: "defined", detail: "updated" });

function attach(world: World, domain: ModelDomain, xml: string, flags: number): void {
  const device = readXml(xml);
  const targets = affected(domain, flags);
  for (const target of targets) refuseTaken(target, device);
  const isLive = domain.live !== undefined && targets.includes(domain.live);
  if (isLive && isMissing(world, device)) throw new Refusal(1, "internal error: unable to open the file");
  for (const target of targets) devicesIn(target).children.push(cloneElement(device));
  if (targets.includes(domain.config)) tellOfDefinition(world, domain);
  if (isLive) world.emit(domain, { kind: "device_added", device: aliasOf(device) ?? "" });
}

/** A guest gives a device back that it was asked for. False: it does not run, or does not have it. */
export function guestReleases(world: World, uuid: string, alias: string): boolean {
  const domain = world.domains.get(uuid);
  const devices = domain?.live && devicesIn(domain.live);
  const at = devices?.children.findIndex((device) => aliasOf(device) === alias) ?? -1;
  if (domain === undefined || devices === undefined || at < 0) return false;
  devices.children.splice(at, 1);
  world.emit(domain, { kind: "device_removed", device: alias });
  return true;
}

export const deviceCalls: readonly Entry[] = [
  answering(
    libvirt.domainAttachDeviceFlags,
    (world, { dom, xml, flags }) => {
      attach(world, world.domain(dom), xml, flags);
      return {};
    },
    { call: "attach_device", of: ofXml },
  ),
  answering(
    libvirt.domainDetachDeviceAlias,
    (world, { dom, alias, flags }) => {
      const domain = world.domain(dom);
      const targets = affected(domain, flags);
      for (const target of targets) withAlias(target, alias);
      // The guest decides when it lets a device go: `guestReleases`.
      if (!targets.includes(domain.config)) return {};
      const devices = devicesIn(domain.config);
      devices.children.splice(devices.children.indexOf(withAlias(domain.config, alias)), 1);
      return {};
    },
    { call: "detach_device", of: (args) => about(args, args.alias) },
  ),
  answering(
    libvirt.domainUpdateDeviceFlags,
    (world, { dom, xml, flags }) => {
      const device = readXml(xml);
      const alias = aliasOf(device) ?? "";
      const domain = world.domain(dom);
      const targets = affected(domain, flags);
      for (const target of targets) withAlias(target, alias);
      for (const target of targets) {
        const there = withAlias(target, alias);
        // What libvirt gave a running NIC stays.
        const kept = all(there, "target").filter(() => find(device, "target") === undefined);
        Object.assign(there, { children: [...cloneElement(device).children, ...kept] });
      }
      if (targets.includes(domain.config)) tellOfDefinition(world, domain);
      return {};
    },
    { call: "update_device", of: ofXml },
  ),
  // QEMU's query-block, as far as the agent reads it: QEMU and libvirt agree here.
  answering(libvirt.domainMonitorCommand, (world, { dom }) => {
    const { live } = active(world, dom);
    const disks = live === undefined ? [] : all(devicesIn(live), "disk");
    const blocks = disks.map((disk) => {
      const file = find(disk, "source")?.attributes.file;
      return { qdev: aliasOf(disk), ...(file === undefined ? {} : { inserted: { file } }) };
    });
    return { result: JSON.stringify({ return: blocks }) };
  }),
  answering(
    libvirt.domainInjectNmi,
    (world, { dom }) => {
      active(world, dom);
      return {};
    },
    { call: "inject_nmi", of: ({ dom }) => ({ vm: dom.uuid }) },
  ),
];
