import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../../../faults/history/checker.ts";
import { HistoryBuilder, VM } from "../../../support/history/history-builder.ts";

const rulesOf = (history: HistoryBuilder): string[] => check(history.history).map(({ rule }) => rule);
const build = (): HistoryBuilder => new HistoryBuilder();

test("a tenant that reads or changes another's VM is a violation", () => {
  const scoped = { caller: "t", tenant: "a" } as const;
  assert.deepEqual(rulesOf(build().created().reads("running", 1, { tenant: "b" }, scoped)), [
    "tenants are isolated",
  ]);
  const history = build().accepted("c", "CreateVm").effect("define", { tenant: "b" }).ended("c", "CreateVm");
  assert.deepEqual(rulesOf(history.accepted("s", "StartVm", scoped).effect("start")), [
    "tenants are isolated",
  ]);
});

test("a tenant may change its VM until the final destroy is answered, and may retry after another VM was created", () => {
  const blues = (asksBeforeAnswer: boolean): string[] => {
    const history = build();
    const destroyed = (): unknown =>
      history.recorder.add({ event: "effect_end", effect: 99, outcome: "ok", changed: true });
    const starts = (): unknown => history.accepted("s", "StartVm", { caller: "t", tenant: "blue" });
    history.accepted("c", "CreateVm").effect("define", { tenant: "blue" }).effect("start");
    history.ended("c", "CreateVm").foreign("undefine").accepted("d", "DeleteVm");
    history.recorder.add({ event: "effect", effect: 99, call: "destroy", by: "agent", vm: VM });
    if (asksBeforeAnswer) starts();
    destroyed();
    if (!asksBeforeAnswer) starts();
    history.ended("d", "DeleteVm").accepted("e", "CreateVm").effect("define", { tenant: "red" });
    starts();
    return rulesOf(history);
  };
  assert.deepEqual(blues(true), []);
  assert.deepEqual(blues(false), ["tenants are isolated"]);
});
