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
  for (const edit of edits) await plant(root, edit);
  return root;
}

async function plant(root: string, edit: Edit): Promise<void> {
  await writeFile(join(root, "agent", edit.file), await planted(edit, root));
}

/** The file with the bug. Throws if the agent's code has changed; then update the edit. */
export async function planted({ file, find, replace }: Edit, root = repository): Promise<string> {
  const text = await readFile(join(root, "agent", file), "utf8");
  const times = text.split(find).length - 1;
  assert.equal(
    times,
    1,
    `agent/${file} holds ${times} times: ${find}; adapt test/faults/history/planted-*.ts`,
  );
  return text.replace(find, () => replace);
}
