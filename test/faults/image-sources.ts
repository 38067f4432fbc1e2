import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ImageServer, Served } from "../support/image-server.ts";

const run = promisify(execFile);

const KIB = 1024;
/** Longer than any try: each attempt is cut. */
const ALWAYS = 1_000_000;

/** What a server sends for one import. */
export interface Source {
  readonly what: string;
  /** `later`: only once `mend` was called, as for a download that stands still. */
  readonly end: "published" | "refused" | "later";
  /** Its bytes have the digest that the import names: only their header is unsafe. */
  readonly unsafe?: Buffer;
  /** Serves it under a path, and returns the URL. */
  readonly serve: (server: ImageServer, path: string, bytes: Buffer) => string;
}

const serving =
  (served: Omit<Served, "bytes">, change: (bytes: Buffer) => Buffer = (bytes) => bytes) =>
  (server: ImageServer, path: string, bytes: Buffer): string =>
    server.serve(path, { ...served, bytes: change(bytes) });

/** Another byte in the data: the header stays as it was. */
const withOneByteChanged = (bytes: Buffer): Buffer => {
  const changed = Buffer.from(bytes);
  const last = changed.length - 1;
  changed[last] = (changed[last] ?? 0) ^ 1;
  return changed;
};

/** Sources in the order in which a campaign plays them. `hostile`: bytes of an unsafe image. */
export function sources(hostile: readonly Hostile[]): readonly Source[] {
  const plain: readonly Source[] = [
    { what: "whole", end: "published", serve: serving({}) },
    {
      what: "cut twice",
      end: "published",
      serve: serving({ cuts: { afterBytes: 64 * KIB, times: 2 } }),
    },
    { what: "one byte changed", end: "refused", serve: serving({}, withOneByteChanged) },
    {
      what: "cut at once, each time",
      end: "refused",
      serve: serving({ cuts: { afterBytes: 0, times: ALWAYS } }),
    },
    { what: "standing still in its middle", end: "later", serve: serving({ stopsAfterBytes: 128 * KIB }) },
    {
      what: "cut, and ignoring ranges",
      end: "published",
      serve: serving({ cuts: { afterBytes: 64 * KIB, times: 1 }, ignoresRanges: true }),
    },
    {
      what: "a loop of redirects",
      end: "refused",
      serve: (server, path) => server.redirect(path, path),
    },
    { what: "standing still before its header", end: "later", serve: serving({ stopsAfterBytes: 100 }) },
    {
      what: "shorter than the digest's bytes",
      end: "refused",
      serve: serving({}, (bytes) => bytes.subarray(0, bytes.length - 512)),
    },
    { what: "without a length", end: "refused", serve: serving({ isChunked: true }) },
    {
      what: "another host's page",
      end: "refused",
      serve: serving({}, () => Buffer.from("<html>Please log in</html>".padEnd(4096))),
    },
    { what: "nothing at its URL", end: "refused", serve: (server, path) => server.url(`${path}-none`) },
  ];
  const unsafe = hostile.map(({ what, bytes }): Source => ({
    what,
    end: "refused",
    serve: (server, path) => server.serve(path, { bytes }),
  }));
  return [...plain, ...unsafe];
}

/** An image that names a file of the host. */
interface Hostile {
  readonly what: string;
  readonly bytes: Buffer;
}

/** Images whose own digest is right and whose header is not. */
export async function hostileImages(secret: string): Promise<readonly Hostile[]> {
  const directory = await mkdtemp(join(tmpdir(), "socle-hostile-"));
  const at = (name: string): string => join(directory, name);
  const create = async (name: string, ...args: readonly string[]): Promise<Buffer> => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", ...args, at(name), "1M"]);
    return await readFile(at(name));
  };
  try {
    const backed = await create("backed.qcow2", "-u", "-b", secret, "-F", "raw");
    const data = await create("data.qcow2", "-o", `data_file=${at("data.raw")},data_file_raw=on`);
    await writeFile(at("key"), "passphrase");
    const encrypted = await create(
      "encrypted.qcow2",
      ...["--object", `secret,id=key,file=${at("key")}`],
      ...["-o", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"],
    );
    const plain = await create("plain.qcow2");
    const absurd = Buffer.from(plain);
    absurd.fill(0x7f, 24, 32);
    return [
      { what: "an overlay of a file of the host", bytes: backed },
      { what: "with its data in another file", bytes: data },
      { what: "encrypted", bytes: encrypted },
      { what: "with an absurd capacity", bytes: absurd },
      { what: "with a header that ends early", bytes: plain.subarray(0, 60) },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
