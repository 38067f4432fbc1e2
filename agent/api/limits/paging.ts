import { createHash } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import { messageBytes, pageBytes } from "../../kernel/text/message-bytes.ts";
import { inSlices, type Slice } from "../../kernel/concurrency/slice.ts";

const USUAL = 100;
const MOST = 250;

/** How many items a page holds at most: 0 asks for the default, and more than the most are cut to it. */
export function pageSize(asked: number): number {
  return asked === 0 ? USUAL : Math.min(asked, MOST);
}

/** The first items, converted, as many as there are bytes for in a page: at least one. In slices. */
export const convertPage = <Item, Message extends object>(
  items: readonly Item[],
  convert: (item: Item) => Message,
  slice: Slice,
): Promise<Message[]> => inSlices(converting(items, convert), slice);

function* converting<Item, Message extends object>(
  items: readonly Item[],
  convert: (item: Item) => Message,
): Generator<undefined, Message[], undefined> {
  const page: Message[] = [];
  let bytes = 0;
  for (const item of items) {
    const message = convert(item);
    bytes += messageBytes(message);
    if (page.length > 0 && bytes > pageBytes) break;
    page.push(message);
    yield;
  }
  return page;
}

/**
 * A page token: opaque to callers. It holds the last id of the page and which query it belongs to, so that a token used
 * with another filter is refused instead of giving a list that never was.
 */
export function pageToken(afterId: string, query: unknown): string {
  return Buffer.from(JSON.stringify([1, afterId, digest(query)])).toString("base64url");
}

/** The id to go on behind; undefined for the first page. Throws `invalid` PAGE_TOKEN_INVALID. */
export function afterIdOf(token: string, query: unknown): string | undefined {
  if (token === "") return undefined;
  const [version, afterId, queryDigest] = parse(token);
  if (version === 1 && typeof afterId === "string" && queryDigest === digest(query)) return afterId;
  throw new SocleError(
    "invalid",
    "PAGE_TOKEN_INVALID",
    "the page token is not one of this list; begin again without it and keep the filter from page to page",
    { details: { fields: { page_token: "does not belong to this list" } } },
  );
}

function parse(token: string): unknown[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return [];
  }
}

const digest = (query: unknown): string =>
  createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 16);
