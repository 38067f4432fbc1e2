import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { configSchema } from "../../../agent/config/schema.ts";
import { allCollectors } from "../../../agent/metrics/collectors/index.ts";
import type { Dashboard } from "../../../scripts/dashboards/build.ts";
import { generatedDashboards } from "../../../scripts/gen-dashboards.ts";
import { parseCommandLine } from "../../support/cli/parsing.ts";

const directory = join(import.meta.dirname, "..", "..", "..", "systemd", "prometheus");

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

const rules = (
  parse(await readFile(join(directory, "socle.rules.yaml"), "utf8")) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);
const dashboards = [...generatedDashboards()].map(
  ([file, json]) => [file, json, JSON.parse(json) as Dashboard] as const,
);
const expressions = [
  ...rules.map(({ alert, record, expr }) => [alert ?? record ?? "", expr] as const),
  ...dashboards.flatMap(([file, , { panels }]) =>
    panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [`${file}: ${title}`, expr] as const),
    ),
  ),
];

/** The labels of each metric by its name; each has the target's own labels too. */
const exposed = new Map<string, readonly string[]>([
  ["up", ["job"]],
  ["ALERTS", ["alertname", "alertstate"]],
  ...["success", "duration_seconds", "last_success_timestamp_seconds"].map(
    (what) => [`socle_collector_${what}`, ["collector"]] as const,
  ),
  ...allCollectors().flatMap(({ families }) =>
    families.flatMap(({ name, kind, labels }): (readonly [string, readonly string[]])[] =>
      kind === "histogram"
        ? [
            [name, labels],
            [`${name}_bucket`, [...labels, "le"]],
            [`${name}_sum`, labels],
            [`${name}_count`, labels],
          ]
        : [[name, labels]],
    ),
  ),
]);
const recorded = new Set(rules.map(({ record }) => record));

for (const [file, json] of dashboards) {
  test(`dashboards/${file} matches its source (else: node --import tsx scripts/gen-dashboards.ts)`, async () => {
    assert.equal(await readFile(join(directory, "dashboards", file), "utf8"), json);
  });
}

test("every metric in rules and dashboards is one that the agent exposes, with the selected labels", () => {
  const wrong: string[] = [];
  for (const [where, expr] of expressions) {
    const metrics = [
      ...expr.matchAll(/\b(socle[_:][a-z0-9_:]+|(?:process|nodejs)_[a-z0-9_]+|up|ALERTS)\b(?:\{([^}]*)\})?/g),
    ];
    if (metrics.length === 0) wrong.push(`${where}: no metric in ${expr}`);
    for (const [, metric = "", selector = ""] of metrics) {
      const labels = exposed.get(metric);
      if (labels === undefined && !recorded.has(metric)) wrong.push(`${where}: there is no ${metric}`);
      for (const [, label = ""] of selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
        if (labels !== undefined && !["instance", "job", ...labels].includes(label))
          wrong.push(`${where}: ${metric} has no label ${label}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

/** The labels that the series of an expression may have: its metrics', or its grouping's. */
function labelsOf(expr: string): Set<string> {
  const labels = new Set(["instance", "job"]);
  for (const [metric = ""] of expr.matchAll(/\b(?:socle[_:][a-z0-9_:]+|up|ALERTS)\b/g)) {
    const record = rules.find(({ record }) => record === metric);
    for (const label of record === undefined ? (exposed.get(metric) ?? []) : labelsOf(record.expr))
      labels.add(label);
  }
  return labels;
}

test("every label in a grouping, a legend or an alert's text exists", () => {
  const wrong: string[] = [];
  const check = (where: string, expr: string, labels: Iterable<string>): void => {
    const there = labelsOf(expr);
    for (const label of labels)
      if (!there.has(label)) wrong.push(`${where}: there is no ${label} in ${expr}`);
  };
  for (const [where, expr] of expressions)
    for (const [, list = ""] of expr.matchAll(/\b(?:by|on|group_left|without) \(([^)]*)\)/g))
      check(
        where,
        expr,
        list.split(",").flatMap((label) => label.trim() || []),
      );
  const grouped = (expr: string): string[] | undefined =>
    /^sum by \(([^)]*)\) \(.*\)$/
      .exec(expr)?.[1]
      ?.split(",")
      .map((label) => label.trim());
  const checkWords = (where: string, expr: string, named: readonly string[]): void => {
    check(where, expr, named);
    const kept = grouped(expr);
    for (const label of named)
      if (kept?.includes(label) === false) wrong.push(`${where}: ${label} is summed away in ${expr}`);
  };
  for (const [file, , { panels }] of dashboards)
    for (const { title, targets = [] } of panels)
      for (const { expr, legendFormat } of targets)
        checkWords(
          `${file}: ${title}`,
          expr,
          [...(typeof legendFormat === "string" ? legendFormat : "").matchAll(/\{\{(\w+)\}\}/g)].map(
            ([, label = ""]) => label,
          ),
        );
  for (const { alert = "", expr, annotations = {} } of alerts)
    checkWords(
      alert,
      expr,
      [
        ...Object.values(annotations)
          .join(" ")
          .matchAll(/\$labels\.(\w+)/g),
      ].map(([, label = ""]) => label),
    );
  assert.deepEqual(wrong, []);
});

test("every variable of a dashboard selects labels that exist", () => {
  for (const [file, json] of dashboards)
    for (const [, metric = "", label = ""] of json.matchAll(/label_values\((\w+)(?:\{[^}]*\})?, (\w+)\)/g)) {
      const labels = exposed.get(metric);
      assert.ok(
        labels !== undefined && ["instance", ...labels].includes(label),
        `${file}: ${metric} ${label}`,
      );
    }
});

test("every alert states its severity, what happened and what to do", () => {
  for (const { alert = "", labels, annotations } of alerts) {
    assert.match(alert, /^Socle[A-Z]/);
    assert.match(labels?.["severity"] ?? "", /^(info|warning|critical)$/, alert);
    for (const words of ["summary", "runbook"])
      assert.ok((annotations?.[words] ?? "").length > 20, `${alert}: ${words}`);
  }
  assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length, "an alert is defined twice");
});

/** The commands and names in it, without those from labels. */
const runbooks = alerts.map(({ alert = "", annotations }) => ({
  alert,
  words: (annotations?.["runbook"] ?? "").replaceAll(/\{\{.*?\}\}/g, ""),
}));

test("socle parses every socle command in a runbook", async () => {
  const verbs = /^(names?|says|tells?|gives|shows|goes|there)$/;
  for (const { alert, words } of runbooks) {
    for (const [, text = ""] of words.matchAll(/\bsocle ((?:-{0,2}[A-Za-z]+\b ?)+)/g)) {
      const all = text.trim().split(" ");
      const end = all.findIndex((word) => verbs.test(word));
      const command = end < 0 ? all : all.slice(0, end);
      await assert.doesNotReject(parseCommandLine(command), `${alert}: socle ${command.join(" ")}`);
    }
  }
});

test("every configuration key in a runbook exists", () => {
  const config: Readonly<Record<string, unknown>> = configSchema.parse({});
  for (const { alert, words } of runbooks) {
    for (const [key, section = "", name = ""] of words.matchAll(
      /(?<!sysctl )\b([a-z]+)\.([a-z][A-Za-z]*)\b/g,
    ))
      assert.ok(Object.hasOwn(config[section] ?? {}, name), `${alert}: there is no ${key}`);
  }
});

test("every alert has its test with promtool", async () => {
  const names: string[] = [];
  for (const name of ["socle.rules.test.yaml", "socle.rules.days.test.yaml"]) {
    const { tests } = parse(await readFile(join(directory, name), "utf8")) as { tests: { name: string }[] };
    names.push(...tests.map((tested) => tested.name));
  }
  assert.deepEqual(names.toSorted(), alerts.map(({ alert }) => alert).toSorted());
});

for (const [file, , dashboard] of dashboards) {
  test(`the panels of ${file} have distinct ids, queries and positions`, () => {
    assert.match(dashboard.uid, /^socle-[a-z]+$/);
    const taken = new Set<string>();
    const ids = new Set<number>();
    for (const { id, type, title, gridPos, targets } of dashboard.panels) {
      assert.ok(!ids.has(id), `${title}: id ${id} is taken`);
      ids.add(id);
      assert.ok(["row", "timeseries", "stat", "table", "bargauge", "state-timeline"].includes(type), type);
      if (type !== "row")
        assert.ok((targets ?? []).every(({ expr }) => expr !== "") && targets?.length !== 0, title);
      assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, `${title} is wider than the page`);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x},${y}`), `${title} overlaps another panel`);
          taken.add(`${x},${y}`);
        }
    }
  });
}
