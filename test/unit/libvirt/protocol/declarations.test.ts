import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as protocol from "../../../../agent/libvirt/protocol/index.ts";
import { flags } from "../../../../agent/libvirt/rpc/flags.ts";
import type { EventProcedure, Procedure, Program } from "../../../../agent/libvirt/rpc/procedure.ts";

/** Every procedure of libvirt 11.3 with its number, from its remote_protocol.x and qemu_protocol.x. */
const numbers = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../fixtures/libvirt-procedure-numbers.json"), "utf8"),
) as Record<Program, Record<string, number>>;

const exported = Object.entries<unknown>(protocol);
const isProcedure = (value: unknown): value is Procedure<unknown, unknown> =>
  typeof value === "object" && value !== null && "args" in value;
const isEvent = (value: unknown): value is EventProcedure<unknown> =>
  typeof value === "object" && value !== null && "body" in value;
const procedures = exported.flatMap(([as, value]) => (isProcedure(value) ? [{ as, procedure: value }] : []));
const events = exported.flatMap(([as, value]) => (isEvent(value) ? [{ as, event: value }] : []));

const camelCase = (name: string): string =>
  name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

test("every procedure and event of libvirt is declared with its number", () => {
  const declared: Record<Program, Record<string, number>> = { remote: {}, qemu: {} };
  for (const { name, number, program } of [
    ...procedures.map((each) => each.procedure),
    ...events.map((each) => each.event),
  ]) {
    declared[program][name] = number;
  }
  assert.deepEqual(declared, numbers);
});

test("a procedure is exported under its own name, once", () => {
  for (const { as, procedure } of procedures) assert.equal(as, camelCase(procedure.name));
  const names = procedures.map(({ procedure }) => `${procedure.program} ${procedure.number}`);
  assert.equal(new Set(names).size, names.length);
});

test("a procedure with effects is never marked as a read", () => {
  const changes =
    /_(SET|CREATE|DEFINE|UNDEFINE|DESTROY|DELETE|ATTACH|DETACH|UPDATE|REBOOT|RESET|SHUTDOWN|SUSPEND|RESUME|SAVE|RESTORE|RENAME|REVERT|ABORT|COMMIT|COPY|PULL|REBASE|RESIZE|WIPE|UPLOAD|BUILD|REFRESH|MIGRATE_(BEGIN|PREPARE|PERFORM|FINISH|CONFIRM|START)3?|PIN|ADD|DEL|BEGIN|ALLOC|FSFREEZE|FSTHAW|FSTRIM|COMMAND|INJECT|SEND|START|REGISTER|DEREGISTER)(_|$)/;
  const reads = /_(GET|LIST|LOOKUP|IS|HAS)_/;
  // Authentication changes only the session.
  for (const { procedure } of procedures.filter((each) => !each.procedure.name.startsWith("AUTH_"))) {
    if (procedure.name.match(changes) && !procedure.name.match(reads)) {
      assert.equal(procedure.onlyReads, false, procedure.name);
    }
    if (procedure.name.match(reads)) assert.equal(procedure.onlyReads, true, procedure.name);
  }
});

test("queries without a verb in their name count as reads", () => {
  const names = [
    "DOMAIN_SNAPSHOT_CURRENT",
    "DOMAIN_BLOCK_STATS",
    "DOMAIN_MEMORY_PEEK",
    "CONNECT_NUM_OF_DOMAINS",
  ];
  const found = procedures.filter(({ procedure }) => names.includes(procedure.name));
  assert.deepEqual(
    found.map(({ procedure }) => procedure.onlyReads),
    [true, true, true, true],
  );
});

test("each kind of object is requested of its daemon", () => {
  const families: readonly [RegExp, string][] = [
    [/^(CONNECT_.*)?STORAGE_/, "storage"],
    [/^(CONNECT_((LIST_ALL|LIST|NUM_OF)_(DEFINED_)?)?)?NETWORK/, "network"],
    [/^(CONNECT_(LIST_ALL|LIST|NUM_OF)_)?NWFILTER/, "nwfilter"],
    [/^(CONNECT_((LIST_ALL|LIST|NUM_OF)_)?)?SECRET/, "secret"],
    [/^(CONNECT_(LIST_ALL|LIST|NUM_OF)_(DEFINED_)?)?INTERFACE/, "interface"],
    // The hypervisor's driver assigns devices to guests and takes them back.
    [/^NODE_DEVICE_(DETTACH|DETACH_FLAGS|RE_ATTACH|RESET)$/, "hypervisor"],
    [/^(CONNECT_(LIST_ALL_)?)?NODE_DEVICE|^NODE_(NUM_OF|LIST)_DEVICES/, "nodedev"],
  ];
  for (const { procedure } of procedures) {
    const [, family] = families.find(([pattern]) => pattern.test(procedure.name)) ?? [/./, "hypervisor"];
    assert.equal(procedure.family, family, procedure.name);
  }
});

test("streams are marked as such, with their direction", () => {
  const streams = procedures.flatMap(({ procedure }) =>
    procedure.stream === undefined ? [] : [[procedure.name, procedure.stream]],
  );
  assert.deepEqual(Object.fromEntries(streams), {
    DOMAIN_OPEN_CONSOLE: "both",
    DOMAIN_OPEN_CHANNEL: "both",
    DOMAIN_SCREENSHOT: "read",
    DOMAIN_MIGRATE_PREPARE_TUNNEL: "write",
    DOMAIN_MIGRATE_PREPARE_TUNNEL3: "write",
    DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS: "write",
    STORAGE_VOL_UPLOAD: "write",
    STORAGE_VOL_DOWNLOAD: "read",
  });
});

test("combined flags stay unsigned up to the highest bit", () => {
  const { NOWAIT, ENFORCE_STATS } = protocol.ConnectGetAllDomainStatsFlags;
  assert.equal(flags(NOWAIT, ENFORCE_STATS), 0xa0000000);
  assert.equal(flags(), 0);
});
