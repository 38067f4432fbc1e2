// test/fixtures/stored-spec has what each released version stored of a VM's spec, made by that version's own code, and in
// `present` what this version stores. A release copies `present` to a directory of its version.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import * as z from "zod";
import { specFromProto } from "../../../../agent/api/convert/spec.ts";
import { vmSpec, type VmSpec } from "../../../../agent/contract/spec.ts";
import type { CreateVmRequest } from "../../../../agent/gen/socle/v1/CreateVmRequest.ts";
import { parseVmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { instanceOf } from "../../../../agent/vm/model/instance.ts";
import { ownFacts } from "../../../../agent/vm/model/own-facts.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { STORED_SPEC_VERSION, storedSpec, storedText } from "../../../../agent/vm/model/stored-spec.ts";
import { vmFromDomain } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { instanceMadeBy } from "../../../../agent/vm/operations/create.ts";
import { intentOf, newIntent, storedIntent, type Intent } from "../../../../agent/vm/operations/registry.ts";
import { fingerprintOf, noIdentity } from "../../../../agent/vm/operations/request.ts";
import { protos } from "../../../support/api/harness.ts";

const repository = join(import.meta.dirname, "../../../..");
const fixtures = join(repository, "test/fixtures/stored-spec");
/** In each directory of fixtures but that of 0.1.0, which stored no version: the stored version, and the schema of its specs. */
const SCHEMA = "schema.json";
const facts = { state: "stopped", stateReason: "UNKNOWN", observedAtMs: 5 } as const;

interface Described {
  readonly version: number;
  readonly schema: unknown;
}

/** The schema of this version without its texts for people, which are not stored. */
const described = (): Described => {
  const schema = z.toJSONSchema(vmSpec, { io: "output" });
  const withoutTexts = JSON.stringify(schema, (key, value: unknown) =>
    key === "description" || key === "examples" ? undefined : value,
  );
  return { version: STORED_SPEC_VERSION, schema: JSON.parse(withoutTexts) as unknown };
};

/** Another schema than a release's needs another version: that release could not name the cause when it reads such a spec. */
function checkVersioned(release: string, released: Described, now: Described): void {
  if (released.version !== now.version) return;
  const advice =
    `release ${release} stores specs of version ${now.version} with another schema: add a migration to ` +
    "agent/vm/model/stored-spec.ts, which makes a version, then run this test with UPDATE_GOLDEN=1";
  assert.deepEqual(now.schema, released.schema, advice);
}

interface Fixture {
  readonly request: CreateVmRequest;
  /** By which a repeated request is found. */
  readonly fingerprint: string;
  /** In the journal. */
  readonly intent: Record<string, unknown>;
  /** In the metadata of the domain; a fixture of 0.1.0 has the whole domain beside it. */
  readonly metadata?: { readonly spec: string; readonly specDigest: string };
  /** Of a VM whose metadata names none. */
  readonly instance?: string;
}

const namesIn = async (directory: string): Promise<string[]> =>
  (await readdir(join(fixtures, directory)))
    .filter((file) => file.endsWith(".json") && file !== SCHEMA)
    .map((file) => file.replace(/\.json$/, ""));
const fixture = async (directory: string, name: string): Promise<Fixture> =>
  JSON.parse(await readFile(join(fixtures, directory, `${name}.json`), "utf8")) as Fixture;

/** What this version makes of a request: the spec, and the fingerprint as vm-service.ts has it made. */
function admitted(request: CreateVmRequest): { readonly spec: VmSpec; readonly fingerprint: string } {
  const { requestSerialize, requestDeserialize } = protos.vms.CreateVm;
  const { spec, reservationId, ...rest } = requestDeserialize(requestSerialize(request));
  const input = specFromProto(spec);
  const body = { ...rest, spec: input, reservationId: reservationId === "" ? undefined : reservationId };
  return {
    spec: checkSpec(input, { bridges: ["br0"], allowSpoofing: true, maxMemoryBytes: 2 ** 46 }),
    fingerprint: fingerprintOf("CREATE_VM", { ...body, ...noIdentity }),
  };
}

const readIntent = (intent: unknown): Intent<"CREATE_VM"> => {
  const read = intentOf({ id: "o-1", kind: "CREATE_VM", intent });
  assert.ok(read.kind === "CREATE_VM");
  return read;
};

test("every released version has a fixture", async () => {
  const changelog = await readFile(join(repository, "CHANGELOG.md"), "utf8");
  const released = [...changelog.matchAll(/^## (\d+\.\d+\.\d+)/gm)].map(([, version = ""]) => version);
  assert.ok(released.length > 0);
  for (const version of released) {
    const names = await namesIn(version).catch(() => []);
    const hasSchema = version === "0.1.0" || (await readdir(join(fixtures, version))).includes(SCHEMA);
    assert.ok(
      names.length > 0 && hasSchema,
      `copy test/fixtures/stored-spec/present to ${version} before its release`,
    );
  }
});

test("a change of the stored schema after a release needs a new version", async () => {
  const now = described();
  const path = join(fixtures, "present", SCHEMA);
  if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(path, `${JSON.stringify(now, null, 2)}\n`);
  for (const release of await readdir(fixtures)) {
    const text = await readFile(join(fixtures, release, SCHEMA), "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const released = JSON.parse(text) as Described;
    if (release === "present")
      assert.deepEqual(now, released, "the schema changed: run this test with UPDATE_GOLDEN=1");
    else checkVersioned(release, released, now);
  }
});

test("a field that a release does not have is refused without a new version, and accepted with one", () => {
  const now = described();
  const { tpm: _, ...fewer } = (now.schema as { properties: Record<string, unknown> }).properties;
  const released = { ...now, schema: { ...(now.schema as object), properties: fewer } };
  assert.throws(
    () => checkVersioned("9.9.9", released, now),
    /release 9\.9\.9 stores specs .*add a migration/,
  );
  checkVersioned("9.9.9", released, { ...now, version: now.version + 1 });
});

test("what a released version stored is read as the spec that was requested", async () => {
  for (const version of await readdir(fixtures))
    for (const name of await namesIn(version)) {
      const { request, fingerprint, intent, metadata, instance } = await fixture(version, name);
      const now = admitted(request);
      assert.deepEqual(readIntent(intent).spec, now.spec, `${version}/${name}`);
      assert.equal(
        now.fingerprint,
        fingerprint,
        `${version}/${name}: a repeated request is the same request`,
      );
      const xml = await readFile(join(fixtures, version, `${name}.xml`), "utf8").catch(() => undefined);
      const { id, tenant, labels } = now.spec;
      const from = { tenant, labels, placementEpoch: 0, createdAt: "2026-01-02T00:00:00.000Z" };
      const vm =
        xml === undefined
          ? ownFacts(metadata === undefined ? undefined : { socle: { ...from, ...metadata } }, id)
          : vmFromDomain(parseVmDomain(xml), facts);
      assert.deepEqual(
        [vm.unreadable, vm.managed, vm.spec],
        [undefined, true, now.spec],
        `${version}/${name}`,
      );
      if (instance === undefined) continue;
      assert.equal(vm.instance, instance, `${version}/${name}: the VM keeps its instance`);
      // A creation that 0.1.0 began adopts the domain that 0.1.0 defined.
      assert.equal(instanceMadeBy(readIntent(intent), { instance: undefined }), instance);
    }
});

test("this version stores what its fixture has, byte for byte", async () => {
  const isUpdate = process.env["UPDATE_GOLDEN"] === "1";
  if (isUpdate) await mkdir(join(fixtures, "present"), { recursive: true });
  const released = await namesIn("0.1.0");
  // The others have the fields that 0.1.0 lacks.
  for (const name of new Set([...released, ...(await namesIn("present"))])) {
    const { request, intent: before } = await fixture(released.includes(name) ? "0.1.0" : "present", name);
    const { spec, fingerprint } = admitted(request);
    const { kind: _, ...parts } = readIntent(before);
    const intent = storedIntent(newIntent("CREATE_VM", { ...parts, spec }));
    const text = `${JSON.stringify({ request, fingerprint, intent, metadata: storedText(spec) }, null, 2)}\n`;
    const path = join(fixtures, "present", `${name}.json`);
    if (isUpdate) await writeFile(path, text);
    const advice =
      "the stored format changed: add a migration in stored-spec.ts, then run this test with UPDATE_GOLDEN=1";
    assert.equal(await readFile(path, "utf8"), text, advice);
    assert.match(text, new RegExp(`"version": ${STORED_SPEC_VERSION},`));
  }
});

/** The paths of all fields of a schema. */
function pathsOf(schema: unknown, at = ""): string[] {
  const { properties, items, anyOf, oneOf } = schema as Record<string, unknown>;
  const alternatives = [anyOf, oneOf].flatMap((list) => (Array.isArray(list) ? (list as unknown[]) : []));
  return [
    ...Object.entries(properties ?? {}).flatMap(([key, inner]) => [
      `${at}${key}`,
      ...pathsOf(inner, `${at}${key}.`),
    ]),
    ...(items === undefined ? [] : pathsOf(items, at)),
    ...alternatives.flatMap((inner) => pathsOf(inner, at)),
  ];
}

/** The paths of all fields of a value; those of a list's items are the list's. */
const pathsIn = (value: unknown, at = ""): string[] => {
  if (Array.isArray(value)) return value.flatMap((item) => pathsIn(item, at));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [`${at}${key}`, ...pathsIn(inner, `${at}${key}.`)]);
};

test("the fixtures of this version have every field of a spec, so that a new field needs new ones", async () => {
  const stored = new Set<string>();
  for (const name of await namesIn("present"))
    for (const path of pathsIn((await fixture("present", name)).intent["spec"])) stored.add(path);
  const missing = pathsOf(z.toJSONSchema(vmSpec, { io: "input" })).filter((path) => !stored.has(path));
  assert.deepEqual(missing, []);
});

test("a spec of a later version is unreadable and names the version; an instance stays known", () => {
  const later = STORED_SPEC_VERSION + 1;
  const id = "6f2f0c4e-8c1b-4f0e-9a54-6a3f3c1b2a01";
  const socle = {
    tenant: "",
    labels: {},
    spec: JSON.stringify({ version: later, id, size: "large" }),
    specDigest: "unknown here",
    placementEpoch: 0,
    createdAt: "2026-01-02T00:00:00.000Z",
    instance: "0b0c7c1e-9d2f-4f59-8f0e-2f4a8f6f5d10",
  };
  const facts = ownFacts({ socle }, id);
  assert.match(
    facts.unreadable ?? "",
    new RegExp(
      `^spec: spec is not valid: version ${later} is of a later Socle, this one reads up to version`,
    ),
  );
  assert.deepEqual([facts.managed, facts.spec, facts.instance], [true, undefined, instanceOf(id, socle)]);
  const intent = { kind: "CREATE_VM", spec: { version: later } };
  assert.throws(() => readIntent(intent), { reason: "INTENT_UNREADABLE" });
  assert.ok(!storedSpec.safeParse({ version: 0 }).success);
});
