import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import type { Dashboard } from "../../scripts/dashboards/build.ts";
import { generatedDashboards } from "../../scripts/gen-dashboards.ts";

const directory = join(import.meta.dirname, "..", "..", "systemd", "prometheus");
const skip = existsSync("/usr/bin/promtool") ? false : "promtool is not installed: run scripts/setup --tests";
/** Rejects with promtool's output. */
const promtool = (...args: string[]): Promise<unknown> =>
  promisify(execFile)("promtool", args, { cwd: directory, timeout: 900_000 });

test("promtool accepts the rules, with its lint", { skip }, async () => {
  await promtool("check", "rules", "--lint=all", "--lint-fatal", "socle.rules.yaml");
});

test("each alert fires for a faulty host and not for a healthy one", { skip }, async () => {
  await promtool("test", "rules", "socle.rules.test.yaml", "socle.rules.days.test.yaml");
});

test("Prometheus parses every query of the dashboards", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "socle-dashboards-"));
  t.after(() => rm(folder, { recursive: true }));
  const queries = [...generatedDashboards().values()]
    .flatMap((json) => (JSON.parse(json) as Dashboard).panels)
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  const rules = queries.map((expr, index) => ({ record: `dashboard:query:${index}`, expr }));
  // JSON is YAML.
  const file = join(folder, "queries.yaml");
  await writeFile(file, JSON.stringify({ groups: [{ name: "dashboards", rules }] }));
  await promtool("check", "rules", "--lint=none", file);
});
