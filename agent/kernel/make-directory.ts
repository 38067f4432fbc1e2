import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "./thrown.ts";

/**
 * Makes a directory and its parents; an existing one is left as it is. Node's own recursive mkdir never returns if
 * the kernel answers ENOENT below a directory that exists, as under /proc.
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  if (await hasMade(path, mode)) return;
  await makeDirectory(dirname(path), mode);
  await mkdir(path, { mode });
  await syncName(path);
}

/**
 * Makes the new directory's name durable: without it, a power cut also loses files synced in the directory. A parent
 * that this user cannot open is skipped.
 */
async function syncName(path: string): Promise<void> {
  const parent = await open(dirname(path), "r").catch(() => undefined);
  try {
    await parent?.sync();
  } catch {
    // Some file systems (/proc, FUSE) have no sync of directories.
  } finally {
    await parent?.close();
  }
}

/** False when the parent does not exist. */
async function hasMade(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    await syncName(path);
    return true;
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT" && dirname(path) !== path) return false;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return true;
    throw thrown;
  }
}
