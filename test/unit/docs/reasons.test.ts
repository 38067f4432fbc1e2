import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import { ErrorEncoder } from "../../../agent/api/convert/errors.ts";
import { loadContract } from "../../../agent/contract/load.ts";
import { SocleError, type ErrorKind } from "../../../agent/kernel/errors.ts";
import { codeIn, repository, textOf } from "../../support/docs/markdown.ts";

/** Rooms whose errors reach a caller of the API. */
const ANSWERING = /^agent\/(api|vm|host|state\/(operations|reservations))\//;
/** Reasons of these rooms that end a connection or stay inside the agent. */
const INTERNAL = new Set([
  "CERTIFICATE_ROLE",
  "CONNECTION_NOT_HTTP2",
  "CONNECTION_SILENT",
  "DOMAIN_NOT_WRITABLE",
  "LIBVIRT_DISCONNECTED",
  "LIBVIRT_LIST_INCOMPLETE",
  "LISTEN_FAILED",
  "NOT_LOOPBACK",
  "POOL_SILENT",
  "TLS_HANDSHAKE_FAILED",
  "XML_UNEXPECTED",
  "XML_VALUE_REFUSED",
]);

interface Thrown {
  readonly path: string;
  readonly reason: string;
  readonly kinds: readonly ErrorKind[];
}

const sources = readdirSync(join(repository, "agent"), { encoding: "utf8", recursive: true })
  .filter((path) => path.endsWith(".ts") && !/^(gen|libvirt|cli)\//.test(path))
  .map((path) => ({ path: `agent/${path}`, text: textOf(`agent/${path}`) }));
const literals = new Set(sources.flatMap(({ text }) => text.match(/(?<=")[A-Z0-9_]+(?=")/g) ?? []));
const thrown: Thrown[] = sources.flatMap(({ path, text }) =>
  [...text.matchAll(/new SocleError\(\s*([^,]+?),\s*"([A-Z0-9_]+)"/g)].map(([, kind = "", reason = ""]) => ({
    path,
    reason,
    kinds: (kind.match(/(?<=")[a-z_]+(?=")/g) ?? []) as ErrorKind[],
  })),
);
const documented = new Map(
  [...textOf("proto/errors.md").matchAll(/^\| `([A-Z0-9_]+)` +\| (`[A-Z_`, ]+`) +\|/gm)].map(
    ([, reason = "", statuses = ""]) => [reason, codeIn(statuses)],
  ),
);

test("proto/errors.md has each reason that a service throws", () => {
  const answered = thrown.filter(({ path, reason }) => ANSWERING.test(path) && !INTERNAL.has(reason));
  const missing = answered.filter(({ reason }) => !documented.has(reason));
  assert.deepEqual(
    missing.map(({ reason, path }) => `${reason} of ${path}`),
    [],
    "add a row to proto/errors.md for each",
  );
  assert.ok(answered.length > 100, "the pattern still finds the errors of the code");
});

test("proto/errors.md has no reason that the code does not use", () => {
  const unknown = [...documented.keys()].filter((reason) => !literals.has(reason));
  assert.deepEqual(unknown, []);
});

test("proto/errors.md names the gRPC status of each reason", () => {
  const encoder = new ErrorEncoder(loadContract(join(repository, "proto")));
  const statusOf = (kind: ErrorKind): string =>
    status[encoder.encode(new SocleError(kind, "A_REASON", ""), { caller: { name: "c" } }).status.code];
  for (const { path, reason, kinds } of thrown) {
    if (!ANSWERING.test(path) || INTERNAL.has(reason)) continue;
    // The listener's own ADDRESS_IN_USE ends the start of the agent; the caller's concerns a NIC.
    if (path === "agent/api/listener.ts") continue;
    const statuses = documented.get(reason) ?? [];
    for (const kind of kinds)
      assert.ok(
        statuses.includes(statusOf(kind)),
        `${reason} of ${path} is ${statusOf(kind)}: ${statuses.join(", ")}`,
      );
  }
});
