import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "./thrown.ts";

/**
 * Makes a directory and those above it; one that is there stays as it is. Node's own recursive mkdir never returns where
 * the kernel answers ENOENT below a directory that exists, as it does under /proc.
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  if (await hasMade(path, mode)) return;
  await makeDirectory(dirname(path), mode);
  await mkdir(path, { mode });
  await syncName(path);
}

/**
 * Makes the new directory's name durable: what is synced in it later is lost in a power cut when its own name is. A parent
 * that this user cannot open is left as it is.
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

/** False when what it would lie in is not there. */
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
