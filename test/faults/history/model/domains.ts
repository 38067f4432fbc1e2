/** libvirt's calls for domains. */
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { define, definition, fresh, memoryKib, prepared, refuseTakenName, vcpusOf } from "./definition.ts";
import { find, metadataXml, setMetadata, setText, stampIn, textAt, viewXml, writeXml } from "./element.ts";
import { active, affected, beginStart, ended, isActive, shown, started } from "./guest-run.ts";
import { answering, referenceTo, Refusal, type Entry, type ModelDomain, type Subject } from "./world.ts";

const State = libvirt.DomainState;
const Reason = libvirt.DomainStateReason;
const { CONFIG } = libvirt.DomainModificationImpact;

const ofDomain = ({ dom }: { dom: libvirt.Domain }): Subject => ({ vm: dom.uuid });
const ofXml = (xml: string): Subject => {
  try {
    return { vm: textAt(viewXml(xml, "domain"), "uuid") ?? "" };
  } catch {
    return {};
  }
};

const matches = (domain: ModelDomain, flags: number): boolean => {
  const both = (flags & (1 | 2)) === 0 || (flags & (1 | 2)) === (1 | 2);
  return both || ((flags & libvirt.ConnectListAllDomainsFlags.ACTIVE) !== 0) === isActive(domain);
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
    const inactive = (flags & libvirt.DomainXMLFlags.INACTIVE) !== 0;
    return { xml: writeXml(inactive ? domain.config : shown(domain)) };
  }),
  answering(libvirt.domainDefineXmlFlags, (world, { xml }) => ({ dom: referenceTo(define(world, xml)) }), {
    call: "define",
    of: ({ xml }) => ofXml(xml),
  }),
  answering(
    libvirt.domainUndefineFlags,
    (world, { dom, flags }) => {
      const domain = world.domain(dom);
      if (!domain.isPersistent)
        throw new Refusal(55, "Requested operation is not valid: cannot undefine transient domain");
      if (domain.saved !== undefined && (flags & libvirt.DomainUndefineFlagsValues.MANAGED_SAVE) === 0)
        throw new Refusal(55, "Refusing to undefine while domain managed save image exists");
      domain.saved = undefined;
      domain.isPersistent = false;
      domain.autostart = false;
      if (!isActive(domain)) world.domains.delete(domain.uuid);
      world.emit(domain, { kind: "lifecycle", event: "undefined", detail: "removed" });
      return {};
    },
    { call: "undefine", of: ofDomain },
  ),
  answering(
    libvirt.domainCreateWithFlags,
    (world, { dom, flags }) => {
      const domain = world.domain(dom);
      started(world, domain, (flags & libvirt.DomainCreateFlags.START_PAUSED) !== 0);
      // The error has the caller's name for the domain.
      return { dom: { ...referenceTo(domain), name: dom.name } };
    },
    { call: "start", of: ofDomain },
    (world, { dom, flags }) => {
      const domain = world.domain(dom);
      if ((flags & libvirt.DomainCreateFlags.START_FORCE_BOOT) !== 0) domain.saved = undefined;
      beginStart(world, domain);
    },
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
      started(world, domain, (flags & libvirt.DomainCreateFlags.START_PAUSED) !== 0);
      return { dom: referenceTo(domain) };
    },
    { call: "start", of: ({ xmlDesc }) => ofXml(xmlDesc) },
  ),
  answering(
    libvirt.domainDestroyFlags,
    (world, { dom }) => {
      const domain = active(world, dom);
      world.emit(domain, { kind: "lifecycle", event: "shutdown", detail: "host" });
      ended(world, domain, "DESTROYED");
      return {};
    },
    { call: "destroy", of: ofDomain },
  ),
  answering(
    libvirt.domainShutdownFlags,
    (world, { dom }) => {
      const domain = active(world, dom);
      // The guest decides: a guest that obeys ends with `ModelHost.guestShutsDown`.
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
      world.emit(active(world, dom), { kind: "reboot" });
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
      world.emit(domain, { kind: "lifecycle", event: "suspended", detail: "paused" });
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
      world.emit(domain, { kind: "lifecycle", event: "resumed", detail: "unpaused" });
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
      world.emit(domain, { kind: "metadata_change", part, namespace: uri });
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
  answering(libvirt.domainGetPerfEvents, (world, { dom }) => {
    world.domain(dom);
    return { params: [] };
  }),
  answering(libvirt.domainSetVcpusFlags, (world, { dom, nvcpus, flags }) => {
    const domain = world.domain(dom);
    for (const config of affected(domain, flags)) {
      const vcpu = find(config, "vcpu");
      if (vcpu === undefined) continue;
      if ((flags & libvirt.DomainVcpuFlags.MAXIMUM) !== 0) {
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
    const isMaximum = (flags & libvirt.DomainMemoryModFlags.MAXIMUM) !== 0;
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
