import type { ConditionTable, Trigger, Verdicts } from "./conditions/condition.ts";
import type { HostConditions } from "./conditions/table.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Latch, LeftOn } from "../../state/records/health-record.ts";
import type { Condition, Effect, HostHealth, Truth } from "../host.ts";
import type { HostReadings, ReaderName } from "./readers/table.ts";
import { Seen } from "./seen.ts";
import {
  acknowledge,
  aged,
  canBeSeen,
  heldState,
  initialState,
  step,
  type Flapping,
  type Moment,
  type TriggerState,
  type Verdict,
} from "./trigger.ts";

const effects: readonly Effect[] = ["none", "degraded", "no_schedule", "evacuate", "fence_requested"];
/** Of a trigger that is about the host as a whole. */
const WHOLE = "";
const MOST_EVIDENCE = 8;
/** The reason of a condition that is unknown because the agent may not look: it has no effect, and hides nothing. */
export const NOT_WATCHED = "NotWatched";
/** The same where this machine has nothing of the kind to look at. */
export const NOT_PRESENT = "NotPresent";

/** A trigger, and how it stands with each of its subjects: a DIMM, a disk, a pool. */
interface HeldTrigger {
  readonly name: string;
  readonly rule: Trigger;
  states: Map<string, TriggerState>;
}

interface Held {
  readonly triggers: readonly HeldTrigger[];
  condition: Condition;
  isTold: boolean;
}

export interface HealthOptions<Rules extends ConditionTable> {
  readonly rules: Rules;
  readonly flapping: Flapping;
  readonly at: Moment;
  /**
   * Told of every change of a condition other than its evidence and probe times. `isFirst`: before it nothing was known of
   * it, in this agent's life or from the one before.
   */
  readonly onChange: (condition: Condition, isFirst: boolean) => void;
  /** Told when there is something else to keep over a restart of the agent. */
  readonly onLatch?: () => void;
}

/** What an answer rests on beside the conditions. */
interface HealthFacts {
  readonly probing: boolean;
  readonly cordoned: boolean;
  readonly guests: Truth;
}

/** The host's conditions as they are, fed by probes. */
export class Health<Rules extends ConditionTable = HostConditions> {
  readonly #options: HealthOptions<Rules>;
  readonly #held = new Map<string, Held>();
  /** What its conditions remember of this machine. */
  readonly seen = new Seen();
  #bootId = "";
  /** The last answer, until a condition changes. */
  #answered: { readonly facts: HealthFacts; readonly health: HostHealth } | undefined;

  constructor(options: HealthOptions<Rules>) {
    this.#options = options;
    for (const [type, rules] of Object.entries(options.rules)) {
      const triggers = Object.entries(rules).map(([name, rule]) => {
        return { name, rule, states: new Map([[WHOLE, initialState(rule, options.at)]]) };
      });
      const condition = compose(type, triggers, undefined, options.at);
      this.#held.set(type, { triggers, condition, isTold: condition.status !== "unknown" });
    }
  }

  get conditions(): readonly Condition[] {
    return [...this.#held.values()].map(({ condition }) => condition);
  }

  /**
   * A verdict of the host as a whole; of a trigger with subjects, the same for each of them. Verdicts of all its subjects
   * there are, by name: one that is not among them any more was taken out or replaced, and nothing is wrong with it,
   * unless it is latched. Where the subjects could not be listed, one verdict says so of all.
   */
  observe<T extends keyof Rules & string>(
    type: T,
    trigger: keyof Rules[T] & string,
    found: Verdict | Verdicts,
    at: Moment,
  ): void {
    this.#change(type, at, ({ triggers }) => {
      for (const held of triggers) if (held.name === trigger) this.#step(held, found, at);
    });
  }

  /** What one of its triggers is on for; empty also where it is on for the host as a whole. */
  subjectsOn<T extends keyof Rules & string>(type: T, trigger: keyof Rules[T] & string): ReadonlySet<string> {
    const { states } = this.#held.get(type)?.triggers.find(({ name }) => name === trigger) ?? {};
    const on = [...(states ?? [])].filter(([subject, { status }]) => status === "true" && subject !== WHOLE);
    return new Set(on.map(([subject]) => subject));
  }

  /** Lets every trigger that watches this reader judge its newest look. */
  judge(reader: ReaderName, readings: HostReadings, at: Moment): void {
    if (readings.last(reader).kind === "read") this.seen.add("reader", reader);
    for (const [type, { triggers }] of this.#held) {
      for (const held of triggers) {
        const { watches } = held.rule;
        if (watches?.reader !== reader) continue;
        const found = watches.judge(readings, at, this.seen);
        this.#change(type, at, () => this.#step(held, found, at));
      }
    }
  }

  /** What was probed too long ago is unknown. To be called from time to time. */
  age(at: Moment): void {
    for (const type of this.#held.keys()) {
      this.#change(type, at, ({ triggers }) => {
        for (const { rule, states } of triggers)
          for (const [subject, state] of states) states.set(subject, aged(rule, state, at));
      });
    }
  }

  /**
   * An operator has seen why a condition is held: it then leaves by its own rule, after the reboot where it waits for
   * one; one that ends when it is seen is over. Throws `not_found` CONDITION_UNKNOWN and `conflict` CONDITION_NOT_LATCHED.
   */
  acknowledge(type: string, at: Moment): void {
    const held = this.#held.get(type);
    if (held === undefined) {
      const known = [...this.#held.keys()].join(", ");
      throw new SocleError(
        "not_found",
        "CONDITION_UNKNOWN",
        `there is no condition ${type}; there are ${known}`,
      );
    }
    const { condition, triggers: all } = held;
    if (!all.some(({ rule, states }) => [...states.values()].some((state) => canBeSeen(rule, state)))) {
      const why = condition.acknowledged ? "acknowledged already and waits for a reboot" : "not held";
      throw new SocleError("conflict", "CONDITION_NOT_LATCHED", `condition ${type} is ${why}`);
    }
    this.#change(type, at, ({ triggers }) => {
      for (const { rule, states } of triggers)
        for (const [subject, state] of states)
          if (canBeSeen(rule, state)) states.set(subject, acknowledge(rule, state));
    });
  }

  /** What is held, with the boot that it came in: to be kept over restarts of the agent. */
  get latches(): readonly Latch[] {
    return this.#kept((_, { latch }) => latch);
  }

  /** What is on without being held, and stays on until it leaves by its rule: to be kept over restarts of the agent. */
  get leftOn(): readonly LeftOn[] {
    return this.#kept((rule, state) => (isLeftOn(rule, state) ? {} : undefined));
  }

  #kept<T>(of: (rule: Trigger, state: TriggerState) => T | undefined): (LeftOn & T)[] {
    return [...this.#held].flatMap(
      ([
        condition,
        {
          triggers,
          condition: { sinceMs },
        },
      ]) =>
        triggers.flatMap(({ name: trigger, rule, states }) =>
          [...states].flatMap(([subject, state]): (LeftOn & T)[] => {
            const more = of(rule, state);
            if (more === undefined) return [];
            const { cause: evidence = state.evidence } = state;
            return [{ condition, trigger, subject, evidence, sinceMs, bootId: this.#bootId, ...more }];
          }),
        ),
    );
  }

  /** What an earlier agent held or left on; answers with those that this version has no condition for. */
  restore(all: readonly (Latch | LeftOn)[], bootId: string, at: Moment): readonly LeftOn[] {
    this.#bootId = bootId;
    return all.filter((kept) => {
      const held = this.#held.get(kept.condition);
      const found = held?.triggers.find(({ name }) => name === kept.trigger);
      if (held === undefined || found === undefined) return true;
      const isSameBoot = bootId !== "" && bootId === kept.bootId;
      const isLatched = "cause" in kept;
      if (!isLatched && !isSameBoot) return false;
      held.isTold = true;
      // Since when it is on, it was on before this agent came.
      held.condition = {
        ...held.condition,
        sinceMs: kept.sinceMs,
        status: "true",
        effect: found.rule.effect,
      };
      this.#change(kept.condition, at, () => {
        const isRebooted = bootId !== "" && kept.bootId !== "" && !isSameBoot;
        const latch = isLatched ? latchAfter(kept, isRebooted) : undefined;
        const { looksBackMs } = found.rule;
        const stays = isSameBoot && looksBackMs !== undefined;
        const state = heldState(
          kept.evidence,
          { ...(latch && { latch }), ...(stays && { stayUntilMs: at.monotonicMs + looksBackMs }) },
          at,
        );
        found.states.set(kept.subject, state);
        if (kept.subject !== WHOLE) found.states.delete(WHOLE);
      });
      return false;
    });
  }

  /**
   * `alive`: false is never said by the agent itself; unknown when its own probes have stopped. `schedulable`: may new
   * VMs be put here. `safeToFence`: would cutting the power lose no guest; the agent answers when asked, it never asks
   * for a fence. The same object until something in it changes.
   */
  answer(facts: HealthFacts): HostHealth {
    const { facts: before, health } = this.#answered ?? {};
    const { probing, cordoned, guests } = facts;
    const isSame = before?.probing === probing && before.cordoned === cordoned && before.guests === guests;
    if (isSame && health !== undefined) return health;
    this.#answered = { facts, health: this.#answerOf(facts) };
    return this.#answered.health;
  }

  #answerOf(facts: HealthFacts): HostHealth {
    const all = [...this.#held.values()];
    const state = worst(all.map(({ condition }) => condition.effect));
    return {
      state,
      conditions: all.map(({ condition }) => condition),
      alive: facts.probing ? "true" : "unknown",
      ...schedulable(all, facts.cordoned),
      safeToFence: safeToFence(facts.guests, this.#held.get("LibvirtUnresponsive")?.condition.status),
    };
  }

  #step(held: HeldTrigger, found: Verdict | Verdicts, at: Moment): void {
    const { rule, states } = held;
    const next = ([subject, verdict]: readonly [string, Verdict]): [string, TriggerState] => {
      const state = states.get(subject) ?? initialState(rule, at);
      return [subject, step(rule, state, verdict, at, this.#options.flapping)];
    };
    if ("kind" in found) {
      held.states = new Map([...states.keys()].map((subject) => next([subject, found])));
      return;
    }
    const none: Verdict = { kind: "absent", evidence: "this host has none" };
    const subjects = found.size > 0 ? found : new Map([[WHOLE, none]]);
    const stays = [...states].filter(([subject, { latch }]) => latch !== undefined && !subjects.has(subject));
    held.states = new Map([...[...subjects].map(next), ...stays]);
  }

  #change(type: string, at: Moment, change: (held: Held) => void): void {
    const held = this.#held.get(type);
    if (held === undefined) return;
    const { condition: before } = held;
    const keptBefore = keptOf(held.triggers);
    change(held);
    held.condition = compose(type, held.triggers, before, at);
    this.#answered = undefined;
    if (keptOf(held.triggers) !== keptBefore) this.#options.onLatch?.();
    if (sameCondition(before, held.condition)) return;
    const isFirst = !held.isTold;
    held.isTold = true;
    this.#options.onChange(held.condition, isFirst);
  }
}

/** What still holds a latch that was kept; after the reboot that it waited for, only what is not acknowledged. */
function latchAfter({ cause, acknowledged }: Latch, isRebooted: boolean): TriggerState["latch"] {
  if (cause !== "reboot_and_acknowledge" || !isRebooted) return { cause, acknowledged };
  return acknowledged ? undefined : { cause: "acknowledge", acknowledged };
}

/** Between its thresholds it is as it was, and leaving takes its time, whoever looks; what was reported may not be again. */
const isLeftOn = (
  { watches, looksBackMs, offUntilReported }: Trigger,
  { status, latch }: TriggerState,
): boolean =>
  (watches !== undefined || looksBackMs !== undefined || offUntilReported === true) &&
  status === "true" &&
  latch === undefined;

/** What is kept over restarts, to see whether it changed. */
function keptOf(triggers: readonly HeldTrigger[]): string {
  const kept = triggers.flatMap(({ name, rule, states }) =>
    [...states].flatMap(([subject, state]) =>
      state.latch !== undefined || isLeftOn(rule, state) ? [[name, subject, state.latch]] : [],
    ),
  );
  return JSON.stringify(kept);
}

function compose(
  type: string,
  triggers: readonly HeldTrigger[],
  before: Condition | undefined,
  at: Moment,
): Condition {
  const all = triggers.flatMap(({ rule, states }) =>
    [...states].map(([subject, state]) => ({ rule, subject, state })),
  );
  const inStatus = (status: Truth) => all.filter(({ state }) => state.status === status);
  const on = inStatus("true");
  const unknown = inStatus("unknown");
  const isUnwatched = unknown.every(({ state }) => state.isUnwatched === true);
  // What is not there says nothing; where there is nothing at all, nobody has seen that anything is well.
  const well = inStatus("false").filter(({ state }) => state.isAbsent !== true);
  const status: Truth =
    on.length > 0 ? "true" : unknown.length > 0 || well.length === 0 ? "unknown" : "false";
  const effect = worst(on.map(({ rule }) => rule.effect));
  const reasons = {
    true: on.find(({ rule }) => rule.effect === effect)?.rule.reason ?? "",
    unknown: unknown.length === 0 ? NOT_PRESENT : isUnwatched ? NOT_WATCHED : "Unknown",
    false: "Healthy",
  };
  const told = { true: on, unknown: unknown.length > 0 ? unknown : inStatus("false"), false: well };
  const latched = on.filter(({ state }) => state.latch !== undefined);
  const condition = {
    type,
    status,
    // Unknown is not healthy; but what nobody is to watch says nothing against the host.
    effect: status === "unknown" && !isUnwatched ? ("degraded" as const) : effect,
    reason: reasons[status],
    evidence: joined(told[status].map(({ state }) => state.evidence)),
    subjects: [...new Set(on.map(({ subject }) => subject))].filter((subject) => subject !== WHOLE).sort(),
    lastProbeMs: Math.max(...all.map(({ state }) => state.lastProbe.wallMs)),
    latched: latched.length > 0,
    acknowledged: latched.length > 0 && latched.every(({ state }) => state.latch?.acknowledged === true),
    untilReboot: latched.some(({ state }) => state.latch?.cause === "reboot_and_acknowledge"),
  };
  const sameStatus = before !== undefined && before.status === status && before.effect === condition.effect;
  return { ...condition, sinceMs: sameStatus ? before.sinceMs : at.wallMs };
}

function joined(evidence: readonly string[]): string {
  const told = [...new Set(evidence)];
  const more = told.length > MOST_EVIDENCE ? `; and ${told.length - MOST_EVIDENCE} more` : "";
  return told.slice(0, MOST_EVIDENCE).join("; ") + more;
}

function schedulable(
  all: readonly Held[],
  cordoned: boolean,
): Pick<HostHealth, "schedulable" | "notSchedulableBy"> {
  const forbids = (effect: Effect): boolean => effects.indexOf(effect) >= effects.indexOf("no_schedule");
  const forbidding = all.filter(({ condition }) => forbids(condition.effect));
  const open = all.filter(({ triggers }) =>
    triggers.some(
      ({ rule, states }) =>
        forbids(rule.effect) &&
        [...states.values()].some(({ status, isUnwatched }) => status === "unknown" && isUnwatched !== true),
    ),
  );
  const typesOf = (held: readonly Held[]): string[] => held.map(({ condition }) => condition.type).sort();
  return {
    schedulable: cordoned || forbidding.length > 0 ? "false" : open.length > 0 ? "unknown" : "true",
    notSchedulableBy: [...new Set([...typesOf(forbidding), ...typesOf(open)])],
  };
}

/** Only a complete look at libvirt that shows no guest makes it safe. Guests live on while libvirt is away. */
function safeToFence(guests: Truth, libvirtUnresponsive: Truth | undefined): Truth {
  if (guests === "true") return "false";
  return guests === "false" && libvirtUnresponsive === "false" ? "true" : "unknown";
}

function worst(found: readonly Effect[]): Effect {
  return effects[Math.max(0, ...found.map((effect) => effects.indexOf(effect)))] ?? "none";
}

/** All but its evidence and when it was probed. */
function sameCondition(a: Condition, b: Condition): boolean {
  const told = ({ evidence: _, lastProbeMs: __, ...condition }: Condition): string =>
    JSON.stringify(condition);
  return told(a) === told(b);
}
