import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A test's own folder, removed when it ends. */
export async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-state-"));
  // Hooks run in their order: a later one stops the writers of this folder.
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  return directory;
}
