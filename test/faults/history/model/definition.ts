/** Domain definitions of the model: the XML that libvirt accepts, and its sizes and disks. */
import { createHash } from "node:crypto";
import { DomainState, DomainStateReason } from "../../../../agent/libvirt/index.ts";
import { all, element, find, readXml, textAt, writeXml, type Element } from "./element.ts";
import { Refusal, type ModelDomain, type World } from "./world.ts";

export const definition = (xml: string): Element => {
  try {
    return readXml(xml, "domain");
  } catch (thrown) {
    throw new Refusal(35, `(domain_definition): ${String(thrown)}`);
  }
};
export function define(world: World, xml: string): ModelDomain {
  const { config, name, uuid } = prepared(definition(xml));
  const there = world.domains.get(uuid);
  refuseTakenName(world, name, uuid);
  const domain = there ?? fresh(uuid, name, config);
  domain.config = config;
  domain.isPersistent = true;
  if (there === undefined) world.domains.set(uuid, domain);
  const detail = there === undefined ? "added" : "updated";
  world.emit(domain, { kind: "lifecycle", event: "defined", detail });
  return domain;
}

export function prepared(config: Element): { config: Element; name: string; uuid: string } {
  const [name, uuid] = [textAt(config, "name"), textAt(config, "uuid")];
  if (name === undefined) throw new Refusal(21, "missing name information");
  if (uuid === undefined) throw new Refusal(27, "the model needs a uuid");
  if (find(config, "memory") === undefined) throw new Refusal(27, "missing memory element");
  if (find(config, "currentMemory") === undefined)
    config.children.push(element("currentMemory", { unit: "KiB" }, String(memoryKib(config))));
  for (const nic of all(find(config, "devices"), "interface")) {
    if (find(nic, "mac") !== undefined) continue;
    const digest = createHash("sha256")
      .update(`${uuid} ${writeXml(nic)}`)
      .digest("hex");
    const address = ["52", "54", "00", digest.slice(0, 2), digest.slice(2, 4), digest.slice(4, 6)].join(":");
    nic.children.unshift(element("mac", { address }));
  }
  return { config, name, uuid };
}

export function refuseTakenName(world: World, name: string, uuid: string): void {
  for (const other of world.domains.values()) {
    if (other.name === name && other.uuid !== uuid)
      throw new Refusal(9, `operation failed: domain '${name}' already exists with uuid ${other.uuid}`);
    if (other.name !== name && other.uuid === uuid)
      throw new Refusal(9, `operation failed: domain '${other.name}' is already defined with uuid ${uuid}`);
  }
}

export const fresh = (uuid: string, name: string, config: Element): ModelDomain => ({
  uuid,
  name,
  id: -1,
  state: DomainState.SHUTOFF,
  reason: DomainStateReason.SHUTOFF.UNKNOWN,
  config,
  isPersistent: true,
  live: undefined,
  autostart: false,
  starts: 0,
  isStarting: false,
  saved: undefined,
});

/** The files of the domain's disks. */
export const sourcesOf = (config: Element): string[] =>
  all(find(config, "devices"), "disk").flatMap((disk) => find(disk, "source")?.attributes.file ?? []);

export const memoryKib = (config: Element): number => {
  const memory = find(config, "memory");
  const unit = memory?.attributes.unit ?? "KiB";
  const kib: Readonly<Record<string, number>> = {
    b: 1 / 1024,
    bytes: 1 / 1024,
    KiB: 1,
    k: 1,
    MiB: 1024,
    M: 1024,
    GiB: 1024 ** 2,
    G: 1024 ** 2,
  };
  return Number(memory?.text ?? 0) * (kib[unit] ?? 1);
};

export const vcpusOf = (config: Element): { current: number; max: number } => {
  const vcpu = find(config, "vcpu");
  const max = Number(vcpu?.text ?? 1);
  return { current: Number(vcpu?.attributes.current ?? max), max };
};
