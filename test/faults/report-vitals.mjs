// Loaded into an agent first (node --expose-gc --import): at SIGUSR2 it collects garbage and writes its memory and resources
// to the file SOCLE_VITALS.
import { renameSync, writeFileSync } from "node:fs";

const path = process.env.SOCLE_VITALS;

process.on("SIGUSR2", () => {
  globalThis.gc();
  const resources = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  writeFileSync(`${path}.new`, JSON.stringify({ ...process.memoryUsage(), resources }));
  renameSync(`${path}.new`, path);
});
