import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { readFilesByChild } from "../../../../agent/hardware/privileged/child-files.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";

const { signal } = new AbortController();

test("files whose child outlived its kill get no second child until it is gone; other files do", async () => {
  let started = 0;
  let release: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => (release = resolve));
  const late = (): Promise<never> => Promise.reject(new SocleError("timeout", "CHILD_TIMEOUT", "late"));
  const run = () => {
    started += 1;
    return { output: late(), gone };
  };
  const look = () => readFilesByChild("stuck files", ["/proc/version"], signal, { run });
  await assert.rejects(look(), { reason: "CHILD_TIMEOUT" });
  for (const round of [1, 2]) {
    await assert.rejects(
      look(),
      { reason: "CHILD_STUCK", message: /stuck files still runs, since 20/ },
      `round ${round}`,
    );
  }
  assert.equal(started, 1);
  const others = await readFilesByChild("other files", ["/proc/version"], signal);
  assert.match(others.get("/proc/version") ?? "", /^Linux/);
  release();
  await gone;
  const again = await readFilesByChild("stuck files", ["/proc/version"], signal);
  assert.equal(again.size, 1);
});

test("more files than one child gets are all read", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-files-"));
  context.after(() => rm(directory, { recursive: true }));
  const paths = Array.from({ length: 1000 }, (_, index) => join(directory, `0000:${index}`));
  for (const path of paths) await writeFile(path, path.slice(-3));
  const texts = await readFilesByChild(directory, paths, signal);
  assert.deepEqual(texts, new Map(paths.map((path) => [path, path.slice(-3)])));
});
