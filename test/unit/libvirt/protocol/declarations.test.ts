import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as protocol from "../../../../agent/libvirt/protocol/index.ts";
import type { EventProcedure, Procedure, Program } from "../../../../agent/libvirt/rpc/procedure.ts";

/** Every procedure of libvirt 11.3 with its number, from its remote_protocol.x and qemu_protocol.x. */
const numbers = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../fixtures/libvirt-procedure-numbers.json"), "utf8"),
) as Record<Program, Record<string, number>>;

const exported = Object.entries(protocol);
const isProcedure = (value: object): value is Procedure<unknown, unknown> => "args" in value;
const isEvent = (value: object): value is EventProcedure<unknown> => "body" in value && "number" in value;
const procedures = exported.flatMap(([as, value]) => (isProcedure(value) ? [{ as, procedure: value }] : []));
const events = exported.flatMap(([as, value]) => (isEvent(value) ? [{ as, event: value }] : []));

const camelCase = (name: string): string =>
  name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

test("every procedure and event has the number libvirt gave its name", () => {
  assert.ok(procedures.length > 200 && events.length > 30);
  for (const { name, number, program } of [
    ...procedures.map((each) => each.procedure),
    ...events.map((each) => each.event),
  ]) {
    assert.equal(number, numbers[program][name], name);
  }
});

test("a procedure is exported under its own name, once", () => {
  for (const { as, procedure } of procedures) assert.equal(as, camelCase(procedure.name));
  const names = procedures.map(({ procedure }) => `${procedure.program} ${procedure.number}`);
  assert.equal(new Set(names).size, names.length);
});

test("what changes something is never taken for a read", () => {
  const changes =
    /_(SET|CREATE|DEFINE|UNDEFINE|DESTROY|DELETE|ATTACH|DETACH|UPDATE|REBOOT|RESET|SHUTDOWN|SUSPEND|RESUME|SAVE|RESTORE|RENAME|REVERT|ABORT|COMMIT|COPY|PULL|REBASE|RESIZE|WIPE|UPLOAD|BUILD|REFRESH|MIGRATE_(BEGIN|PREPARE|PERFORM|FINISH|CONFIRM|START)3?|PIN|ADD|DEL|BEGIN|ALLOC|FSFREEZE|FSTHAW|FSTRIM|COMMAND|INJECT|SEND|START|REGISTER|DEREGISTER)(_|$)/;
  const reads = /_(GET|LIST|LOOKUP|IS|HAS)_/;
  for (const { procedure } of procedures) {
    if (procedure.name.match(changes) && !procedure.name.match(reads)) {
      assert.equal(procedure.idempotent, false, procedure.name);
    }
    if (procedure.name.match(reads)) assert.equal(procedure.idempotent, true, procedure.name);
  }
});

test("each kind of object is asked of the daemon that keeps it", () => {
  const families: readonly [RegExp, string][] = [
    [/^(CONNECT_.*)?STORAGE_/, "storage"],
    [/^(CONNECT_(LIST_ALL_)?)?NETWORK/, "network"],
    [/^(CONNECT_LIST_ALL_)?NWFILTER/, "nwfilter"],
    [/^(CONNECT_(LIST_ALL_)?)?SECRET/, "secret"],
    [/^(CONNECT_LIST_ALL_)?INTERFACE/, "interface"],
    // Giving a device to a guest and taking it back is the hypervisor's business.
    [/^NODE_DEVICE_(DETACH|RE_ATTACH|RESET)/, "hypervisor"],
    [/^(CONNECT_(LIST_ALL_)?)?NODE_DEVICE/, "nodedev"],
  ];
  for (const { procedure } of procedures) {
    const [, family] = families.find(([pattern]) => pattern.test(procedure.name)) ?? [/./, "hypervisor"];
    assert.equal(procedure.family, family, procedure.name);
  }
});

test("the streams are known as such, with their direction", () => {
  const streams = procedures.flatMap(({ procedure }) =>
    procedure.stream === undefined ? [] : [[procedure.name, procedure.stream]],
  );
  assert.deepEqual(Object.fromEntries(streams), {
    DOMAIN_OPEN_CONSOLE: "both",
    DOMAIN_OPEN_CHANNEL: "both",
    STORAGE_VOL_UPLOAD: "write",
    STORAGE_VOL_DOWNLOAD: "read",
  });
});

test("flags together stay unsigned up to the highest bit", () => {
  const { NOWAIT, ENFORCE_STATS } = protocol.DomainStatsFlag;
  assert.equal(protocol.flags(NOWAIT, ENFORCE_STATS), 0xa0000000);
  assert.equal(protocol.flags(), 0);
});
