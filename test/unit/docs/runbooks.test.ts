import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { configSchema } from "../../../agent/config/schema.ts";
import { hostConditions } from "../../../agent/host/health/conditions/table.ts";
import { readPage, repository } from "../../support/docs/pages.ts";

const PARTS = ["Meaning", "Guests", "Confirm", "Do", "Clears"];
/** The path of the installed runbooks. */
const INSTALLED = "file:///usr/share/doc/socle/systemd/runbooks.md";

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert?: string;
      readonly annotations?: Readonly<Record<string, string>>;
    }[];
  }[];
}

const page = await readPage("systemd/runbooks.md");
const rules = parse(await readFile(join(repository, "systemd/prometheus/socle.rules.yaml"), "utf8")) as Rules;
const alerts = rules.groups
  .flatMap((group) => group.rules)
  .flatMap(({ alert, annotations }) => (alert === undefined ? [] : [{ alert, annotations }]));
const conditions = Object.keys(
  hostConditions({ config: configSchema.parse({}), offersKvm: () => undefined }),
);
/** Each entry's text by its name: a heading of the fourth level. */
const entries = new Map(
  page.text
    .split(/^#### /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf("\n")), text.replace(/^#{2,3} .*/ms, "")]),
);
const sorted = (names: Iterable<string>): string[] => [...names].sort();

test("every alert and every condition has one entry, and every entry has one of them", () => {
  assert.deepEqual(sorted(entries.keys()), sorted([...alerts.map(({ alert }) => alert), ...conditions]));
  assert.equal(entries.size, alerts.length + conditions.length);
});

test("every entry has its five parts in order, and a command to confirm it", () => {
  for (const [name, text] of entries) {
    const parts = [...text.matchAll(/^- \*\*(\w+):\*\* (.{5,})$/gm)];
    assert.deepEqual(
      parts.map(([, part]) => part),
      PARTS,
      name,
    );
    assert.match(parts[2]?.[2] ?? "", /^`.+`/, name);
  }
});

test("every alert links to its entry", () => {
  for (const { alert, annotations } of alerts)
    assert.equal(annotations?.["runbook_url"], `${INSTALLED}#${alert.toLowerCase()}`);
});

test("an entry that acknowledges a condition names one that can latch", () => {
  for (const [, name = ""] of page.text.matchAll(/socle health ack ([A-Z][a-z]\w+)/g))
    assert.ok(conditions.includes(name), name);
});
