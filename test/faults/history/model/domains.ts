/** libvirt's calls for domains. */
import { createHash } from "node:crypto";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import {
  all,
  cloneElement,
  element,
  find,
  metadataXml,
  readXml,
  setMetadata,
  setText,
  stampIn,
  textAt,
  writeXml,
  type Element,
} from "./element.ts";
import {
  answering,
  referenceTo,
  Refusal,
  type Entry,
  type ModelDomain,
  type Subject,
  type World,
} from "./world.ts";

const State = libvirt.DomainState;
const Reason = libvirt.DomainStateReason;
const { LIVE, CONFIG } = libvirt.DomainAffect;

export const isActive = ({ id }: Pick<ModelDomain, "id">): boolean => id >= 0;

const ofDomain = ({ dom }: { dom: libvirt.Domain }): Subject => ({ vm: dom.uuid });
const definition = (xml: string): Element => {
  try {
    return readXml(xml, "domain");
  } catch (thrown) {
    throw new Refusal(35, `(domain_definition): ${String(thrown)}`);
  }
};
const ofXml = (xml: string): Subject => {
  try {
    return { vm: textAt(readXml(xml, "domain"), "uuid") ?? "" };
  } catch {
    return {};
  }
};

function define(world: World, xml: string): ModelDomain {
  const { config, name, uuid } = prepared(definition(xml));
  const there = world.domains.get(uuid);
  refuseTakenName(world, name, uuid);
  const domain = there ?? fresh(uuid, name, config);
  domain.config = config;
  domain.isPersistent = true;
  if (there === undefined) world.domains.set(uuid, domain);
  const detail = there === undefined ? "added" : "updated";
  world.tell(domain, { kind: "lifecycle", event: "defined", detail });
  return domain;
}

function prepared(config: Element): { config: Element; name: string; uuid: string } {
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

function refuseTakenName(world: World, name: string, uuid: string): void {
  for (const other of world.domains.values()) {
    if (other.name === name && other.uuid !== uuid)
      throw new Refusal(9, `operation failed: domain '${name}' already exists with uuid ${other.uuid}`);
    if (other.name !== name && other.uuid === uuid)
      throw new Refusal(9, `operation failed: domain '${other.name}' is already defined with uuid ${uuid}`);
  }
}

const fresh = (uuid: string, name: string, config: Element): ModelDomain => ({
  uuid,
  name,
  id: -1,
  state: State.SHUTOFF,
  reason: Reason.SHUTOFF.UNKNOWN,
  config,
  isPersistent: true,
  live: undefined,
  autostart: false,
  starts: 0,
  isStarting: false,
});

/** The guest is there, and does not run yet. */
function beginStart(world: World, domain: ModelDomain): void {
  if (isActive(domain)) throw new Refusal(55, "Requested operation is not valid: domain is already running");
  refuseMissingFiles(world, domain);
  domain.id = world.number();
  domain.starts += 1;
  domain.live = liveOf(world, domain.config, domain.id);
  domain.isStarting = true;
  domain.state = State.PAUSED;
  domain.reason = Reason.PAUSED.STARTING_UP;
}

function refuseMissingFiles(world: World, domain: ModelDomain): void {
  const paths = new Set(
    [...world.pools.values()].flatMap((pool) => [...pool.volumes.values()].map((v) => v.path)),
  );
  for (const path of sourcesOf(domain.config)) {
    const isOfPool = [...world.pools.values()].some((pool) => path.startsWith(`${pool.path}/`));
    if (!isOfPool || paths.has(path)) continue;
    domain.reason = Reason.SHUTOFF.FAILED;
    throw new Refusal(38, `Cannot access storage file '${path}': No such file or directory`, 2);
  }
}

/** The files of its disks. */
export const sourcesOf = (config: Element): string[] =>
  all(find(config, "devices"), "disk").flatMap((disk) => find(disk, "source")?.attributes.file ?? []);

function liveOf(world: World, config: Element, id: number): Element {
  const live = cloneElement(config);
  live.attributes.id = String(id);
  // A guest without a balloon has all of it.
  setText(live, "currentMemory", String(memoryKib(config)));
  for (const nic of all(find(live, "devices"), "interface")) {
    if (find(nic, "target") === undefined)
      nic.children.push(element("target", { dev: `vnet${world.number()}` }));
  }
  return live;
}

function started(world: World, domain: ModelDomain, paused: boolean): void {
  domain.isStarting = false;
  domain.state = paused ? State.PAUSED : State.RUNNING;
  domain.reason = paused ? Reason.PAUSED.USER : Reason.RUNNING.BOOTED;
  if (!paused) world.tell(domain, { kind: "lifecycle", event: "resumed", detail: "unpaused" });
  world.tell(domain, { kind: "lifecycle", event: "started", detail: "booted" });
  if (paused) world.tell(domain, { kind: "lifecycle", event: "suspended", detail: "paused" });
}

/** The guest is gone, for this reason of SHUTOFF; a transient domain goes with it. */
export function ended(
  world: World,
  domain: ModelDomain,
  why: "SHUTDOWN" | "DESTROYED" | "CRASHED" | "FAILED",
): void {
  domain.isStarting = false;
  domain.live = undefined;
  domain.state = State.SHUTOFF;
  domain.reason = Reason.SHUTOFF[why];
  const detail = why.toLowerCase() as "shutdown" | "destroyed" | "crashed" | "failed";
  domain.id = -1;
  if (!domain.isPersistent) world.domains.delete(domain.uuid);
  world.tell(domain, { kind: "lifecycle", event: "stopped", detail });
}

const active = (world: World, dom: libvirt.Domain): ModelDomain => {
  const domain = world.domain(dom);
  if (!isActive(domain)) throw new Refusal(55, "Requested operation is not valid: domain is not running");
  return domain;
};

/** The definitions that a change is about. */
function affected(domain: ModelDomain, flags: number): Element[] {
  const live = (flags & LIVE) !== 0 || ((flags & CONFIG) === 0 && isActive(domain));
  const config = (flags & CONFIG) !== 0 || ((flags & LIVE) === 0 && !isActive(domain));
  if (live && !isActive(domain))
    throw new Refusal(55, "Requested operation is not valid: domain is not running");
  if (config && !domain.isPersistent)
    throw new Refusal(
      55,
      "Requested operation is not valid: transient domains do not have any persistent config",
    );
  return [...(live ? [domain.live] : []), ...(config ? [domain.config] : [])].filter(
    (each) => each !== undefined,
  );
}

/** What is shown of it when nothing else is said: as it runs, else as it is configured. */
export const shown = ({ live, config }: ModelDomain): Element => live ?? config;

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

const matches = (domain: ModelDomain, flags: number): boolean => {
  const both = (flags & (1 | 2)) === 0 || (flags & (1 | 2)) === (1 | 2);
  return both || ((flags & libvirt.DomainListFlag.ACTIVE) !== 0) === isActive(domain);
};

export const domainCalls: readonly Entry[] = [
  answering(libvirt.connectListAllDomains, (world, { flags }) => {
    const domains = [...world.domains.values()].filter((each) => matches(each, flags)).map(referenceTo);
    return { domains, ret: domains.length };
  }),
  answering(libvirt.domainLookupByUuid, (world, { uuid }) => ({ dom: referenceTo(world.domain({ uuid })) })),
  answering(libvirt.domainLookupByName, (world, { name }) => {
    const found = [...world.domains.values()].find((each) => each.name === name);
    if (found === undefined)
      throw new Refusal(42, `Domain not found: no domain with matching name '${name}'`);
    return { dom: referenceTo(found) };
  }),
  answering(libvirt.domainGetState, (world, { dom }) => {
    const { state, reason } = world.domain(dom);
    return { state, reason };
  }),
  answering(libvirt.domainGetInfo, (world, { dom }) => {
    const domain = world.domain(dom);
    const config = shown(domain);
    const memory = memoryKib(config);
    const nrVirtCpu = vcpusOf(config).current;
    return { state: domain.state, maxMem: memory, memory, nrVirtCpu, cpuTime: 0 };
  }),
  answering(libvirt.domainIsActive, (world, { dom }) => ({ active: isActive(world.domain(dom)) })),
  answering(libvirt.domainGetXmlDesc, (world, { dom, flags }) => {
    const domain = world.domain(dom);
    const inactive = (flags & libvirt.DomainXmlFlag.INACTIVE) !== 0;
    return { xml: writeXml(inactive ? domain.config : shown(domain)) };
  }),
  answering(libvirt.domainDefineXmlFlags, (world, { xml }) => ({ dom: referenceTo(define(world, xml)) }), {
    call: "define",
    of: ({ xml }) => ofXml(xml),
  }),
  answering(
    libvirt.domainUndefineFlags,
    (world, { dom }) => {
      const domain = world.domain(dom);
      if (!domain.isPersistent)
        throw new Refusal(55, "Requested operation is not valid: cannot undefine transient domain");
      domain.isPersistent = false;
      domain.autostart = false;
      if (!isActive(domain)) world.domains.delete(domain.uuid);
      world.tell(domain, { kind: "lifecycle", event: "undefined", detail: "removed" });
      return {};
    },
    { call: "undefine", of: ofDomain },
  ),
  answering(
    libvirt.domainCreateWithFlags,
    (world, { dom, flags }) => {
      const domain = world.domain(dom);
      started(world, domain, (flags & libvirt.DomainCreateFlag.PAUSED) !== 0);
      // The name is the one that the caller gave.
      return { dom: { ...referenceTo(domain), name: dom.name } };
    },
    { call: "start", of: ofDomain },
    (world, { dom }) => beginStart(world, world.domain(dom)),
  ),
  answering(
    libvirt.domainCreateXml,
    (world, { xmlDesc, flags }) => {
      const { config, name, uuid } = prepared(definition(xmlDesc));
      refuseTakenName(world, name, uuid);
      if (world.domains.has(uuid)) throw new Refusal(55, `domain '${name}' is already active`);
      const domain = { ...fresh(uuid, name, config), isPersistent: false };
      beginStart(world, domain);
      world.domains.set(uuid, domain);
      started(world, domain, (flags & libvirt.DomainCreateFlag.PAUSED) !== 0);
      return { dom: referenceTo(domain) };
    },
    { call: "start", of: ({ xmlDesc }) => ofXml(xmlDesc) },
  ),
  answering(
    libvirt.domainDestroyFlags,
    (world, { dom }) => {
      const domain = active(world, dom);
      world.tell(domain, { kind: "lifecycle", event: "shutdown", detail: "host" });
      ended(world, domain, "DESTROYED");
      return {};
    },
    { call: "destroy", of: ofDomain },
  ),
  answering(
    libvirt.domainShutdownFlags,
    (world, { dom }) => {
      const domain = active(world, dom);
      // The guest decides: one that listens to the button ends by `ModelHost.guestShutsDown`.
      if (domain.state !== State.RUNNING)
        throw new Refusal(55, "Requested operation is not valid: domain is not running");
      return {};
    },
    { call: "shutdown", of: ofDomain },
  ),
  answering(
    libvirt.domainReboot,
    (world, { dom }) => {
      active(world, dom);
      return {};
    },
    { call: "reboot", of: ofDomain },
  ),
  answering(
    libvirt.domainReset,
    (world, { dom }) => {
      world.tell(active(world, dom), { kind: "reboot" });
      return {};
    },
    { call: "reset", of: ofDomain },
  ),
  answering(
    libvirt.domainSuspend,
    (world, { dom }) => {
      const domain = active(world, dom);
      if (domain.state === State.PAUSED) return {};
      domain.state = State.PAUSED;
      domain.reason = Reason.PAUSED.USER;
      world.tell(domain, { kind: "lifecycle", event: "suspended", detail: "paused" });
      return {};
    },
    { call: "suspend", of: ofDomain },
  ),
  answering(
    libvirt.domainResume,
    (world, { dom }) => {
      const domain = active(world, dom);
      if (domain.state === State.RUNNING)
        throw new Refusal(55, "Requested operation is not valid: domain is already running");
      domain.state = State.RUNNING;
      domain.reason = Reason.RUNNING.UNPAUSED;
      world.tell(domain, { kind: "lifecycle", event: "resumed", detail: "unpaused" });
      return {};
    },
    { call: "resume", of: ofDomain },
  ),
  answering(libvirt.domainSetAutostart, (world, { dom, autostart }) => {
    const domain = world.domain(dom);
    if (!domain.isPersistent)
      throw new Refusal(55, "Requested operation is not valid: cannot set autostart for transient domain");
    domain.autostart = autostart;
    return {};
  }),
  answering(libvirt.domainGetAutostart, (world, { dom }) => ({ autostart: world.domain(dom).autostart })),
  answering(
    libvirt.domainSetMetadata,
    (world, { dom, type, metadata, key, uri, flags }) => {
      const domain = world.domain(dom);
      const targets = affected(domain, flags);
      const isElement = type === libvirt.DomainMetadataType.ELEMENT;
      for (const target of targets) {
        if (isElement) setMetadata(target, key ?? "", uri ?? "", metadata);
        else
          setText(
            target,
            type === libvirt.DomainMetadataType.TITLE ? "title" : "description",
            metadata ?? "",
          );
      }
      const part = isElement
        ? "element"
        : type === libvirt.DomainMetadataType.TITLE
          ? "title"
          : "description";
      world.tell(domain, { kind: "metadata_change", part, namespace: uri });
      return {};
    },
    {
      call: "set_metadata",
      of: ({ dom, uri, metadata }) => {
        const stamp = stampIn(uri, metadata);
        return { vm: dom.uuid, ...(stamp === undefined ? {} : { stamp }) };
      },
    },
  ),
  answering(libvirt.domainGetMetadata, (world, { dom, type, uri, flags }) => {
    const domain = world.domain(dom);
    const [from = shown(domain)] = affected(domain, flags);
    const isElement = type === libvirt.DomainMetadataType.ELEMENT;
    const name = type === libvirt.DomainMetadataType.TITLE ? "title" : "description";
    const metadata = isElement ? metadataXml(from, uri ?? "") : textAt(from, name);
    if (metadata === undefined) throw new Refusal(80, `metadata not found: ${isElement ? "element" : name}`);
    return { metadata };
  }),
  answering(libvirt.domainSetVcpusFlags, (world, { dom, nvcpus, flags }) => {
    const domain = world.domain(dom);
    for (const config of affected(domain, flags)) {
      const vcpu = find(config, "vcpu");
      if (vcpu === undefined) continue;
      if ((flags & libvirt.DomainVcpuFlag.MAXIMUM) !== 0) {
        vcpu.text = String(nvcpus);
        continue;
      }
      if (nvcpus > Number(vcpu.text))
        throw new Refusal(8, `requested vcpus is greater than max allowable vcpus: ${nvcpus} > ${vcpu.text}`);
      vcpu.attributes.current = String(nvcpus);
    }
    return {};
  }),
  answering(libvirt.domainSetMemoryFlags, (world, { dom, memory, flags }) => {
    const domain = world.domain(dom);
    const isMaximum = (flags & libvirt.DomainMemoryFlag.MAXIMUM) !== 0;
    if (isMaximum && isActive(domain) && (flags & CONFIG) === 0)
      throw new Refusal(55, "cannot resize the maximum memory on an active domain");
    for (const config of affected(domain, flags)) {
      const target = find(config, isMaximum ? "memory" : "currentMemory");
      if (target === undefined) continue;
      target.attributes.unit = "KiB";
      target.text = String(memory);
    }
    return {};
  }),
  answering(libvirt.domainGetControlInfo, (world, { dom }) => {
    active(world, dom);
    return { state: libvirt.DomainControlState.OK, details: 0, stateTime: 0 };
  }),
  answering(libvirt.domainGetJobStats, (world, { dom }) => {
    active(world, dom);
    return { type: 0, params: [] };
  }),
];
