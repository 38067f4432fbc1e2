import { createHash } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import { messageBytes, pageBytes } from "../../kernel/text/message-bytes.ts";
import { inSlices, type Slice } from "../../kernel/concurrency/slice.ts";

const USUAL = 100;
const MOST = 250;

/** A page's maximum size: 0 asks for the default, and larger values are reduced to the maximum. */
export const pageSize = (asked: number): number => (asked === 0 ? USUAL : Math.min(asked, MOST));

/** The first items, converted, that fit a page's bytes: at least one. In slices. */
export const convertPage = <Item, Message extends object>(
  items: readonly Item[],
  convert: (item: Item) => Message,
  slice: Slice,
): Promise<Message[]> => inSlices(converting(items, convert), slice);

/** The page of a list that a request asks for. `items` are in the order of their ids; `query`: what the list depends on. */
export async function pageOf<Item, Message extends object>(
  list: {
    readonly items: readonly Item[];
    readonly idOf: (item: Item) => string;
    readonly request: { readonly pageSize: number; readonly pageToken: string };
    readonly query: unknown;
  },
  convert: (item: Item) => Message,
  slice: Slice,
): Promise<{
  readonly messages: Message[];
  readonly rest: { readonly nextPageToken: string; readonly totalSize: number };
}> {
  const { items, idOf, request, query } = list;
  const afterId = afterIdOf(request.pageToken, query);
  const from = afterId === undefined ? 0 : items.findIndex((item) => idOf(item) > afterId);
  const left = from < 0 ? [] : items.slice(from);
  const messages = await convertPage(left.slice(0, pageSize(request.pageSize)), convert, slice);
  const last = left[messages.length - 1];
  const nextPageToken =
    last === undefined || messages.length === left.length ? "" : pageToken(idOf(last), query);
  return { messages, rest: { nextPageToken, totalSize: items.length } };
}

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
 * A page token: opaque to callers. It holds the last id of the page and its query, so that a token used with another filter
 * is refused instead of returning a mixed list.
 */
export const pageToken = (afterId: string, query: unknown): string =>
  Buffer.from(JSON.stringify([1, afterId, digest(query)])).toString("base64url");

/** The id to continue after; undefined for the first page. Throws `invalid` PAGE_TOKEN_INVALID. */
export function afterIdOf(token: string, query: unknown): string | undefined {
  if (token === "") return undefined;
  const [version, afterId, queryDigest] = parse(token);
  if (version === 1 && typeof afterId === "string" && queryDigest === digest(query)) return afterId;
  throw new SocleError(
    "invalid",
    "PAGE_TOKEN_INVALID",
    "the page token does not belong to this list; start again without it, and keep the filter on each page",
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
