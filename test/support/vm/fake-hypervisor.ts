import { SocleError } from "../../../agent/kernel/errors.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import { XdrReader } from "../../../agent/libvirt/rpc/xdr.ts";
import { encoded } from "../libvirt/fake-daemon.ts";
import {
  connectGetAllDomainStats,
  ConnectGetAllDomainStatsFlags,
  type Domain,
  type Value,
  type LibvirtChange,
  type LibvirtEvent,
  type LibvirtStatus,
  type Procedure,
} from "../../../agent/libvirt/index.ts";

interface Guest {
  readonly dom: Domain;
  /** `stuck`: a call waits for its monitor, and thereby holds its job. */
  condition: "well" | "hung" | "stuck" | "busy" | "left out" | "garbled";
  vcpus: number;
  memoryKib: number;
  stopped: boolean;
  /** The content of <metadata> in its XML. */
  metadata: string;
}

const STATE = 1;

/**
 * Running guests as a real libvirt reports them: the first bulk call on a hung guest gets no answer and holds
 * its job from then on; later ones skip the readings that need the job, and its XML is not returned.
 */
export class FakeHypervisor {
  readonly events = new Topic<LibvirtEvent>();
  readonly changes = new Topic<LibvirtChange>();
  readonly status: LibvirtStatus = { connected: true, sinceMs: 0, libVersion: 11_003_000 };
  /** The calls, abbreviated. */
  readonly calls: string[] = [];
  /** The groups of each bulk call. */
  readonly groups: number[] = [];
  /** The answer of every call. */
  failure: Error | undefined;
  readonly #guests: Map<string, Guest>;

  constructor(names: readonly string[]) {
    this.#guests = new Map(
      names.map((name, index) => [
        name,
        {
          dom: { name, uuid: uuidOf(index), id: index + 1 },
          condition: "well",
          vcpus: 1,
          memoryKib: 2048,
          stopped: false,
          metadata: "",
        },
      ]),
    );
  }

  hang(name: string): void {
    this.#guest(name).condition = "hung";
  }

  /** As if another client's call had met it hung before: its job is held. */
  stick(name: string): void {
    this.#guest(name).condition = "stuck";
  }

  goOn(name: string): void {
    this.#guest(name).condition = "well";
  }

  busy(name: string): void {
    this.#guest(name).condition = "busy";
  }

  /** Makes its XML invalid. */
  garble(name: string): void {
    this.#guest(name).condition = "garbled";
  }

  /** Like virsh setvcpus and setmaxmem: without an event. */
  resize(name: string, size: { vcpus: number; memoryKib: number }): void {
    Object.assign(this.#guest(name), size);
  }

  stop(name: string): void {
    this.#guest(name).stopped = true;
  }

  /** Sets XML elements in its <metadata>, without an event. */
  describe(name: string, metadata: string): void {
    this.#guest(name).metadata = metadata;
  }

  leaveOut(name: string): void {
    this.#guest(name).condition = "left out";
  }

  remove(name: string): void {
    this.#guests.delete(name);
  }

  get heldWorkers(): number {
    return [...this.#guests.values()].filter(({ condition }) => condition === "stuck").length;
  }

  idOf(name: string): string {
    return this.#guest(name).dom.uuid;
  }

  call<A, R>(procedure: Procedure<A, R>, args: A): Promise<R> {
    const answer = this.#answer(procedure.name, args as Readonly<Record<string, unknown>>);
    if (answer instanceof Error) return Promise.reject(answer);
    if (procedure.name !== connectGetAllDomainStats.name) return Promise.resolve(answer as R);
    // Through the wire's encoding: a reply may be decoded while it is read.
    const reply = encoded(
      connectGetAllDomainStats.result,
      answer as Value<typeof connectGetAllDomainStats.result>,
    );
    return Promise.resolve(procedure.result.decode(new XdrReader(reply)));
  }

  #answer(name: string, args: Readonly<Record<string, unknown>>): unknown {
    if (name === "CONNECT_GET_ALL_DOMAIN_STATS") {
      const [one] = args["doms"] as readonly Domain[];
      return one === undefined
        ? this.#stats(Number(args["stats"]))
        : blockStatsOf(one, Number(args["flags"]));
    }
    const { uuid } = args["dom"] as Domain;
    const guest = [...this.#guests.values()].find(({ dom }) => dom.uuid === uuid);
    if (guest === undefined) return new SocleError("not_found", "LIBVIRT_NO_DOMAIN", "no such domain");
    const isStuck = guest.condition === "stuck";
    switch (name) {
      case "DOMAIN_GET_CONTROL_INFO":
        this.calls.push(`CONTROL ${guest.dom.name}`);
        return {
          state: isStuck ? 2 : guest.condition === "busy" ? 1 : 0,
          details: 0,
          stateTime: isStuck ? 2000 : 0,
        };
      case "DOMAIN_GET_STATE":
        return { state: guest.stopped ? 5 : 1, reason: 1 };
      case "DOMAIN_GET_INFO":
        this.calls.push(`INFO ${guest.dom.name}`);
        return { state: 1, maxMem: guest.memoryKib, memory: 1024, nrVirtCpu: guest.vcpus, cpuTime: 0 };
      case "DOMAIN_GET_XML_DESC":
        this.calls.push(`XML ${guest.dom.name}`);
        if (isStuck) return timeout();
        return { xml: guest.condition === "garbled" ? "<domain/>" : xmlOf(guest) };
      case "DOMAIN_GET_METADATA":
        this.calls.push(`METADATA ${guest.dom.name}`);
        return new SocleError("not_found", "LIBVIRT_NO_DOMAIN_METADATA", "none of Socle's");
      default:
        return new Error(`unexpected call ${name}`);
    }
  }

  #stats(groups: number): unknown {
    this.calls.push("STATS");
    this.groups.push(groups);
    if (this.failure !== undefined) return this.failure;
    const hung = [...this.#guests.values()].find(({ condition }) => condition === "hung");
    if (groups !== STATE && hung !== undefined) {
      hung.condition = "stuck";
      return timeout();
    }
    const listed = [...this.#guests.values()].filter(({ condition }) => condition !== "left out");
    return { retStats: listed.map((guest) => ({ dom: guest.dom, params: paramsOf(groups, guest) })) };
  }

  #guest(name: string): Guest {
    const guest = this.#guests.get(name);
    if (guest === undefined) throw new Error(`there is no guest ${name}`);
    return guest;
  }
}

function paramsOf(groups: number, { condition, vcpus, memoryKib, stopped }: Guest): unknown[] {
  const param = (field: string, value: number): unknown => ({ field, value: { type: "int", value } });
  const state = [param("state.state", stopped ? 5 : 1), param("state.reason", 1)];
  if (groups === STATE) return state;
  const readings = [
    ...state,
    param("cpu.time", 1e9),
    param("balloon.current", 1024),
    param("balloon.maximum", memoryKib),
    param("vcpu.current", vcpus),
  ];
  const answers = condition === "well" || condition === "garbled";
  return answers && !stopped ? [...readings, param("balloon.rss", 512)] : readings;
}

/** The path of its disk, and with the flag BACKING of the image below it. */
const blockStatsOf = (dom: Domain, flags: number): unknown => {
  const param = (field: string, value: string): unknown => ({ field, value: { type: "string", value } });
  const paths = [
    `/images/${dom.name}`,
    ...((flags & ConnectGetAllDomainStatsFlags.BACKING) !== 0 ? ["/images/base"] : []),
  ];
  const params = paths.flatMap((path, index) => [
    param(`block.${index}.name`, "vda"),
    param(`block.${index}.path`, path),
  ]);
  return { retStats: [{ dom, params }] };
};

const timeout = (): SocleError => new SocleError("timeout", "LIBVIRT_TIMEOUT", "libvirt did not answer");

const uuidOf = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

const xmlOf = ({ dom: { name, uuid }, vcpus, memoryKib, metadata }: Guest): string =>
  `<domain type='qemu'><name>${name}</name><uuid>${uuid}</uuid><memory unit='KiB'>${memoryKib}</memory>` +
  `<metadata>${metadata}</metadata>` +
  `<currentMemory unit='KiB'>${memoryKib}</currentMemory><vcpu>${vcpus}</vcpu>` +
  `<os><type arch='x86_64' machine='pc'>hvm</type></os>` +
  `<devices><disk type='file' device='disk'><source file='/images/${name}'/><target dev='vda' bus='virtio'/></disk>` +
  `</devices></domain>`;
