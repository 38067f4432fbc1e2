import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readDeadline } from "../../agent/hardware/reading.ts";
import type { Roots } from "../../agent/hardware/roots.ts";

/** Thousands of small files: /proc and /sys need no disk either. */
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
let trees = 0;
const hosts = join(import.meta.dirname, "..", "fixtures", "hosts");

/**
 * A machine's files, unpacked from test/fixtures/hosts/NAME.txt into a directory that is removed after the
 * test. A line `@ PATH` starts a file, the lines up to the next `@` are its content; `@ PATH -> TARGET` is a
 * symbolic link, `@ PATH/` an empty directory, `@ PATH !EACCES` (or another error) a file that cannot be
 * read. Lines before the first `@` are remarks. `changes` replaces the content of files, or removes them
 * (null).
 */
export function unpackHost(
  context: { readonly after: (clean: () => void) => void },
  name: string,
  changes: Readonly<Record<string, string | null>> = {},
): Promise<Roots & { readonly root: string }> {
  const root = mkdtempSync(join(memory, `socle-${name}-`));
  // A recorded file always answers, however slow the machine is.
  trees += 1;
  readDeadline.factor = 60;
  context.after(() => {
    rmSync(root, { recursive: true, force: true });
    trees -= 1;
    if (trees === 0) readDeadline.factor = 1;
  });
  unpackTree(readFileSync(join(hosts, `${name}.txt`), "utf8"), root);
  for (const [path, content] of Object.entries(changes)) {
    if (content === null) rmSync(join(root, path), { recursive: true });
    else {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
  }
  return Promise.resolve({
    root,
    procRoot: join(root, "proc"),
    sysRoot: join(root, "sys"),
    devRoot: join(root, "dev"),
    etcRoot: join(root, "etc"),
    runRoot: join(root, "run"),
  });
}

/** Unpacks the text of such a file into a directory. Synchronous: promises cost more than thousands of small files. */
export function unpackTree(text: string, root: string): void {
  const made = new Set<string>();
  const make = (directory: string): void => {
    if (made.has(directory)) return;
    mkdirSync(directory, { recursive: true });
    made.add(directory);
  };
  const [, ...entries] = `\n${text}`.split(/^@ /m);
  for (const entry of entries) {
    const end = entry.indexOf("\n");
    const head = end < 0 ? entry : entry.slice(0, end);
    const content = end < 0 ? "" : entry.slice(end + 1);
    const [, link, target] = /^(.*?) -> (.*)$/.exec(head) ?? [];
    const [, denied] = /^(.*?) !E[A-Z]+$/.exec(head) ?? [];
    const path = join(root, link ?? denied ?? head);
    make(dirname(path));
    if (target !== undefined) symlinkSync(target, path);
    else if (denied !== undefined) deny(path);
    else if (head.endsWith("/")) make(path);
    else writeFileSync(path, content);
  }
}

/** Root may read a file of mode 000, and no user may read a directory as a file. */
function deny(path: string): void {
  if (process.getuid?.() === 0) {
    mkdirSync(path, { recursive: true });
    return;
  }
  writeFileSync(path, "");
  chmodSync(path, 0);
}
