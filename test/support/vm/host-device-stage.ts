import { SocleError } from "../../../agent/kernel/errors.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import { DomainModificationImpact, DomainXMLFlags, type Procedure } from "../../../agent/libvirt/index.ts";
import { formatPciAddress, noDevices } from "../../../agent/libvirt/xml/index.ts";
import { stateOf } from "../../../agent/vm/hypervisor/domain-state.ts";
import { hostDevice } from "../../../agent/vm/model/host-devices.ts";
import { pcieControllers } from "../../../agent/vm/model/pcie-ports.ts";
import { checkSpec } from "../../../agent/vm/model/spec-check.ts";
import { storedText } from "../../../agent/vm/model/stored-spec.ts";
import {
  buildVmDomain,
  parseVmDomain,
  readVmMetadata,
  vmMetadata,
  type VmDomain,
  type VmMetadata,
} from "../../../agent/vm/model/vm-domain.ts";
import { vmFromDomain } from "../../../agent/vm/observation/vm-from-domain.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import type { WorkRun } from "../../../agent/vm/operations/work.ts";
import { unbound } from "../../../agent/state/reservations/placement.ts";
import { sleepingClock } from "./libvirt-answers.ts";
import { steps } from "./steps.ts";
import { workContext } from "./work-context.ts";

const { LIVE, CONFIG } = DomainModificationImpact;
const OPERATION = "0193a0c0-0000-7000-8000-000000000001";

/** One VM with devices of the host, in a libvirt that keeps its definition, its guest and its metadata in memory. */
export class HostDeviceStage {
  static readonly id = "6f1c2f1e-0000-4000-8000-000000000001";
  readonly table = new VmTable();
  readonly clock = sleepingClock();
  /** Addresses in the definition, and in the running guest. */
  readonly defined = new Set<string>();
  readonly live = new Set<string>();
  isRunning = true;
  /** The guest keeps every device. */
  keeps = false;
  /** Changes of libvirt, in order. */
  readonly did: string[] = [];
  /** Called after each change; may throw. */
  after: (did: string) => void = () => undefined;
  /** Called before each change; may throw. */
  before: (what: string) => void = () => undefined;
  socle: VmMetadata;

  constructor(more: object = {}, placed: readonly string[] = []) {
    const { id } = HostDeviceStage;
    const kernelBoot = { kernel: { pool: "images", volume: "vmlinuz" } };
    const spec = checkSpec(
      { id, name: "web", tenant: "acme", vcpus: 1, memoryBytes: 2 ** 30, kernelBoot, ...more },
      { bridges: [], allowSpoofing: false },
    );
    this.socle = {
      ...storedText(spec),
      ...{ tenant: spec.tenant, labels: {}, placementEpoch: 0, createdAt: "2026-01-01T00:00:00Z" },
      instance: "00000000-0000-4000-8000-00000000000a",
      placement: JSON.stringify({ ...unbound, devices: placed }),
    };
    for (const address of placed) this.defined.add(address);
    for (const address of placed) this.live.add(address);
    this.show();
  }

  get context() {
    return workContext(this.calls, this.clock, this.table);
  }

  /** The definition, or the running guest. */
  document(as: "defined" | "running" = this.isRunning ? "running" : "defined"): VmDomain {
    const addresses = as === "running" ? this.live : this.defined;
    return {
      type: "qemu",
      name: "web",
      uuid: HostDeviceStage.id,
      memoryBytes: 2 ** 30,
      vcpus: { max: 1, current: 1 },
      os: { type: "hvm" },
      devices: {
        ...noDevices,
        controllers: pcieControllers({ disks: [], interfaces: [], hostDevices: [], memoryDevices: [] }),
        hostDevices: [...addresses].map(hostDevice),
      },
      metadata: { socle: this.socle },
    };
  }

  /** Lets the agent observe the VM. */
  show(): void {
    const { state, stateReason } = stateOf(this.isRunning ? 1 : 5, 1);
    this.table.put(vmFromDomain(this.document(), { state, stateReason, observedAtMs: 1, savedState: false }));
  }

  /** A run of an operation; `done`: the steps that an earlier run completed, `cutOff`: those in which it ended. */
  run(begun?: (name: string) => void, done?: readonly string[], cutOff: readonly string[] = []): WorkRun {
    return {
      operationId: OPERATION,
      ...{ vmId: HostDeviceStage.id, caller: "caller", instance: undefined, createdAtMs: 0 },
      ...{ step: steps(begun), signal: new AbortController().signal, hasEnded: () => false },
      ...{ resumed: done !== undefined, done: new Set(done), cutOff: new Set(cutOff) },
    };
  }

  readonly calls: Parameters<typeof workContext>[0] = {
    call: <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> => {
      const answer = new Promise((resolve) => resolve(this.#answer(name, args as unknown as Args)));
      return answer as Promise<R>;
    },
    openStream: () => Promise.reject(new Error("no streams here")),
    events: new Topic<never>(),
  };

  #answer(name: string, args: Args): unknown {
    switch (name) {
      case "DOMAIN_GET_STATE":
        return { state: this.isRunning ? 1 : 5, reason: 1 };
      case "DOMAIN_GET_CONTROL_INFO":
        return { state: 0, details: 0, stateTime: 0 };
      case "DOMAIN_HAS_MANAGED_SAVE_IMAGE":
        return { result: false };
      case "DOMAIN_GET_XML_DESC": {
        const isDefined = (args.flags & DomainXMLFlags.INACTIVE) !== 0 || !this.isRunning;
        return { xml: buildVmDomain(this.document(isDefined ? "defined" : "running")) };
      }
      case "DOMAIN_SET_METADATA":
        return this.#change(args.uri === vmMetadata.uri ? "write metadata" : "stamp", () => {
          const { socle } = args.uri === vmMetadata.uri ? readVmMetadata(args.metadata) : this;
          if (socle !== undefined) this.socle = socle;
        });
      case "DOMAIN_ATTACH_DEVICE_FLAGS":
        return this.#change(`attach ${impact(args.flags)}`, () => {
          for (const at of this.#places(args.flags)) at.add(addressIn(args.xml));
        });
      case "DOMAIN_DETACH_DEVICE_FLAGS":
        return this.#change(`detach ${impact(args.flags)}`, () => {
          if (this.keeps && args.flags === LIVE) return;
          for (const at of this.#places(args.flags)) at.delete(addressIn(args.xml));
        });
      default:
        throw new SocleError("not_found", "LIBVIRT_NO_DOMAIN", `${name} finds no domain`);
    }
  }

  #places(flags: number): Set<string>[] {
    return [...(flags & LIVE ? [this.live] : []), ...(flags & CONFIG ? [this.defined] : [])];
  }

  #change(what: string, effect: () => void): object {
    this.before(what);
    effect();
    this.did.push(what);
    this.show();
    this.after(what);
    return {};
  }
}

interface Args {
  readonly flags: number;
  readonly xml: string;
  readonly uri: string | null;
  readonly metadata: string;
}

const impact = (flags: number): string =>
  [flags & LIVE ? "live" : "", flags & CONFIG ? "config" : ""].filter((word) => word !== "").join("+");

function addressIn(hostdev: string): string {
  const domain =
    `<domain type="qemu"><name>a</name><uuid>${HostDeviceStage.id}</uuid><memory>1024</memory><vcpu>1</vcpu>` +
    `<os><type>hvm</type></os><devices>${hostdev}</devices></domain>`;
  const [device] = parseVmDomain(domain).devices.hostDevices;
  if (device?.type !== "pci") throw new Error(`no PCI device in ${hostdev}`);
  return formatPciAddress(device.address);
}
