import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { isRole, methods, type Role } from "../../../agent/contract/methods.ts";
import { codeIn, repository, tableBelow, textOf } from "../../support/docs/markdown.ts";

const security = textOf("SECURITY.md");
const roles: readonly Role[] = ["viewer", "metrics", "scheduler", "operator", "auditor", "admin"];

test("SECURITY.md lists the roles of each method as the contract's table does", () => {
  const expected = Object.entries(methods).map(
    ([path, { roles: may, tenancy, class: kind, socketOnly, audit }]) => [
      `\`${path.replace(/^.*\./, "")}\``,
      ...roles.map((role) => (may.includes(role) ? "x" : "")),
      tenancy,
      kind,
      socketOnly === true ? "yes" : "",
      audit === undefined ? "" : "yes",
    ],
  );
  assert.ok(roles.every(isRole));
  assert.deepEqual(
    Object.values(methods).flatMap((method) => method.roles.filter((role) => !roles.includes(role))),
    [],
  );
  assert.deepEqual(tableBelow(security, "## Methods and roles"), expected);
});

test("each requirement in SECURITY.md's matrix has a mechanism and existing tests", () => {
  const rows = tableBelow(security, "## Matrix");
  assert.ok(rows.length > 50);
  for (const [requirement = "", mechanism = "", shown = ""] of rows) {
    assert.match(requirement, /^(A\.[58]\.\d+|SNC \d+\.\d+) \S/);
    assert.notEqual(mechanism, "", requirement);
    const files = codeIn(shown);
    assert.notEqual(files.length, 0, `${requirement} names no test`);
    for (const file of files) {
      assert.match(file, /^test\/.+\.test\.ts$/, requirement);
      assert.ok(existsSync(join(repository, file)), `${requirement}: ${file} does not exist`);
      assert.match(textOf(file), /\b(test|it|shortRun)\(/, `${requirement}: ${file} holds no test`);
    }
  }
});

test("each requirement stands in SECURITY.md's matrix once", () => {
  const named = tableBelow(security, "## Matrix").map(([requirement = ""]) =>
    requirement.replace(/ [^\d].*$/, ""),
  );
  assert.equal(new Set(named).size, named.length);
});
