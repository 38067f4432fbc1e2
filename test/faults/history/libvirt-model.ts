import { readFileSync } from "node:fs";
import type { PendingCall } from "../../../agent/libvirt/rpc/call.ts";
import { unanswered, unreachable } from "../../../agent/libvirt/rpc/errors.ts";
import {
  DomainState,
  DomainStateReason,
  domainSetMetadata,
  domainSetVcpusFlags,
  domainSetMemoryFlags,
  storageVolDownload,
  type LibvirtEvent,
  type Procedure,
  type StorageVol,
} from "../../../agent/libvirt/index.ts";
import type { WorldDomain } from "./history.ts";
import type { CallPlan, EffectOutcome, ModelClock, ModelHostOptions } from "./model/call-plan.ts";
import { asDecoded, entryOf, errorOf, isPriority } from "./model/calls.ts";
import { ModelLibvirt, type Daemon, type ModelLibvirtOptions } from "./model/client.ts";
import { ended, isActive } from "./model/guest-run.ts";
import { forgetEphemeralSecrets } from "./model/objects.ts";
import { effectFacts, worldDomain } from "./model/observed.ts";
import { cancelSave } from "./model/saves.ts";
import { downloadOf } from "./model/storage.ts";
import { ModelStream } from "./model/stream.ts";
import {
  Refusal,
  World,
  type Entry,
  type HostFacts,
  type ModelDomain,
  type ModelPool,
  type Subject,
} from "./model/world.ts";

export type { CallPlan, ModelCall, ModelHostOptions } from "./model/call-plan.ts";
export { modelledProcedures } from "./model/calls.ts";
export { ModelLibvirt } from "./model/client.ts";
export type { ModelDomain, ModelPool, ModelVolume } from "./model/world.ts";

const fixtures = new Map<string, string>();

/** Read once, since every history has its own host. */
function fixture(name: string): string {
  const text =
    fixtures.get(name) ?? readFileSync(new URL(`../../fixtures/xml/${name}`, import.meta.url), "utf8");
  fixtures.set(name, text);
  return text;
}

/**
 * A model of a host with libvirt, which survives the agent. Deterministic; time comes only from the clock.
 * test/integration/libvirt-model.test.ts compares its replies with a real libvirtd's.
 */
export class ModelHost implements Daemon {
  readonly clock: ModelClock;
  readonly world: World;
  readonly #options: ModelHostOptions;
  readonly #clients = new Set<ModelLibvirt>();
  readonly #locks = new Map<string, Promise<void>>();
  /** Counts the daemons: calls of an earlier one are lost. */
  #daemon = 1;
  #isUp = true;
  /** Domains whose QEMU died while there was no daemon. */
  readonly #crashed = new Set<ModelDomain>();
  #wake: (() => void)[] = [];
  #takenUp: Promise<void> = Promise.resolve();
  #eventsSent: Promise<void> = Promise.resolve();

  constructor(options: ModelHostOptions) {
    this.#options = options;
    this.clock = options.clock;
    const facts: HostFacts = {
      libVersion: 11_003_000,
      hypervisorVersion: 10_000_000,
      capabilities: options.facts?.capabilities ?? fixture("capabilities.xml"),
      domainCapabilities: options.facts?.domainCapabilities ?? fixture("domain-capabilities.xml"),
      memoryBytes: 64 * 2 ** 30,
      ...options.facts,
    };
    this.world = new World(facts, (event) => this.#send(event));
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get versions(): { libVersion: number; hypervisorVersion: number } {
    const { libVersion, hypervisorVersion } = this.world.facts;
    return { libVersion, hypervisorVersion };
  }

  /** A client like `Libvirt`, run as a service or with `connect()`. */
  connect(options: ModelLibvirtOptions = { by: "agent" }): ModelLibvirt {
    return new ModelLibvirt(this, options);
  }

  addPool(pool: Pick<ModelPool, "name"> & Partial<ModelPool>): ModelPool {
    const { name } = pool;
    const added: ModelPool = {
      uuid: `00000000-0000-4000-8000-${String(this.world.number()).padStart(12, "0")}`,
      type: "logical",
      path: `/var/lib/model/${name}`,
      active: true,
      autostart: true,
      capacityBytes: 2 ** 40,
      volumes: new Map(),
      ...pool,
    };
    this.world.pools.set(name, added);
    return added;
  }

  addNetwork(name: string, active = true): void {
    const uuid = `00000000-0000-4000-8000-${String(this.world.number()).padStart(12, "0")}`;
    this.world.networks.set(name, { name, uuid, bridge: `virbr-${name}`, active });
  }

  /** Every connection breaks; the daemon executes the calls that it has. */
  disconnect(): void {
    for (const client of [...this.#clients]) client.drop();
  }

  /** The daemon dies: pending calls and secrets in memory are lost. Guests run on. */
  crashDaemon(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#daemon += 1;
    this.#takenUp = Promise.resolve();
    this.#locks.clear();
    this.disconnect();
    forgetEphemeralSecrets(this.world);
  }

  /** The new daemon ends guests whose start was incomplete, and does not know why another guest is off. */
  startDaemon(): void {
    if (this.#isUp) return;
    for (const domain of this.world.domains.values()) {
      cancelSave(domain);
      if (!isActive(domain)) domain.reason = DomainStateReason.SHUTOFF.UNKNOWN;
      // libvirt gives no reason for a QEMU whose monitor its predecessor had not reached.
      if (domain.isStarting) ended(this.world, domain, domain.starts % 2 === 0 ? "UNKNOWN" : "DAEMON");
    }
    for (const domain of this.#crashed) if (isActive(domain)) ended(this.world, domain, "CRASHED");
    this.#crashed.clear();
    this.#isUp = true;
    for (const wake of this.#wake.splice(0)) wake();
  }

  async untilUp(signal: AbortSignal): Promise<void> {
    while (!this.#isUp && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  attach(client: ModelLibvirt): void {
    this.#clients.add(client);
  }

  detach(client: ModelLibvirt): void {
    this.#clients.delete(client);
  }

  /** Like virsh beside the agent: at once, without a plan. Throws libvirt's errors. */
  foreign<A, R>(procedure: Procedure<A, R>, args: A): R {
    const entry = entryOf(procedure);
    const end = this.#record(entry, args, entry.effect?.of(args), { by: "foreign" });
    try {
      entry.begin?.(this.world, args);
      const result = entry.answer(this.world, args);
      end?.({ outcome: "ok", changed: true });
      return result as R;
    } catch (thrown) {
      const error = errorOf(thrown, procedure.name);
      end?.({ outcome: "error", changed: false, error: error.reason });
      throw error;
    }
  }

  /** The guest ends by itself: on request, or because its work is done. False: it does not run. */
  guestShutsDown(uuid: string): boolean {
    const domain = this.world.domains.get(uuid);
    if (domain?.state !== DomainState.RUNNING) return false;
    this.world.emit(domain, { kind: "lifecycle", event: "shutdown", detail: "guest" });
    ended(this.world, domain, "SHUTDOWN");
    return true;
  }

  /** QEMU dies. A stopped daemon detects that when it is back. */
  guestCrashes(uuid: string): boolean {
    const domain = this.world.domains.get(uuid);
    if (domain === undefined || !isActive(domain)) return false;
    if (this.#isUp) ended(this.world, domain, "CRASHED");
    else this.#crashed.add(domain);
    return true;
  }

  setVcpus(uuid: string, nvcpus: number, flags = 0): void {
    this.foreign(domainSetVcpusFlags, { dom: { name: "", uuid, id: -1 }, nvcpus, flags });
  }

  setMemory(uuid: string, bytes: number, flags = 0): void {
    this.foreign(domainSetMemoryFlags, { dom: { name: "", uuid, id: -1 }, memory: bytes / 1024, flags });
  }

  setMetadata(uuid: string, metadata: string | null, flags = 0, uri = "urn:socle:vm:1", key = "socle"): void {
    this.foreign(domainSetMetadata, { dom: { name: "", uuid, id: -1 }, type: 2, metadata, key, uri, flags });
  }

  /** libvirt's objects, for the `world` event of a history. */
  get domains(): readonly WorldDomain[] {
    return [...this.world.domains.values()].map((domain) => worldDomain(this.world, domain));
  }

  /** `pool/name`, sorted. */
  get volumes(): readonly string[] {
    return [...this.world.pools.values()]
      .flatMap((pool) => [...pool.volumes.keys()].map((name) => `${pool.name}/${name}`))
      .sort();
  }

  async serve(client: ModelLibvirt, call: PendingCall, args: unknown): Promise<void> {
    const { procedure } = call;
    const entry = entryOf(procedure);
    await this.#carryOut(client, entry, args, {
      answered: (result) => client.settled(call, () => call.succeed(asDecoded(procedure, result))),
      refused: (thrown) => client.settled(call, () => call.fail(errorOf(thrown, procedure.name))),
    });
  }

  async open(
    client: ModelLibvirt,
    procedure: Procedure<unknown, unknown>,
    args: unknown,
  ): Promise<ModelStream> {
    const entry = entryOf(procedure);
    const { vol } = args as { vol: StorageVol };
    const run = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const unlessDead = (settle: () => void): void => {
          if (!client.isDead) settle();
        };
        const why = unreachable("DISCONNECTED", "libvirt closed the connection");
        void this.#carryOut(client, entry, args, {
          answered: () => unlessDead(resolve),
          refused: (thrown) => unlessDead(() => reject(errorOf(thrown, procedure.name))),
          lost: () => unlessDead(() => reject(unanswered(procedure, true, why))),
        });
      });
    if (procedure.name === storageVolDownload.name) {
      await run();
      return new ModelStream(downloadOf(this.world, vol));
    }
    try {
      downloadOf(this.world, vol);
    } catch (thrown) {
      throw errorOf(thrown, procedure.name);
    }
    return new ModelStream(Buffer.alloc(0), run);
  }

  async #carryOut(client: ModelLibvirt, entry: Entry, args: unknown, to: Recipient): Promise<void> {
    const daemon = this.#daemon;
    const isGone = (): boolean => this.#daemon !== daemon;
    const subject = entry.effect?.of(args);
    const plan = this.#planOf(client, entry, args, subject);
    if (plan.lose === "request") {
      if (plan.silently !== true) client.drop();
      to.lost?.();
      return;
    }
    await this.#takeUp(entry, plan);
    const key = subject?.vm ?? subject?.volume;
    const release = key === undefined ? undefined : await this.#lock(key);
    try {
      if (isGone()) return to.lost?.();
      if (plan.crash === "before") {
        this.crashDaemon();
        return to.lost?.();
      }
      const end = this.#record(entry, args, subject, client.options);
      const result = await this.#perform(entry, args, plan, isGone);
      const isLost = isGone() || plan.lose === "answer" || plan.crash === "after" || client.isDead;
      const changed = "value" in result;
      end?.({
        outcome: isLost ? "lost" : changed ? "ok" : "error",
        changed,
        ...("thrown" in result ? { error: errorOf(result.thrown, entry.procedure.name).reason } : {}),
      });
      if (plan.crash === "after") this.crashDaemon();
      if (isGone() || plan.lose === "answer") {
        if (plan.lose === "answer" && plan.silently !== true) client.drop();
        to.lost?.();
      } else if (plan.answerMs === undefined) answer(to, result);
      else void this.clock.sleep(plan.answerMs).then(() => answer(to, result));
    } finally {
      release?.();
    }
  }

  async #perform(
    entry: Entry,
    args: unknown,
    { refuse, workMs = 0 }: CallPlan,
    isGone: () => boolean,
  ): Promise<{ value: unknown } | { thrown: unknown }> {
    try {
      if (refuse === undefined) entry.begin?.(this.world, args);
      if (workMs > 0) await this.clock.sleep(workMs);
      if (isGone()) throw new Refusal(1, "the daemon has ended");
      if (refuse !== undefined) throw new Refusal(refuse.code, refuse.message, refuse.errno);
      return { value: entry.answer(this.world, args) };
    } catch (thrown) {
      return { thrown };
    }
  }

  #planOf(
    { options: { by, agentRun } }: ModelLibvirt,
    { procedure }: Entry,
    args: unknown,
    subject: Subject | undefined,
  ): CallPlan {
    return (
      this.#options.plan?.({
        procedure: procedure.name,
        changes: !procedure.onlyReads,
        by,
        ...(agentRun === undefined ? {} : { agentRun }),
        ...subject,
        args,
      }) ?? {}
    );
  }

  /** Ordinary calls start in the order of their arrival. */
  async #takeUp(entry: Entry, { queueMs = 0 }: CallPlan): Promise<void> {
    if (isPriority(entry)) {
      if (queueMs > 0) await this.clock.sleep(queueMs);
      return;
    }
    const before = this.#takenUp;
    const own = queueMs > 0 ? this.clock.sleep(queueMs) : Promise.resolve();
    this.#takenUp = Promise.all([before, own]).then(() => undefined);
    await this.#takenUp;
  }

  async #lock(key: string): Promise<() => void> {
    const before = this.#locks.get(key) ?? Promise.resolve();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#locks.set(
      key,
      before.then(() => held),
    );
    await before;
    return release;
  }

  #record(
    entry: Entry,
    args: unknown,
    subject: Subject | undefined,
    by: ModelLibvirtOptions,
  ): ((outcome: EffectOutcome) => void) | undefined {
    const facts = effectFacts(this.world, entry, args, subject, by);
    return facts && this.#options.onEffect?.(facts);
  }

  #send(event: LibvirtEvent): void {
    if (!this.#isUp) return;
    const delayMs = this.#options.eventDelayMs?.() ?? 0;
    const targets = [...this.#clients];
    const deliver = (): void => {
      for (const client of targets) if (this.#clients.has(client)) client.deliver(event);
    };
    if (delayMs <= 0 && this.#options.eventDelayMs === undefined) deliver();
    else {
      const before = this.#eventsSent;
      this.#eventsSent = Promise.all([before, this.clock.sleep(delayMs)]).then(deliver);
    }
  }
}

interface Recipient {
  answered(result: unknown): void;
  refused(thrown: unknown): void;
  lost?(): void;
}

function answer(to: Recipient, result: { value: unknown } | { thrown: unknown }): void {
  if ("value" in result) to.answered(result.value);
  else to.refused(result.thrown);
}
