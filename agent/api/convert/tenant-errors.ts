import { methods } from "../../contract/methods.ts";
import { isAddress } from "../../kernel/text/ip-ranges.ts";
import { fixedText, shownMetadata, shownReasons } from "./tenant-texts.ts";

// What a caller of one tenant gets of an error. Denied by default: the text of a reason is shown if the reason is in the list of
// tenant-texts.ts, and if it has no path, no address, no id and no user that is not the tenant's, and no text of libvirt.
// Otherwise the caller gets a fixed text, and an id by which the provider finds the whole one.

/** The parts of an error that a caller can get. */
export interface ErrorParts {
  readonly kind: string;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
}

interface Sight {
  /** By which the provider finds the error. */
  readonly id: string;
  /** Whether the word is the id of something of the tenant. */
  readonly owns: (word: string) => boolean;
  /** The texts of the tenant's own request. */
  readonly words: () => Iterable<string>;
}

/** The error as the tenant's caller gets it: its parts, or a fixed text. */
export function forTenant(error: ErrorParts, sight: Sight): ErrorParts {
  const { kind, reason, message, fields } = error;
  const isFree = (text: string): boolean => foreignIn(text, sight) === undefined;
  const known = Object.entries(error.metadata).filter(
    ([key]) => shownMetadata.has(key) || /^free_/.test(key),
  );
  const users = (error.metadata["users"] ?? "").split(",").filter((user) => user !== "");
  const own = users.filter(sight.owns);
  const metadata = Object.fromEntries(
    known.flatMap(([key, value]) => {
      if (key === "users") return [[key, own.join(",")]];
      return isFree(value) ? [[key, value]] : [];
    }),
  );
  const texts = [message, ...Object.entries(fields).flat()];
  if (shownReasons.has(reason) && own.length === users.length && texts.every(isFree))
    return { kind, reason, message, metadata, fields };
  return {
    kind,
    reason,
    message: `${fixedText(reason, kind)} (${reason}). The provider finds the cause by the id ${sight.id}`,
    metadata: { ...metadata, error_id: sight.id },
    fields: {},
  };
}

/** Values that are the tenant's whatever they look like: an erasure's receipt is made for it. */
const receipts: ReadonlySet<string> = new Set(["receipt", "receipt_signature"]);

/** An operation's result without the paths and addresses of the host. */
export function resultForTenant(result: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const isShown = ([key, value]: [string, string]): boolean =>
    receipts.has(key) || (pathIn(value) ?? addressIn(value)) === undefined;
  return Object.fromEntries(Object.entries(result).filter(isShown));
}

/** A part of the text that is not the tenant's. */
function foreignIn(text: string, { owns, words }: Sight): string | undefined {
  if (LIBVIRTS.test(text)) return "libvirt's text";
  const isOwn = (part: string): boolean => {
    for (const word of words()) if (word.toLowerCase().includes(part.toLowerCase())) return true;
    return false;
  };
  const isForeign = (part: string): boolean => !isOwn(part);
  return (
    pathIn(text, isForeign) ??
    addressIn(text, isForeign) ??
    text.match(UUID)?.find((id) => !owns(id) && isForeign(id))
  );
}

const LIBVIRTS = /libvirt answered \S+ with:/;
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi;
const URL_TEXT = /\bhttps?:\/\/[^\s"']+/g;
/** A slash that begins a word: not that of POOL/VOLUME. */
const PATH = /(?<![\w.~%+)\]-])\/+[\w.~-][^\s"',;)]*/g;

/** Also with a port, or in a range. */
const ADDRESS = /\d+(?:\.\d+){3}|[0-9a-f]*:[0-9a-f:.]+/gi;

/** A path of the host. Neither a method of the contract nor a part of a URL is one. */
const pathIn = (text: string, isForeign = (_: string): boolean => true): string | undefined =>
  text
    .replaceAll(URL_TEXT, " ")
    .match(PATH)
    ?.find((path) => methods[path] === undefined && isForeign(path));

/** A URL's address is the one that its writer gave. */
const addressIn = (text: string, isForeign = (_: string): boolean => true): string | undefined =>
  text
    .replaceAll(URL_TEXT, " ")
    .match(ADDRESS)
    ?.map((part) => part.replace(/(?<!:)[.:]$/, ""))
    .find((part) => isAddress(part) && isForeign(part));

/** All texts of a request, decoded or parsed. */
export function* textsIn(value: unknown): Generator<string, void, undefined> {
  if (typeof value === "string") yield value;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    yield key;
    yield* textsIn(inner);
  }
}
