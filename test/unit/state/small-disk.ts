import { execFileSync } from "node:child_process";
import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A filesystem of one MiB, where this machine lets us make one. */
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
    execFileSync("umount", [path]);
    await rmdir(path);
  });
  return path;
}
