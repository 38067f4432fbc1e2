import { hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../kernel/clock.ts";
import { ifPresent, toSocleError, type ErrorKind, type SocleError } from "../../kernel/errors.ts";
import {
  connectGetAllDomainStats,
  domainGetInfo,
  domainGetMetadata,
  domainGetState,
  domainGetXmlDesc,
  domainHasManagedSaveImage,
  domainManagedSaveGetXmlDesc,
  DomainMetadataType,
  DomainStatsTypes,
  ConnectGetAllDomainStatsFlags,
  type Domain,
  type Libvirt,
} from "../../libvirt/index.ts";
import { isActive } from "../hypervisor/domains.ts";
import { stateOf } from "../hypervisor/domain-state.ts";
import { ownFacts, type OwnFacts } from "../model/own-facts.ts";
import { vmFromDomain, vmWithoutXml, withEtag, type DomainFacts } from "./vm-from-domain.ts";
import type { Vm, VmDisk } from "../model/vm.ts";
import {
  parseVmDomain,
  readVmMetadata,
  vmMetadata,
  type DomainMetadata,
  type VmDomain,
} from "../model/vm-domain.ts";

const READ_TIMEOUT_MS = 5000;
const KIB = 1024;
/** Failures of the libvirt connection or daemon, not of one domain. */
const OF_LIBVIRT: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  "unavailable",
  "timeout",
  "outcome_unknown",
  "exhausted",
  "cancelled",
]);

interface LastRead {
  readonly digest: string;
  readonly vm: Vm;
  readonly validated: Validated | undefined;
}

/** Facts of a domain's metadata, and the metadata that they were validated from. */
interface Validated {
  readonly metadata: Omit<DomainMetadata, "stamp">;
  readonly facts: OwnFacts;
}

/**
 * Reads one domain as a VM. A domain whose XML is rejected is listed as well, with the size that libvirt reports and
 * the reason in `unreadable`: otherwise its CPUs would be allocated twice.
 */
export class DomainReader {
  readonly #libvirt: Pick<Libvirt, "call">;
  readonly #clock: Clock;
  /**
   * By id. Unchanged XML is not parsed again: near the parser's limits that takes hundreds of ms. Unchanged metadata is
   * not validated again: validation takes a third of the time to read a usual domain.
   */
  readonly #last = new Map<string, LastRead>();

  constructor({ libvirt, clock }: { libvirt: Pick<Libvirt, "call">; clock: Clock }) {
    this.#libvirt = libvirt;
    this.#clock = clock;
  }

  /** Undefined: libvirt has no such domain. Throws while libvirt does not answer. `before`: the VM as last read. */
  async read(domain: Domain, before: Vm | undefined): Promise<Vm | undefined> {
    try {
      const [{ state, reason }, xml] = await Promise.all([
        this.#call(domainGetState, { dom: domain, flags: 0 }),
        this.#xml(domain, before),
      ]);
      const seen = stateOf(state, reason);
      const savedState = isActive(seen) ? undefined : await this.#savedState(domain);
      const savedMemoryBytes = savedState === true ? await this.#savedMemoryBytes(domain) : undefined;
      const facts = { ...seen, savedState, savedMemoryBytes, observedAtMs: this.#clock.now() };
      return await this.#fromXml(domain, xml, facts, before);
    } catch (thrown) {
      if (toSocleError(thrown).reason !== "LIBVIRT_NO_DOMAIN") throw thrown;
      this.#last.delete(domain.uuid);
      return undefined;
    }
  }

  /** A domain whose QEMU does not answer, so that libvirt cannot return its XML. Undefined: its size is not known. */
  async readSilent(
    domain: Domain,
    size: { readonly vcpus: number | undefined; readonly memoryBytes: number | undefined },
    facts: DomainFacts,
    before: Vm | undefined,
  ): Promise<Vm | undefined> {
    if (before !== undefined) return withEtag({ ...before, ...facts, presence: "present" });
    return vmWithoutXml({ domain, size, facts, metadata: await this.#metadata(domain) });
  }

  /** Undefined: this libvirt or driver does not report it. */
  async #savedState(domain: Domain): Promise<boolean | undefined> {
    try {
      return (await this.#call(domainHasManagedSaveImage, { dom: domain, flags: 0 })).result;
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      if (OF_LIBVIRT.has(kind) || reason === "LIBVIRT_NO_DOMAIN") throw thrown;
      return undefined;
    }
  }

  /** Undefined: libvirt does not accept the image, of which no start continues. */
  async #savedMemoryBytes(domain: Domain): Promise<number | undefined> {
    try {
      return parseVmDomain((await this.#call(domainManagedSaveGetXmlDesc, { dom: domain, flags: 0 })).xml)
        .memoryBytes;
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      if (OF_LIBVIRT.has(kind) || reason === "LIBVIRT_NO_DOMAIN") throw thrown;
      return undefined;
    }
  }

  /** The XML, or the reason why libvirt cannot return it for this domain. */
  async #xml(domain: Domain, before: Vm | undefined): Promise<string | SocleError> {
    try {
      return (await this.#call(domainGetXmlDesc, { dom: domain, flags: 0 })).xml;
    } catch (thrown) {
      const error = toSocleError(thrown);
      const isOfDomain = !OF_LIBVIRT.has(error.kind) && error.reason !== "LIBVIRT_NO_DOMAIN";
      // A known VM keeps its last state: the failure may pass.
      if (isOfDomain && before === undefined) return error;
      throw thrown;
    }
  }

  async #fromXml(
    domain: Domain,
    xml: string | SocleError,
    facts: DomainFacts,
    before: Vm | undefined,
  ): Promise<Vm | undefined> {
    if (typeof xml !== "string") return await this.#withoutXml(domain, facts, before, xml);
    const digest = hash("sha256", xml, "base64");
    const last = this.#last.get(domain.uuid);
    if (last?.digest === digest) return withEtag({ ...last.vm, ...facts });
    const read = await this.#understood(domain, xml, facts, before);
    if (read.vm !== undefined)
      this.#last.set(domain.uuid, { digest, vm: read.vm, validated: read.validated });
    return read.vm;
  }

  async #understood(
    domain: Domain,
    xml: string,
    facts: DomainFacts,
    before: Vm | undefined,
  ): Promise<{ readonly vm: Vm | undefined; readonly validated?: Validated }> {
    try {
      const document = parseVmDomain(xml);
      const validated = validate(document, this.#last.get(domain.uuid)?.validated);
      return { vm: vmFromDomain(document, facts, validated.facts), validated };
    } catch (thrown) {
      return { vm: await this.#withoutXml(domain, facts, before, toSocleError(thrown)) };
    }
  }

  async #withoutXml(
    domain: Domain,
    facts: DomainFacts,
    before: Vm | undefined,
    { message }: SocleError,
  ): Promise<Vm | undefined> {
    const [{ maxMem, nrVirtCpu }, metadata, disks] = await Promise.all([
      this.#call(domainGetInfo, { dom: domain }),
      this.#metadata(domain),
      this.#disks(domain),
    ]);
    const size = { vcpus: nrVirtCpu, memoryBytes: maxMem * KIB };
    return vmWithoutXml({ domain, size, facts, metadata, disks, before, problem: message });
  }

  /** Disk paths from the statistics, to find other writers of the same storage. Empty if libvirt does not report them. */
  async #disks(domain: Domain): Promise<readonly VmDisk[]> {
    const flags = ConnectGetAllDomainStatsFlags.NOWAIT | ConnectGetAllDomainStatsFlags.BACKING;
    const args = { doms: [domain], stats: DomainStatsTypes.BLOCK, flags };
    try {
      const { retStats } = await this.#call(connectGetAllDomainStats, args);
      const fields = new Map(
        retStats.flatMap(({ params }) =>
          params.map(({ field, value }) => [field, String(value.value)] as const),
        ),
      );
      return [...fields].flatMap(([field, path]) => {
        const number = /^block\.(\d+)\.path$/.exec(field)?.[1];
        if (number === undefined) return [];
        const device = fields.get(`block.${number}.name`) ?? "";
        // libvirt lists a disk before its backing images, under the same name.
        const isBacking = number !== "0" && fields.get(`block.${Number(number) - 1}.name`) === device;
        return [{ device, path, ...(isBacking ? ({ readOnly: true } as const) : {}) }];
      });
    } catch {
      return [];
    }
  }

  /** Socle's metadata element. libvirt returns it separately, so that unreadable XML elsewhere does not matter. */
  async #metadata(domain: Domain): Promise<DomainMetadata | undefined> {
    const args = { dom: domain, type: DomainMetadataType.ELEMENT, uri: vmMetadata.uri, flags: 0 };
    const found = await ifPresent("LIBVIRT_NO_DOMAIN_METADATA", () => this.#call(domainGetMetadata, args));
    return found && readVmMetadata(found.metadata);
  }

  #call: Libvirt["call"] = (procedure, args) =>
    this.#libvirt.call(procedure, args, { lane: "observation", timeoutMs: READ_TIMEOUT_MS });
}

function validate({ metadata: whole = {}, uuid }: VmDomain, last: Validated | undefined): Validated {
  const { stamp: _stamp, ...metadata } = whole;
  if (last !== undefined && isDeepStrictEqual(metadata, last.metadata)) return last;
  return { metadata, facts: ownFacts(metadata, uuid) };
}
