import type { Clock } from "../../../agent/kernel/clock.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import type { Procedure } from "../../../agent/libvirt/index.ts";
import type { DomainCalls } from "../../../agent/vm/hypervisor/domains.ts";

/** A clock whose time passes only in sleeps. */
export function sleepingClock(): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      return Promise.resolve();
    },
  };
}

/** A libvirt without streams and events, beside its calls. */
export const silent = (): Pick<DomainCalls, "openStream" | "events"> => ({
  openStream: () => Promise.reject(new Error("no streams here")),
  events: new Topic(),
});

/** A libvirt that gives these answers, by procedure, one after the other (the last one repeatedly). */
export function answering(answers: Readonly<Record<string, readonly unknown[]>>): {
  calls: DomainCalls;
  called: string[];
} {
  const called: string[] = [];
  // The query of libvirt's queue position: any answer will do.
  const all = {
    DOMAIN_GET_METADATA: [new SocleError("not_found", "LIBVIRT_NO_DOMAIN", "no domain")],
    ...answers,
  };
  const left = new Map(Object.entries(all).map(([name, list]) => [name, [...list]]));
  const call = <A, R>(procedure: Procedure<A, R>): Promise<R> => {
    called.push(procedure.name);
    const list = left.get(procedure.name) ?? [];
    const answer = list.length > 1 ? list.shift() : list[0];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as R);
  };
  return { calls: { call, ...silent() }, called };
}
