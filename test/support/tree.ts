import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Roots } from "../../agent/hardware/roots.ts";

const hosts = join(import.meta.dirname, "..", "fixtures", "hosts");

/**
 * A machine's files, unpacked from test/fixtures/hosts/NAME.txt into a directory that is removed after the
 * test. A line `@ PATH` starts a file, the lines up to the next `@` are its content; `@ PATH -> TARGET` is a
 * symbolic link, `@ PATH/` an empty directory, `@ PATH !EACCES` (or another error) a file that cannot be
 * read. Lines before the first `@` are remarks. `changes` replaces the content of files, or removes them
 * (null).
 */
export async function unpackHost(
  context: { readonly after: (clean: () => Promise<void>) => void },
  name: string,
  changes: Readonly<Record<string, string | null>> = {},
): Promise<Roots & { readonly root: string }> {
  const root = await mkdtemp(join(tmpdir(), `socle-${name}-`));
  context.after(() => rm(root, { recursive: true, force: true }));
  await unpackTree(await readFile(join(hosts, `${name}.txt`), "utf8"), root);
  for (const [path, content] of Object.entries(changes)) {
    if (content === null) await rm(join(root, path), { recursive: true });
    else await put(join(root, path), content);
  }
  return {
    root,
    procRoot: join(root, "proc"),
    sysRoot: join(root, "sys"),
    devRoot: join(root, "dev"),
    etcRoot: join(root, "etc"),
    runRoot: join(root, "run"),
  };
}

/** Unpacks the text of such a file into a directory. */
export async function unpackTree(text: string, root: string): Promise<void> {
  const [, ...entries] = `\n${text}`.split(/^@ /m);
  for (const entry of entries) {
    const end = entry.indexOf("\n");
    const head = end < 0 ? entry : entry.slice(0, end);
    const content = end < 0 ? "" : entry.slice(end + 1);
    const [, link, target] = /^(.*?) -> (.*)$/.exec(head) ?? [];
    const [, denied] = /^(.*?) !E[A-Z]+$/.exec(head) ?? [];
    if (link !== undefined && target !== undefined) {
      await mkdir(join(root, dirname(link)), { recursive: true });
      await symlink(target, join(root, link));
    } else if (denied !== undefined) {
      await deny(join(root, denied));
    } else if (head.endsWith("/")) {
      await mkdir(join(root, head), { recursive: true });
    } else {
      await put(join(root, head), content);
    }
  }
}

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

/** Root may read a file of mode 000, and no user may read a directory as a file. */
async function deny(path: string): Promise<void> {
  if (process.getuid?.() === 0) {
    await mkdir(path, { recursive: true });
    return;
  }
  await put(path, "");
  await chmod(path, 0);
}
