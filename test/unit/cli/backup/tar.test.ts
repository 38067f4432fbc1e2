import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";
import type { ByteSource } from "../../../../agent/cli/backup/byte-source.ts";
import { padding, readTar, tarEnd, tarHeader } from "../../../../agent/cli/backup/tar.ts";

const source = (bytes: Buffer): ByteSource => ({
  name: "archive",
  sizeBytes: bytes.length,
  read: (at, length) => Promise.resolve(bytes.subarray(at, at + length)),
  close: () => Promise.resolve(),
});
const file = (name: string, text: string): Buffer =>
  Buffer.concat([tarHeader(name, text.length, 1_000_000), Buffer.from(text), padding(text.length)]);
const archive = Buffer.concat([file("root.1.qcow2", "disk"), file("manifest.json", "{}"), tarEnd()]);

test("tar lists and reads an archive, and so does the reader", async () => {
  const listed = execFileSync("tar", ["--list", "--verbose", "--file=-"], { input: archive }).toString();
  assert.match(listed, /^-rw------- .* 4 .* root\.1\.qcow2\n-rw------- .* 2 .* manifest\.json\n$/);
  const files = await readTar(source(archive));
  assert.deepEqual([...files.keys()], ["root.1.qcow2", "manifest.json"]);
  assert.equal((await files.get("root.1.qcow2")?.read(1, 3))?.toString(), "isk");
  await assert.rejects(async () => await files.get("manifest.json")?.read(1, 2), {
    reason: "BACKUP_DAMAGED",
  });
});

test("a file beyond 8 GiB has its size in a record, as tar reads it", async () => {
  const size = 9 * 2 ** 30;
  const header = tarHeader("large.qcow2", size, 0);
  assert.equal(header.length, 3 * 512);
  const listed = execFileSync("sh", ["-c", "tar --list --verbose --file=- 2>/dev/null || true"], {
    input: header,
  });
  assert.match(listed.toString(), / 9663676416 .* large\.qcow2/);
  // An archive of that size, of which only the headers are there.
  const end = tarEnd();
  const sparse: ByteSource = {
    name: "archive",
    sizeBytes: header.length + size + end.length,
    read: (at, length) =>
      Promise.resolve(at < header.length ? header.subarray(at, at + length) : Buffer.alloc(length)),
    close: () => Promise.resolve(),
  };
  assert.equal((await readTar(sparse)).get("large.qcow2")?.sizeBytes, size);
});

test("an archive that is cut, changed, or has more than plain files is refused", async () => {
  const damaged = { reason: "BACKUP_DAMAGED" };
  for (let at = 0; at < archive.length - 1024; at += 256)
    await assert.rejects(readTar(source(archive.subarray(0, at))), damaged, `cut at ${at}`);
  const changed = Buffer.from(archive);
  changed.write("x", 0);
  await assert.rejects(readTar(source(changed)), damaged);
  const twice = Buffer.concat([file("a", "1"), file("a", "2"), tarEnd()]);
  await assert.rejects(readTar(source(twice)), damaged);
  const linked = execFileSync("sh", [
    "-c",
    "d=$(mktemp -d); cd $d; ln -s /etc/passwd link; tar --create link; rm -r $d",
  ]);
  await assert.rejects(readTar(source(linked)), damaged);
  for (const name of ["../manifest.json", "/etc/passwd", "a/b", ".hidden", "..", "", "a\nb", "-rf"])
    await assert.rejects(readTar(source(Buffer.concat([file(name, "1"), tarEnd()]))), damaged, name);
});
