import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { EventProcedure, Procedure } from "../../../../agent/libvirt/rpc/procedure.ts";
import * as protocol from "../../../../agent/libvirt/protocol/index.ts";
import {
  readApiDescription,
  type ApiDescription,
} from "../../../../scripts/libvirt-source/api-description.ts";

// libvirt's own description of its API comes from another generator and the same headers: what both agree on
// is not a mistake of one. `scripts/gen-libvirt --api` wrote the fixture.
const fixture = join(import.meta.dirname, "../../../fixtures/libvirt-api.json");
const api = JSON.parse(readFileSync(fixture, "utf8")) as ApiDescription;
const installed = "/usr/share/libvirt/api";

const values = Object.entries<unknown>(protocol);
const isTable = (value: unknown): value is Readonly<Record<string, number>> =>
  typeof value === "object" &&
  value !== null &&
  Object.values(value).every((each) => typeof each === "number");

const isDeclaration = (value: unknown): value is Procedure<unknown, unknown> | EventProcedure<unknown> =>
  typeof value === "object" && value !== null && "since" in value;

test("the fixture is from the release that the protocol was generated from", () => {
  const [major = 0, minor = 0, micro = 0] = protocol.protocolVersion.split(".").map(Number);
  assert.equal(api.version, major * 1_000_000 + minor * 1_000 + micro);
});

test("each enumeration has the members and values of libvirt's API description", () => {
  // Not in a public header.
  const internal = ["AuthType", "DriverFeature"];
  const tables = values.flatMap(([name, value]) => (isTable(value) ? [[name, value] as const] : []));
  const named = Object.fromEntries(tables.filter(([name]) => !internal.includes(name)));
  assert.deepEqual(
    Object.keys(named).sort(),
    Object.keys(api.enumerations)
      .map((type) => type.slice("vir".length))
      .sort(),
  );
  for (const [name, table] of Object.entries(named)) {
    const members = Object.entries(api.enumerations[`vir${name}`] ?? {});
    // The names here lack a prefix that all members share.
    const [first = ""] = Object.keys(table);
    const prefixes = members.flatMap(([member]) =>
      member.endsWith(`_${first}`) ? member.slice(0, -first.length) : [],
    );
    const prefix = prefixes.find((each) => members.every(([member]) => member.startsWith(each))) ?? "";
    const described = members.map(([member, value]) => [member.slice(prefix.length), value] as const);
    // VIR_ENUM_SENTINELS adds the number of members, which is not a member.
    const largest = Math.max(...Object.values(table));
    const real = described.filter(
      ([member, value]) => !(/(^|_)LAST$/.test(member) && !(member in table) && value >= largest),
    );
    assert.deepEqual(new Map(Object.entries(table)), new Map(real), name);
  }
});

test("each parameter name has the text of libvirt's API description", () => {
  const names = values.filter(([name, value]) => name.startsWith("VIR_") && typeof value === "string");
  assert.deepEqual(Object.fromEntries(names), api.texts);
});

test("each procedure of a public function has the release that introduced it", () => {
  const functions = new Map(
    Object.entries(api.functions).map(([name, version]) => [
      name.slice("vir".length).replace("Qemu", "").toUpperCase(),
      version,
    ]),
  );
  const procedures = values.flatMap(([, value]) => (isDeclaration(value) ? value : []));
  assert.equal(procedures.length, 460);
  const ofFunctions = procedures.filter(({ name }) => functions.has(name.replaceAll("_", "")));
  assert.ok(ofFunctions.length > 350);
  for (const { name, since } of ofFunctions) {
    const version = functions.get(name.replaceAll("_", ""));
    // Functions older than the remote protocol have its first release.
    assert.equal(since, /^0\.[0-2]\./.test(version ?? "") ? "0.3.0" : version, name);
  }
});

const skip = existsSync(join(installed, "libvirt-api.xml"))
  ? false
  : `${installed} is missing: install libvirt-dev`;
test("the fixture equals the installed API description", { skip }, (t) => {
  const description = readApiDescription(installed);
  if (description.version !== api.version) t.skip(`the installed description is of ${description.version}`);
  else assert.deepEqual(description, api);
});
