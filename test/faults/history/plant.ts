import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A bug that the checker must find: replacements in a copy of the agent. */
export interface PlantedBug {
  readonly name: string;
  /** The bug's description for the report. */
  readonly what: string;
  readonly edits: readonly Edit[];
  /** Rules that may detect it. */
  readonly rules: readonly string[];
  /** The seed of a simulated history that shows it; 1 by default. */
  readonly seed?: number;
  /** The seed of a real history that shows it, if real histories do. */
  readonly realSeed?: number;
}

export interface Edit {
  /** Below agent/. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

export const effectRules = [
  "every effect belongs to one operation",
  "operations of a VM neither overlap nor repeat",
];

/** Starts at seed 1 instead of a seed that shows the bug. */
export const isFromTheFirst = process.env["PLANTED_FROM_THE_FIRST"] === "1";

const repository = join(import.meta.dirname, "../../..");

/** A copy of the repository's `paths` with a bug in its agent; `cleanUp` removes it. */
export async function copyWith(
  edits: readonly Edit[],
  paths: readonly string[],
  cleanUp: (remove: () => Promise<void>) => void,
): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "socle-planted-"));
  cleanUp(() => rm(root, { recursive: true, force: true }));
  for (const path of ["agent", "proto", "package.json", "tsconfig.json", ...paths]) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await cp(join(repository, path), join(root, path), { recursive: true });
  }
  await symlink(join(repository, "node_modules"), join(root, "node_modules"));
  for (const path of new Set(edits.map(({ file }) => `agent/${file}`)))
    await writeFile(join(root, path), await readPlanted(edits, path));
  return root;
}

/** A file of the repository with the bug in it. */
export const readPlanted = async (edits: readonly Edit[], path: string): Promise<string> =>
  plantedSource(edits, await readFile(join(repository, path), "utf8"), path);

/** The source with the edits of its path. Throws if the agent's code has changed; then update the edit. */
function plantedSource(edits: readonly Edit[], source: string, path: string): string {
  let changed = source;
  for (const { file, find, replace } of edits) {
    if (`agent/${file}` !== path) continue;
    const times = changed.split(find).length - 1;
    assert.equal(
      times,
      1,
      `${path} holds ${times} times: ${find}; adapt test/faults/history/planted-*.ts or test/faults/*-bugs.ts`,
    );
    changed = changed.replace(find, () => replace);
  }
  return changed;
}
