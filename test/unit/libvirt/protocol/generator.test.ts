import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHeader } from "../../../../scripts/libvirt-source/headers.ts";
import { layout } from "../../../../scripts/libvirt-source/layout.ts";
import { releasesOf, Writer } from "../../../../scripts/libvirt-source/procedures.ts";
import { parseProtocolFile } from "../../../../scripts/libvirt-source/protocol-file.ts";
import { releasesOfFunctions } from "../../../../scripts/libvirt-source/public-api.ts";

const source = `
%#include <libvirt/libvirt.h>
const REMOTE_LIST_MAX = 0x10;
const REMOTE_SAME_MAX = REMOTE_LIST_MAX;
typedef string remote_nonnull_string<REMOTE_LIST_MAX>;
typedef remote_nonnull_string *remote_string;
struct remote_nonnull_thing { remote_nonnull_string name; int id; };
typedef remote_nonnull_thing *remote_thing;
struct remote_thing_get_list_args { int need_results; /* a truth */ unsigned int flags; };
struct remote_thing_get_list_ret { remote_nonnull_thing things<REMOTE_SAME_MAX>; char model[32]; unsigned hyper ids<4>; };
struct remote_thing_attach_args { remote_thing where; remote_string note; opaque data<8>; };
struct remote_thing_event_gone_msg { int callbackID; remote_nonnull_thing thing; };
enum remote_procedure {
    /**
     * @generate: both
     * @acl: thing:getattr
     * @acl: thing:write::VIR_SECURE
     */
    REMOTE_PROC_THING_GET_LIST = 1,
    /**
     * @generate: none
     * @acl: thing:write
     * @writestream: 1
     */
    REMOTE_PROC_THING_ATTACH = 2,
    /**
     * @generate: both
     * @acl: none
     */
    REMOTE_PROC_THING_EVENT_GONE = 3
};
`;

function declarations(text: string): string[] {
  const file = parseProtocolFile(text, new Map());
  const functions = releasesOfFunctions("LIBVIRT_1.2.0 {\n global:\n virThingGetList;\n} LIBVIRT_1.1.0;\n");
  const writer = new Writer("remote", file, file, releasesOf(file.procedures, functions, "0.3.0"));
  return [...writer.structs(), ...file.procedures.map((procedure) => writer.procedure(procedure))].map(
    (line) => line.replaceAll("/* @__PURE__ */ ", ""),
  );
}

test("structs, procedures and events are declared by the protocol file's layout", () => {
  assert.deepEqual(declarations(source), [
    "export const thing = struct({ name: text, id: int });\nexport type Thing = Value<typeof thing>;",
    `export const thingGetList = procedure("THING_GET_LIST", 1, { needResults: bool, flags: uint }, ` +
      `{ things: array(thing, 16), model: chars(32), ids: array(uhyper, 4) }, { since: "1.2.0", onlyReads: true });`,
    `export const thingAttach = procedure("THING_ATTACH", 2, ` +
      `{ where: optional(thing), note: optionalText, data: opaque(8) }, {}, { since: "1.2.0", stream: "write" });`,
    `export const thingEventGone = event("THING_EVENT_GONE", 3, { callbackId: int, thing }, { since: "1.2.0" });`,
  ]);
});

test("an unsupported declaration is an error", () => {
  assert.throws(
    () => declarations(source.replace("int id;", "int id<>[2];")),
    /cannot read a declaration: int id<>/,
  );
  assert.throws(() => declarations(source.replace("ids<4>", "ids[4]")), /no codec for unsigned hyper\[4\]/);
  assert.throws(
    () => declarations(source.replace("<REMOTE_SAME_MAX>", "<NO_SUCH_MAX>")),
    /unknown constant: NO_SUCH_MAX/,
  );
});

test("enumerations lose their common prefix and their sentinel, and may use earlier members", () => {
  const header = `
typedef enum {
    VIR_THING_COMMAND_NONE = 0, /* no change */
    VIR_THING_COMMAND_ADD_LAST,
    VIR_THING_COMMAND_HIGH = (1U << 31),
    VIR_THING_COMMAND_BOTH = VIR_THING_COMMAND_ADD_LAST | VIR_THING_COMMAND_HIGH,
# ifdef VIR_ENUM_SENTINELS
    VIR_THING_COMMAND_LAST
# endif
} virThingCommand;
typedef enum {
    VIR_THING_XML_SECURE = 1 << 0,
} virThingXMLFlags;
# define VIR_THING_NAME "thing.name"
`;
  const { enumerations, texts } = parseHeader(header, new Map());
  assert.deepEqual(enumerations, [
    {
      name: "virThingCommand",
      members: [
        { name: "NONE", value: 0 },
        { name: "ADD_LAST", value: 1 },
        { name: "HIGH", value: 2 ** 31 },
        { name: "BOTH", value: 2 ** 31 + 1 },
      ],
    },
    { name: "virThingXMLFlags", members: [{ name: "SECURE", value: 1 }] },
  ]);
  assert.deepEqual([...texts], [["VIR_THING_NAME", "thing.name"]]);
});

test("a statement that is longer than a line has a line for each item, as the formatter writes it", () => {
  const short = `export const thing = procedure("THING", 1, { name: text }, {}, { since: "1.2.0" });`;
  assert.equal(layout(short), short);
  const fields = Array.from({ length: 9 }, (_, i) => `parameter${i}: array(text, ${i})`);
  assert.deepEqual(
    layout(`export const thing = procedure("THING", 1, { ${fields.join(", ")} }, {}, {});`).split("\n"),
    [
      "export const thing = procedure(",
      `  "THING",`,
      "  1,",
      "  {",
      ...fields.map((field) => `    ${field},`),
      "  },",
      "  {},",
      "  {},",
      ");",
    ],
  );
  assert.deepEqual(layout(`export const thing = struct({ ${fields.join(", ")} });`).split("\n"), [
    "export const thing = struct({",
    ...fields.map((field) => `  ${field},`),
    "});",
  ]);
});
