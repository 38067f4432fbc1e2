import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { allCollectors } from "../../../agent/metrics/collectors/index.ts";
import { scrapeSickServer } from "../../support/metrics/sick-server.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures", "metrics");

for (const format of ["text", "openmetrics"] as const) {
  test(`a scrape of a sick server's hardware, read from its files, equals the golden one, in ${format}`, async (context) => {
    const golden = join(fixtures, `sick-server.${format}.txt`);
    const scraped = await scrapeSickServer(context, format);
    if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(golden, scraped);
    assert.equal(scraped, await readFile(golden, "utf8"));
  });
}

test("every metric has a sample in a golden scrape", async () => {
  const golden = (
    await Promise.all(
      ["scrape", "sick-server"].map((name) => readFile(join(fixtures, `${name}.text.txt`), "utf8")),
    )
  ).join("");
  // The process collector's values are Node's own, and differ from run to run.
  const families = allCollectors().flatMap(({ name, families }) => (name === "process" ? [] : families));
  const missing = families.filter(({ name }) => !new RegExp(`^${name}(_bucket)?[{ ]`, "m").test(golden));
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  );
});
