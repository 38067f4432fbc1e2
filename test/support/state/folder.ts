import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A folder of its own for a test, gone when it ends. */
export async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-state-"));
  // Hooks run in their order: what still writes here is told to stop by a later one.
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  return directory;
}
