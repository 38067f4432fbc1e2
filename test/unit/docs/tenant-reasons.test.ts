// Each reason that the code has, as a caller of one tenant gets it. The reasons come from the source: a new one is walked too.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import ts from "typescript";
import { ErrorEncoder } from "../../../agent/api/convert/errors.ts";
import { shownMetadata, shownReasons, textOfReason } from "../../../agent/api/convert/tenant-texts.ts";
import { loadContract } from "../../../agent/contract/load.ts";
import { SocleError, type ErrorKind } from "../../../agent/kernel/errors.ts";
import { libvirtError } from "../../../agent/libvirt/rpc/errors.ts";
import { repository, textOf } from "../../support/docs/markdown.ts";

const protos = loadContract(join(repository, "proto"));
const tenant = { name: "spiffe://cloud.example/operator/o/tenant/red", tenant: "red" };
const provider = { name: "unix:operator" };
const ownVm = "11111111-1111-4111-8111-111111111111";
const operationId = "22222222-2222-4222-8222-222222222222";
const encoder = new ErrorEncoder(protos, (_, word) => word === ownVm);

/** What no tenant may learn. */
const foreign = {
  path: "/var/lib/libvirt/images/secret.qcow2",
  address: "10.11.12.13",
  address6: "fd00:11::13",
  id: "99999999-9999-4999-8999-999999999999",
  name: "payroll-of-blue",
  libvirts: libvirtError(
    {
      ...{ code: 1, domain: 10, level: 2, dom: null, net: null, int1: 0, int2: 0 },
      ...{ message: "internal error: QEMU said BLUE-MONITOR", str1: null, str2: null, str3: null },
    },
    "domainCreate",
  ).message,
};

interface Site {
  readonly path: string;
  readonly reason: string;
  readonly message: string;
}

const sources = readdirSync(join(repository, "agent"), { encoding: "utf8", recursive: true })
  .filter((path) => path.endsWith(".ts") && !/^(gen|cli|page)\//.test(path))
  .map((path) => ({ path: `agent/${path}`, text: textOf(`agent/${path}`) }));
const isReason = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/;
const reasons = new Set<string>();
const sites: Site[] = [];
for (const { path, text } of sources) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) && isReason.test(node.text)) reasons.add(node.text);
    if (ts.isNewExpression(node) && node.expression.getText() === "SocleError") {
      const [, reason, message] = node.arguments ?? [];
      if (reason !== undefined && message !== undefined && ts.isStringLiteral(reason))
        sites.push({ path, reason: reason.text, message: withConstants(message) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}

/** The expression, and those of the constants of its functions that it names, and of the calls that give its parameters. */
function withConstants(expression: ts.Node, seen = new Set<string>()): string {
  const found = [expression.getText()];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && !seen.has(node.text)) {
      seen.add(node.text);
      const value = constantOf(node);
      for (const each of value === undefined ? givenFor(node) : [value])
        found.push(withConstants(each, seen));
    }
    ts.forEachChild(node, visit);
  };
  visit(expression);
  return found.join("\n");
}

function constantOf(name: ts.Identifier): ts.Expression | undefined {
  for (let at: ts.Node = name; !ts.isSourceFile(at); at = at.parent)
    if (ts.isBlock(at))
      for (const statement of at.statements)
        if (ts.isVariableStatement(statement))
          for (const declared of statement.declarationList.declarations)
            if (declared.name.getText() === name.text) return declared.initializer;
  return undefined;
}

/** What the calls of the same file give for the parameter of this name. */
function givenFor(name: ts.Identifier): ts.Expression[] {
  for (let at: ts.Node = name; !ts.isSourceFile(at); at = at.parent) {
    if (!ts.isArrowFunction(at) && !ts.isFunctionDeclaration(at) && !ts.isMethodDeclaration(at)) continue;
    const index = at.parameters.findIndex((parameter) => parameter.name.getText() === name.text);
    const called = ts.isArrowFunction(at)
      ? ts.isVariableDeclaration(at.parent) && at.parent.name.getText()
      : at.name?.getText();
    if (index < 0 || called === false || called === undefined) continue;
    const found: ts.Expression[] = [];
    const visit = (node: ts.Node): void => {
      const argument = ts.isCallExpression(node) ? node.arguments[index] : undefined;
      if (argument !== undefined && (node as ts.CallExpression).expression.getText() === called)
        found.push(argument);
      ts.forEachChild(node, visit);
    };
    visit(name.getSourceFile());
    return found;
  }
  return [];
}

/** All that a status holds, also in its details. */
function wholeOf(thrown: unknown, caller: typeof tenant | typeof provider, request?: unknown): string {
  const { status } = encoder.encode(thrown, { caller, request });
  const [bytes] = status.metadata.get("grpc-status-details-bin");
  return `${status.details}\n${Buffer.from(bytes ?? "").toString("latin1")}`;
}

const kinds = ["conflict", "unavailable", "outcome_unknown", "internal"] as const satisfies ErrorKind[];

function shownOf(reason: string, message: string, metadata: Record<string, string> = {}): string[] {
  return kinds.flatMap((kind) => {
    const details = { metadata, fields: { vm: message } };
    const called = wholeOf(new SocleError(kind, reason, message, { details }), tenant);
    const error = { kind, reason, message, metadata };
    const ended = encoder.operationError({ id: operationId, vmId: ownVm, error }, tenant);
    const statuses = (ended.details ?? []) as { value: Buffer }[];
    const values = statuses.map(({ value }) => Buffer.from(value).toString("latin1"));
    return [called, `${ended.message}\n${values.join("\n")}`];
  });
}

test("no reason shows a tenant a path, an address, a foreign id, or text of libvirt or QEMU", () => {
  assert.ok(reasons.size > 300, "the pattern still finds the reasons of the code");
  for (const reason of [...reasons, "A_REASON_OF_LATER"])
    for (const [what, mark] of Object.entries(foreign)) {
      // The name of a foreign VM has no form of its own: only the list keeps it away.
      if (what === "name" && shownReasons.has(reason)) continue;
      const metadata = {
        ...(what === "name" ? {} : { disk: mark }),
        users: mark,
        path: mark,
        at: mark,
        settled_by: mark,
      };
      for (const shown of shownOf(reason, `the thing ${mark} is at fault`, metadata))
        assert.ok(!shown.includes(mark), `${reason} shows ${what}: ${shown}`);
    }
});

test("a reason's text is shown to tenants only if no throw site quotes an error, a path or an address", () => {
  // Not the host's: a method of the contract, and a URL of the caller without its secrets.
  const own = /\bshownUrl\(url\)|\$\{path\} (is for|exposes)|may not call \$\{path\}|pathname/g;
  const quoting =
    /\.message\b|messageOf\(|\bpath\b|\bdirectory\b|\bfile\b|\bstderr\b|\buri\b|\baddress\b|\.host\b|\bevidence\b/;
  const problems = sites
    .filter(({ reason, path }) => shownReasons.has(reason) && !allowed.has(`${reason} ${path}`))
    .filter(({ message }) => quoting.test(textPartsOf(message.replaceAll(own, ""))))
    .map(({ reason, path, message }) => `${reason} of ${path}: ${message}`);
  assert.deepEqual(problems, []);
  assert.ok(sites.length > 300);
});

/** What is inserted into the texts. */
const textPartsOf = (message: string): string =>
  (message.match(/\$\{[^}]*\}/g) ?? []).join("\n") + message.replaceAll(/`[^`]*`|"[^"]*"/g, "");

/** Sites whose inserted words look like more than they are. */
const allowed = new Set<string>([
  // It ends the start of the agent.
  "ADDRESS_IN_USE agent/api/listener.ts",
  // Devices by PCI address or alias.
  "NO_CAPACITY agent/host/capacity/placing.ts",
  "DEVICE_ATTACHED agent/vm/operations/attach-pci-device.ts",
  // Names of a token's fields.
  "PERSON_TOKEN_INVALID agent/trust/person-token.ts",
  // The header's field that qcow2-image.ts found wrong.
  "IMAGE_UNSAFE agent/vm/images/header-check.ts",
  // That of the volume key, whose path is refused as each path is.
  "HOST_LACKS_TRAIT agent/vm/model/requirements.ts",
  // Names of parts of the VM, read from a file.
  "SNAPSHOT_MEMORY_LOST agent/vm/operations/restore-memory.ts",
  "SNAPSHOT_VM_DIFFERS agent/vm/operations/restore-memory.ts",
  // A count of files.
  "SNAPSHOT_LIMIT_REACHED agent/vm/operations/create-memory.ts",
]);

test("the tables for tenants name reasons of the code alone", () => {
  const unknown = [...shownReasons, ...Object.keys(textOfReason)].filter((reason) => !reasons.has(reason));
  assert.deepEqual(unknown, []);
  const keys = sources.map(({ text }) => text).join("\n");
  assert.deepEqual(
    [...shownMetadata].filter((key) => !keys.includes(key)),
    [],
  );
});

test("a tenant reads its own words, ids and users, and the provider reads all", () => {
  const own = shownOf("VM_NOT_FOUND", `there is no VM ${ownVm} on this host`, { vm_id: ownVm });
  assert.ok(own.filter((shown) => shown.includes(ownVm)).length >= 6);
  const asked = new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${foreign.id}`);
  assert.match(wholeOf(asked, tenant, { vm: foreign.id }), /there is no VM 99999999/);
  const used = new SocleError("conflict", "IMAGE_IN_USE", "image a is in use by VM web; VM pay", {
    details: { metadata: { users: `${ownVm},${foreign.id}` } },
  });
  const seen = wholeOf(used, tenant);
  assert.ok(seen.includes(ownVm) && !seen.includes(foreign.id) && !seen.includes("VM pay"), seen);
  assert.match(seen, /in use, and not by your own VMs alone/);
  assert.match(wholeOf(used, provider), /VM web; VM pay/);
  for (const mark of Object.values(foreign)) {
    const error = new SocleError("conflict", "DISKS_REPLACED", mark, { details: { metadata: { at: mark } } });
    assert.ok(wholeOf(error, provider).includes(mark));
  }
});

test("an id connects a tenant's text with the whole one, in the log and in the operation", () => {
  const thrown = new SocleError("unavailable", "LIBVIRT_SYSTEM_ERROR", foreign.libvirts);
  const { id = "none", cause, status } = encoder.encode(thrown, { caller: tenant });
  assert.ok(status.details.endsWith(`by the id ${id}`));
  assert.equal(cause, thrown);
  assert.equal(encoder.encode(thrown, { caller: provider }).id, undefined);
  const error = {
    kind: "unavailable",
    reason: "LIBVIRT_SYSTEM_ERROR",
    message: foreign.libvirts,
    metadata: {},
  };
  const { message = "" } = encoder.operationError({ id: operationId, vmId: ownVm, error }, tenant);
  assert.match(message, new RegExp(`^the host cannot do this now.*by the id ${operationId}$`));
});

test("a tenant's operation has no path or address in its result, and its receipt whole", () => {
  const result = {
    path: foreign.path,
    nbd_uri: `nbds://${foreign.address}:1/x`,
    receipt: '{"a": "/x"}',
    by: "guest",
  };
  assert.deepEqual(encoder.operationResult(result, tenant), { receipt: '{"a": "/x"}', by: "guest" });
  assert.deepEqual(encoder.operationResult(result, provider), result);
});
