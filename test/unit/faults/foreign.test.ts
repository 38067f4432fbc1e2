import assert from "node:assert/strict";
import { test } from "node:test";
import { loadContract } from "../../../agent/contract/load.ts";
import { methods } from "../../../agent/contract/methods.ts";
import { methodsOf } from "../../faults/contract-methods.ts";
import { foreignRows, type Row } from "../../faults/foreign-rows.ts";
import { likeNothing } from "../../faults/foreign.ts";
import { protoDirectory } from "../../support/socle-host.ts";

const pathOf = (name: string): string => `/socle.v1.${name}`;
/** Health has no tenant's things. */
const own = Object.entries(methods).filter(
  ([path, { tenancy }]) => tenancy === "own" && path.startsWith("/socle.v1."),
);

test("the campaigns try each method that callers of one tenant may call", () => {
  assert.deepEqual(
    Object.keys(foreignRows).map(pathOf).sort(),
    own.map(([path]) => path).sort(),
    "test/faults/foreign-rows.ts lacks a method, or has one too many",
  );
});

/** Texts that name nothing of another tenant's: they are new, free, or the caller's own. The provider's: reservations, devices. */
const namesNothing = new Set([
  ...["requestId", "etag", "pageToken", "name", "description", "tenant", "pool", "sha256", "url"],
  ...["user", "password", "keys", "path", "arguments", "environment", "ticket"],
  ...["disk", "disks", "moreDisks", "nic", "device", "reservationId"],
]);
/** The tries of CreateVm and AttachDisk name volumes and images in whole specs and disks. */
const isReference = (typeName: string): boolean => typeName.endsWith("VolumeReference");

interface Field {
  readonly name: string;
  readonly type: string;
  readonly typeName: string;
}

function fieldsOf(row: Row): ReadonlySet<string> {
  if ("noneBecause" in row) return new Set();
  const theirs = "00000000-0000-4000-8000-000000000009";
  const requests = (row.names ?? []).map(({ request }) => request(theirs, { vm: "own", tenant: "own" }));
  return new Set(
    requests.flatMap((request) =>
      Object.entries(request)
        .filter(([, value]) => JSON.stringify(value).includes(theirs))
        .map(([field]) => field),
    ),
  );
}

test("the campaigns name another tenant's thing in each field of a request that could name one", () => {
  const byPath = methodsOf(loadContract(protoDirectory));
  const missing = Object.entries(foreignRows).flatMap(([name, row]) => {
    if ("noneBecause" in row || ("lists" in row && row.isOwnActs === true)) return [];
    const method = byPath.get(pathOf(name));
    assert.ok(method !== undefined, name);
    const { field } = method.requestType.type as { field: readonly Field[] };
    const named = fieldsOf(row);
    return field
      .filter(({ type, typeName }) => type === "TYPE_STRING" || isReference(typeName))
      .filter(({ name: text }) => !namesNothing.has(text) && !named.has(text))
      .map(({ name: text }) => `${name}: ${text}`);
  });
  assert.deepEqual(missing, []);
});

test("a name that nothing has looks like the name that it replaces", () => {
  const form = /^socle-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-data\.qcow2$/;
  const volume = likeNothing("socle-00000000-0000-4000-8000-000000000001-data.qcow2");
  assert.match(volume, form);
  assert.match(likeNothing("socle-volume-victim+own.qcow2"), /^socle-volume-victim\+own-[0-9a-f]{8}\.qcow2$/);
  assert.match(likeNothing("victim-1"), /^victim-1-[0-9a-f]{8}$/);
});
