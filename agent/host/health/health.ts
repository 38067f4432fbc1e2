import type { ConditionTable, Trigger, Verdicts } from "./conditions/condition.ts";
import type { HostConditions } from "./conditions/table.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Latch, LeftOn } from "../../state/records/health-record.ts";
import { effects, type Condition, type Effect, type HostHealth, type Truth } from "../host.ts";
import type { HostReadings, ReaderName } from "./readers/table.ts";
import { SeenHardware } from "./seen.ts";
import {
  absent,
  acknowledge,
  aged,
  canAcknowledge,
  heldState,
  initialState,
  step,
  type Flapping,
  type Moment,
  type TriggerState,
  type Verdict,
} from "./trigger.ts";

/** The subject of a trigger for the whole host. */
const WHOLE = "";
const MOST_EVIDENCE = 8;
/** The reason of a condition that is unknown because the agent may not read it: it has no effect. */
export const NOT_WATCHED = "NotWatched";
/** The same for hardware that this machine does not have. */
export const NOT_PRESENT = "NotPresent";

/** A trigger with the state of each of its subjects: a DIMM, a disk, a pool. */
interface HeldTrigger {
  readonly name: string;
  readonly rule: Trigger;
  states: Map<string, TriggerState>;
}

interface Held {
  readonly triggers: readonly HeldTrigger[];
  condition: Condition;
  isPublished: boolean;
}

interface HealthOptions<Rules extends ConditionTable> {
  readonly rules: Rules;
  readonly flapping: Flapping;
  readonly at: Moment;
  /**
   * Called after every change of a condition other than its evidence and probe times. `isFirst`: the first known state,
   * in this agent's life and from the one before.
   */
  readonly onChange: (condition: Condition, isFirst: boolean) => void;
  /** Called when the state to keep over a restart changes. */
  readonly onLatch?: () => void;
}

/** Inputs of the health answer beside the conditions. */
interface HealthFacts {
  readonly probing: boolean;
  readonly cordoned: boolean;
  readonly guests: Truth;
}

/** The host's conditions, updated by probes. */
export class Health<Rules extends ConditionTable = HostConditions> {
  readonly #options: HealthOptions<Rules>;
  readonly #held = new Map<string, Held>();
  /** Hardware seen since boot. */
  readonly seen = new SeenHardware();
  #bootId = "";
  /** The cached answer, until a condition changes. */
  #answered: { readonly facts: HealthFacts; readonly health: HostHealth } | undefined;

  constructor(options: HealthOptions<Rules>) {
    this.#options = options;
    for (const [type, rules] of Object.entries(options.rules)) {
      const triggers = Object.entries(rules).map(([name, rule]) => {
        return { name, rule, states: new Map([[WHOLE, initialState(rule, options.at)]]) };
      });
      const condition = compose(type, triggers, undefined, options.at);
      this.#held.set(type, { triggers, condition, isPublished: condition.status !== "unknown" });
    }
  }

  get conditions(): readonly Condition[] {
    return [...this.#held.values()].map(({ condition }) => condition);
  }

  /**
   * Applies one verdict for the whole host (or for all subjects of a trigger), or verdicts for all subjects by name. A
   * subject without a verdict was removed or replaced: it is dropped unless latched. If the subjects could not be listed,
   * one verdict applies to all.
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

  /** The subjects that a trigger is on for; also empty if it is on for the whole host. */
  subjectsOn<T extends keyof Rules & string>(type: T, trigger: keyof Rules[T] & string): ReadonlySet<string> {
    const { states } = this.#held.get(type)?.triggers.find(({ name }) => name === trigger) ?? {};
    const on = [...(states ?? [])].filter(([subject, { status }]) => status === "true" && subject !== WHOLE);
    return new Set(on.map(([subject]) => subject));
  }

  /** Updates all triggers that watch this reader with its newest reading. */
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

  /** Marks conditions without a recent probe as unknown. Call it periodically. */
  age(at: Moment): void {
    for (const type of this.#held.keys()) {
      this.#change(type, at, ({ triggers }) => {
        for (const { rule, states } of triggers)
          for (const [subject, state] of states) states.set(subject, aged(rule, state, at));
      });
    }
  }

  /**
   * Acknowledges a latched condition: it then leaves by its own rule, after a required reboot; a trigger with `endsOnAcknowledge`
   * ends at once. Throws `not_found` CONDITION_UNKNOWN and `conflict` CONDITION_NOT_LATCHED.
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
    if (!all.some(({ rule, states }) => [...states.values()].some((state) => canAcknowledge(rule, state)))) {
      const why = condition.acknowledged ? "acknowledged already and waits for a reboot" : "not held";
      throw new SocleError("conflict", "CONDITION_NOT_LATCHED", `condition ${type} is ${why}`);
    }
    this.#change(type, at, ({ triggers }) => {
      for (const { rule, states } of triggers)
        for (const [subject, state] of states)
          if (canAcknowledge(rule, state)) states.set(subject, acknowledge(rule, state));
    });
  }

  /** Latches, with the boot in which they were set: to be kept over restarts of the agent. */
  get latches(): readonly Latch[] {
    return this.#kept((_, { latch }) => latch);
  }

  /** Triggers that are on without a latch, until they leave by their rule: to be kept over restarts of the agent. */
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

  /** Restores state of an earlier agent; returns entries for which this version has no condition. */
  restore(all: readonly (Latch | LeftOn)[], bootId: string, at: Moment): readonly LeftOn[] {
    this.#bootId = bootId;
    return all.filter((kept) => {
      const held = this.#held.get(kept.condition);
      const found = held?.triggers.find(({ name }) => name === kept.trigger);
      if (held === undefined || found === undefined) return true;
      const isSameBoot = bootId !== "" && bootId === kept.bootId;
      const isLatched = "cause" in kept;
      if (!isLatched && !isSameBoot) return false;
      held.isPublished = true;
      // It was on before this agent started.
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
        const stayUntilMs = stays ? at.monotonicMs + looksBackMs : undefined;
        found.states.set(kept.subject, heldState(kept.evidence, defined({ latch, stayUntilMs }), at));
        if (kept.subject !== WHOLE) found.states.delete(WHOLE);
      });
      return false;
    });
  }

  /**
   * `alive`: never false from the agent itself; unknown when its own probes have stopped. `schedulable`: new VMs may be
   * placed here. `safeToFence`: cutting the power would lose no guest; the agent itself never requests a fence. The same
   * object until a change.
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
    const none: Verdict = absent("this host has none");
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
    const isFirst = !held.isPublished;
    held.isPublished = true;
    this.#options.onChange(held.condition, isFirst);
  }
}

/** The restored latch; after its required reboot, only an unacknowledged latch remains. */
function latchAfter({ cause, acknowledged }: Latch, isRebooted: boolean): TriggerState["latch"] {
  if (cause !== "reboot_and_acknowledge" || !isRebooted) return { cause, acknowledged };
  return acknowledged ? undefined : { cause: "acknowledge", acknowledged };
}

/** Whether the next agent must keep it on: a probe between thresholds changes nothing, and a report may not be repeated. */
const isLeftOn = (
  { watches, looksBackMs, offUntilReported }: Trigger,
  { status, latch }: TriggerState,
): boolean =>
  (watches !== undefined || looksBackMs !== undefined || offUntilReported === true) &&
  status === "true" &&
  latch === undefined;

/** The state kept over restarts, to detect changes. */
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
  // Absent subjects do not count; with no other subject, the condition is unknown.
  const well = inStatus("false").filter(({ state }) => state.isAbsent !== true);
  const status: Truth =
    on.length > 0 ? "true" : unknown.length > 0 || well.length === 0 ? "unknown" : "false";
  const effect = worst(on.map(({ rule }) => rule.effect));
  const reasons = {
    true: on.find(({ rule }) => rule.effect === effect)?.rule.reason ?? "",
    unknown: unknown.length === 0 ? NOT_PRESENT : isUnwatched ? NOT_WATCHED : "Unknown",
    false: "Healthy",
  };
  const shown = { true: on, unknown: unknown.length > 0 ? unknown : inStatus("false"), false: well };
  const latched = on.filter(({ state }) => state.latch !== undefined);
  const condition = {
    type,
    status,
    // Unknown is not healthy, but a condition that is deliberately not watched has no effect.
    effect: status === "unknown" && !isUnwatched ? ("degraded" as const) : effect,
    reason: reasons[status],
    evidence: joined(shown[status].map(({ state }) => state.evidence)),
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
  const distinct = [...new Set(evidence)];
  const more = distinct.length > MOST_EVIDENCE ? `; and ${distinct.length - MOST_EVIDENCE} more` : "";
  return distinct.slice(0, MOST_EVIDENCE).join("; ") + more;
}

function schedulable(
  all: readonly Held[],
  cordoned: boolean,
): Pick<HostHealth, "schedulable" | "blockingConditions"> {
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
    blockingConditions: [...new Set([...typesOf(forbidding), ...typesOf(open)])],
  };
}

/** Safe only if a complete VM listing shows no running guest. Guests keep running while libvirt is unreachable. */
function safeToFence(guests: Truth, libvirtUnresponsive: Truth | undefined): Truth {
  if (guests === "true") return "false";
  return guests === "false" && libvirtUnresponsive === "false" ? "true" : "unknown";
}

const worst = (found: readonly Effect[]): Effect =>
  effects[Math.max(0, ...found.map((effect) => effects.indexOf(effect)))] ?? "none";

/** Compares all but evidence and probe time. */
function sameCondition(a: Condition, b: Condition): boolean {
  const compared = ({ evidence: _, lastProbeMs: __, ...condition }: Condition): string =>
    JSON.stringify(condition);
  return compared(a) === compared(b);
}
