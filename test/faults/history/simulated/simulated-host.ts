import * as libvirt from "../../../../agent/libvirt/index.ts";
import type { EffectBegin, EffectCall, Recorder } from "../history.ts";
import { ModelHost, type CallPlan, type ModelCall } from "../libvirt-model.ts";
import { guestReleases } from "../model/devices.ts";
import type { Chance } from "./chance.ts";
import { bootVolume, NETWORK, vmId, type FaultAction, type ForeignAction } from "./schedule.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** libvirt's error without its secret daemon. */
const noSecrets: CallPlan = {
  refuse: {
    code: 38,
    errno: 2,
    message: "Failed to connect socket to '/var/run/libvirt/virtsecretd-sock': No such file or directory",
  },
};

const CHANGE = "any change";

interface Loss {
  readonly silently: boolean;
}

/** A guest's maximum time to shut down on request. */
const SHUTDOWN_WITHIN_MS = 8000;

/** The host's libvirt, its guests, and users of virsh beside the agent. Every change is recorded. */
export class SimulatedHost {
  readonly model: ModelHost;
  /** Only libvirt's secret driver does not answer, or returns errors. */
  secretsTrouble: "secrets_down" | "secrets_refused" | undefined;
  /** Lost replies by procedure (or `CHANGE`): the next reply to the agent is dropped. */
  #losses = new Map<string, Loss>();
  readonly #time: VirtualTime;
  readonly #chance: Chance;
  readonly #recorder: Recorder;
  readonly #onAgentEffect: (call: EffectCall) => void;
  #effects = 0;

  /** `onAgentEffect`: called after an effect and before the agent's reply. */
  constructor(
    time: VirtualTime,
    chance: Chance,
    recorder: Recorder,
    onAgentEffect: (call: EffectCall) => void,
  ) {
    this.#time = time;
    this.#chance = chance;
    this.#recorder = recorder;
    this.#onAgentEffect = onAgentEffect;
    this.model = new ModelHost({
      clock: time.worldClock,
      plan: (call) => this.#plan(call),
      onEffect: (facts) => {
        // The agent's lease changes no VM, and no guest of a schedule has a secret.
        if (facts.call === "secret_define" || facts.call === "secret_undefine") return () => undefined;
        const effect = (this.#effects += 1);
        recorder.add({ event: "effect", effect, ...facts });
        return (outcome) => {
          recorder.add({ event: "effect_end", effect, ...outcome });
          if (facts.call === "detach_device" && outcome.changed) this.#releaseLater(facts);
          if (facts.call === "shutdown" && outcome.changed) this.#shutDownLater(facts.vm ?? "");
          if (facts.by === "agent") this.#onAgentEffect(facts.call);
        };
      },
      eventDelayMs: () => this.#chance.number() * 5,
    });
    this.model.addNetwork(NETWORK);
    const { path, volumes } = this.model.addPool({ name: bootVolume.pool });
    const name = bootVolume.volume;
    const bytes = { capacityBytes: 4096, allocationBytes: 4096 };
    volumes.set(name, { name, path: `${path}/${name}`, format: "raw", mark: name, ...bytes });
  }

  /** Drops the next reply of this kind to the agent. */
  lose({ of = CHANGE, silently = false }: Pick<FaultAction, "of" | "silently">): void {
    this.#losses.set(of, { silently });
  }

  loseNothing(): void {
    this.#losses.clear();
  }

  /** A power cut ends the guests; libvirt runs again after it. */
  losePower(): void {
    for (const { vm } of this.model.domains) this.#guestEnds(vm, () => this.model.guestCrashes(vm));
    this.model.crashDaemon();
    this.model.startDaemon();
  }

  /** libvirt ends; `withGuests`: the guests end during the outage. */
  loseDaemon({ withGuests = false }: Pick<FaultAction, "withGuests">): void {
    this.model.crashDaemon();
    if (!withGuests) return;
    for (const { vm } of this.model.domains) this.#guestEnds(vm, () => this.model.guestCrashes(vm));
  }

  foreign({ act, vm }: ForeignAction): void {
    const { model } = this;
    const uuid = vmId(vm);
    const domain = model.world.domains.get(uuid);
    // libvirt makes it wait for a running start.
    if (!model.isUp || domain === undefined || domain.isStarting) return;
    const isSaving =
      domain.saved?.isWhole === false && domain.reason === libvirt.DomainStateReason.PAUSED.SAVE;
    if (isSaving && act !== "destroy" && act !== "guest_stopped") return;
    const dom = { name: "", uuid, id: -1 };
    try {
      switch (act) {
        case "start":
          model.foreign(libvirt.domainCreateWithFlags, { dom, flags: 0 });
          return;
        case "destroy":
          model.foreign(libvirt.domainDestroyFlags, { dom, flags: 0 });
          return;
        case "suspend":
          model.foreign(libvirt.domainSuspend, { dom });
          return;
        case "resume":
          model.foreign(libvirt.domainResume, { dom });
          return;
        case "undefine":
          model.foreign(libvirt.domainUndefineFlags, { dom, flags: 0 });
          return;
        case "save":
          model.foreign(libvirt.domainManagedSave, { dom, flags: 0 });
          return;
        case "save_remove":
          model.foreign(libvirt.domainManagedSaveRemove, { dom, flags: 0 });
          return;
        case "guest_stopped":
          this.#guestEnds(uuid, () => model.guestShutsDown(uuid));
      }
    } catch {
      // libvirt refuses it, as for virsh.
    }
  }

  #shutDownLater(vm: string): void {
    if (!this.#chance.is(0.6)) return;
    const end = (): void => this.#guestEnds(vm, () => this.model.guestShutsDown(vm));
    this.#time.set(this.#chance.number() * SHUTDOWN_WITHIN_MS, end, "world");
  }

  /** Most guests release a device soon, some later than the agent waits, some never. */
  #releaseLater({ vm = "", device = "" }: Pick<EffectBegin, "vm" | "device">): void {
    const [alias = "", places = ""] = device.split(" in ");
    if (!places.includes("guest") || this.#chance.is(0.1)) return;
    const ms = this.#chance.is(0.8) ? this.#chance.number() * 200 : this.#chance.number() * 25_000;
    this.#time.set(ms, () => guestReleases(this.model.world, vm, alias), "world");
  }

  #guestEnds(vm: string, end: () => boolean): void {
    if (!this.model.domains.some((domain) => domain.vm === vm && domain.state !== "shutoff")) return;
    const effect = (this.#effects += 1);
    this.#recorder.add({ event: "effect", effect, call: "guest_stopped", by: "foreign", vm });
    const changed = end();
    this.#recorder.add({ event: "effect_end", effect, outcome: changed ? "ok" : "error", changed });
  }

  #plan({ by, changes, procedure }: ModelCall): CallPlan {
    if (by !== "agent") return {};
    const chance = this.#chance;
    if (this.secretsTrouble !== undefined && procedure.startsWith("SECRET_"))
      return this.secretsTrouble === "secrets_down" ? { lose: "request", silently: true } : noSecrets;
    const loss =
      this.#lossOf(procedure, procedure) ?? (changes ? this.#lossOf(CHANGE, procedure) : undefined);
    if (!changes && loss !== undefined) return { lose: "answer", ...loss };
    if (!changes)
      return chance.is(0.7) ? {} : { queueMs: chance.number() * 3, answerMs: chance.number() * 8 };
    const isSlow =
      procedure.startsWith("DOMAIN_CREATE") ||
      procedure.startsWith("DOMAIN_DESTROY") ||
      procedure === "DOMAIN_MANAGED_SAVE";
    const workMs = chance.number() * (isSlow ? 1500 : 30);
    if (loss !== undefined) return { workMs, lose: chance.is(0.8) ? "answer" : "request", ...loss };
    if (chance.is(0.01)) return { workMs, refuse: { code: 1, message: "internal error: the model refuses" } };
    return { queueMs: chance.number() * 5, workMs };
  }

  #lossOf(what: string, procedure: string): Loss | undefined {
    const loss = this.#losses.get(what);
    if (loss === undefined) return undefined;
    this.#losses.delete(what);
    this.#recorder.add({ event: "fault", fault: "answer_lost", detail: procedure });
    return loss;
  }
}
