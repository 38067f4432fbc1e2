import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Body } from "../http/response.ts";

/** A file of the page, ready to be sent. */
export interface Asset extends Body {
  readonly contentType: string;
  readonly etag: string;
}

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml; charset=utf-8",
};

/** The files of a directory by name, in memory: requests never read the disk. */
export async function loadAssets(directory: string): Promise<ReadonlyMap<string, Asset>> {
  const assets = new Map<string, Asset>();
  for (const name of await readdir(directory)) {
    const contentType = contentTypes[extname(name)];
    if (contentType === undefined) continue;
    const plain = await readFile(join(directory, name));
    const etag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
    assets.set(name, { contentType, etag, plain, packed: await promisify(gzip)(plain, { level: 9 }) });
  }
  return assets;
}
