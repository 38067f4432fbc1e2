import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, open, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

/** A filesystem in memory, which processes and namespaces that start later have too. `unmount` it at the end. */
export async function mountInMemory(
  name: string,
  sizeMib: number,
): Promise<{ readonly path: string; readonly unmount: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `socle-${name}-`));
  const options = ["-t", "tmpfs", "-o", `size=${sizeMib}m,mode=755`];
  await promisify(execFile)("mount", [...options, `socle-${name}`, path]);
  const unmount = async (): Promise<void> => {
    // Lazily: its users may end later.
    await promisify(execFile)("umount", ["--lazy", path]);
    await rmdir(path);
  };
  return { path, unmount };
}

/** A filesystem of one MiB, if this machine permits mounting one. */
export async function smallDisk(t: TestContext): Promise<string | undefined> {
  const path = await mkdtemp(join(tmpdir(), "socle-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "socle-test", path], { stdio: "ignore" });
  } catch {
    await rmdir(path);
    t.skip("tmpfs cannot be mounted here");
    return undefined;
  }
  t.after(async () => {
    // Lazily: a later hook may end its users.
    execFileSync("umount", ["--lazy", path]);
    await rmdir(path);
  });
  return path;
}

/** Fills it to the last byte. The file, once removed, frees the space. */
export async function fill(directory: string): Promise<string> {
  const path = join(directory, "filler");
  const file = await open(path, "a");
  try {
    for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2)) {
      try {
        for (;;) await file.write(Buffer.alloc(size));
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
      }
    }
  } finally {
    await file.close();
  }
  return path;
}
