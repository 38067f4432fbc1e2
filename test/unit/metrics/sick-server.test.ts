import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { scrapeSickServer } from "./sick-server.ts";

for (const format of ["text", "openmetrics"] as const) {
  test(`the hardware of a sick server, from its files to the scrape, in ${format}`, async (context) => {
    const golden = join(import.meta.dirname, "..", "..", "fixtures", "metrics", `sick-server.${format}.txt`);
    const scraped = await scrapeSickServer(context, format);
    if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(golden, scraped);
    assert.equal(scraped, await readFile(golden, "utf8"));
  });
}
