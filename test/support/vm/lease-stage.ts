// Agents with several state directories, in several PID namespaces, over one libvirt's secrets.
import type { TestContext } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import * as libvirt from "../../../agent/libvirt/index.ts";
import { parseSecret } from "../../../agent/libvirt/xml/index.ts";
import type { ControlFence } from "../../../agent/state/records/control-fence.ts";
import { Permit } from "../../../agent/state/operations/permit.ts";
import type { LibvirtCalls } from "../../../agent/vm/hypervisor/certainty.ts";
import { HypervisorLease, type HolderBefore } from "../../../agent/vm/hypervisor/hypervisor-lease.ts";
import { FakeClock } from "../host/fake-clock.ts";

const LEASE = "socle-agent-lease";

/** A process in another PID namespace. */
export const elsewhere = { pid: 1, start: "1", namespace: "pid:[1]" };

/** Secrets as libvirt keeps them: one per usage. */
export class SecretStore {
  /** The lease. */
  xml: string | undefined;
  uuid = "";
  /** The secret of a takeover. */
  readonly succession = { xml: undefined as string | undefined, uuid: "" };
  isSupported = true;
  /** The error of every call. */
  failure: SocleError | undefined;
  /** No call is answered. */
  hangs = false;
  /** This many of the next definitions are refused, of this usage only where it is given. */
  refusals = 0;
  refusedUsage: string | undefined;
  /** Called before each call. */
  before: (procedure: unknown) => Promise<void> = () => Promise.resolve();
  readonly events = new Topic<libvirt.LibvirtEvent>();
  readonly changes = new Topic<libvirt.LibvirtChange>();

  readonly calls: LibvirtCalls & Pick<libvirt.Libvirt, "events" | "changes"> = {
    events: this.events,
    changes: this.changes,
    openStream: () => Promise.reject(new Error("no streams")),
    call: (async (procedure: unknown, args: CallArguments) => {
      await this.before(procedure);
      if (this.hangs) await new Promise<never>(() => undefined);
      if (!this.isSupported) throw new SocleError("unsupported", "LIBVIRT_NO_SUPPORT", "no secrets");
      if (this.failure !== undefined) throw this.failure;
      const defined = args.xml === undefined ? undefined : parseSecret(args.xml);
      const usageId = defined?.usage?.id ?? args.usageId ?? args.secret?.usageId ?? "";
      const kept = usageId === LEASE ? this : this.succession;
      const secret = { uuid: kept.uuid, usageType: 4, usageId };
      if (defined !== undefined) {
        const isRefused = this.refusals > 0 && (this.refusedUsage ?? usageId) === usageId;
        if (isRefused) this.refusals -= 1;
        if (isRefused) throw noSpace;
        const { uuid = "" } = defined;
        if (kept.xml !== undefined && uuid !== kept.uuid)
          throw new SocleError("internal", "LIBVIRT_INTERNAL", "already defined for use");
        kept.xml = args.xml;
        kept.uuid = uuid;
        return { secret: { ...secret, uuid } };
      }
      if (kept.xml === undefined || (args.secret !== undefined && args.secret.uuid !== kept.uuid))
        throw new SocleError("not_found", "LIBVIRT_NO_SECRET", "no secret");
      if (procedure === libvirt.secretUndefine) kept.xml = undefined;
      return procedure === libvirt.secretGetXmlDesc ? { xml: kept.xml } : { secret };
    }) as unknown as LibvirtCalls["call"],
  };

  lease(): Record<string, unknown> {
    return JSON.parse(parseSecret(this.xml ?? "").description ?? "") as Record<string, unknown>;
  }

  /** The holder is in a place that cannot be observed from here. */
  moveHolder(change: object): void {
    const description = JSON.stringify({ ...this.lease(), ...change });
    this.xml = `<secret><uuid>${this.uuid}</uuid><description>${description.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</description><usage type='tls'><name>socle-agent-lease</name></usage></secret>`;
  }
}

interface CallArguments {
  readonly xml?: string;
  readonly usageId?: string;
  readonly secret?: { readonly uuid: string; readonly usageId: string };
}

/** The error that libvirt/rpc/errors.ts makes of libvirt's. */
const noSpace = new SocleError("exhausted", "LIBVIRT_NO_SPACE", "no space left", {
  details: { metadata: { libvirtCode: "38" } },
});

/** The lease's own formula. */
const LOOK_EVERY_MS = 3000;

/** The mark of a state directory, in memory. */
class Mark {
  value: number;
  failure: SocleError | undefined;
  #publish = (): Promise<boolean> => Promise.resolve(true);

  constructor(value: number) {
    this.value = value;
  }

  publishBy(publish: () => Promise<boolean>): void {
    this.#publish = publish;
  }

  async raise(): Promise<boolean> {
    if (this.failure !== undefined) throw this.failure;
    this.value += 1;
    return await this.#publish();
  }
}

interface AgentOptions {
  readonly state: string;
  readonly epoch?: number;
  readonly mark?: number;
  readonly fence?: ControlFence;
  /** The error of storing the previous holder's state. */
  readonly unwritable?: Error;
}

export function agent(t: TestContext, store: SecretStore, options: AgentOptions) {
  const clock = new FakeClock();
  const permit = new Permit();
  const seen: HolderBefore[] = [];
  const mark = new Mark(options.mark ?? 0);
  let fence = options.fence ?? { epoch: 0, resets: 0 };
  const lease = new HypervisorLease({
    libvirt: store.calls,
    uri: "qemu:///system",
    stateDirectory: `/state/${options.state}`,
    stateId: options.state,
    agentEpoch: () => options.epoch ?? 1,
    controlFence: () => fence,
    revocationLists: () => ({}),
    watermark: mark,
    onFollow: (before) => {
      if (options.unwritable !== undefined) return Promise.reject(options.unwritable);
      seen.push(before);
      return Promise.resolve();
    },
    permit,
    clock,
    log: silentLog,
  });
  const end = new AbortController();
  let done = Promise.resolve();
  let sleeps = 0;
  const sleep = clock.sleep.bind(clock);
  clock.sleep = (ms, signal) => {
    if (ms === LOOK_EVERY_MS) sleeps += 1;
    return sleep(ms, signal);
  };
  /** Runs it until it has checked the lease, and waits for its next check. */
  const checkedAfter = async (during: () => void): Promise<void> => {
    const before = sleeps;
    during();
    for (let turn = 0; sleeps === before && turn < 100_000; turn += 1) await new Promise(setImmediate);
  };
  t.after(() => end.abort());
  return {
    permit,
    seen,
    mark,
    setFence: (next: ControlFence) => void (fence = next),
    lease,
    checkedAfter,
    start: () =>
      checkedAfter(() => {
        done = lease.run(end.signal, () => undefined);
      }),
    advance: (ms: number) => clock.advance(ms),
    /** The interval of its checks. */
    pass: async (ms: number) => {
      for (let passed = 0; passed < ms; passed += LOOK_EVERY_MS)
        await checkedAfter(() => clock.advance(LOOK_EVERY_MS));
    },
    stop: async () => {
      end.abort();
      await done;
    },
    reason: () => permit.refusal?.reason,
  };
}
