/** V8 makes no slice of less. */
const SHORTEST_SLICE = 13;

/**
 * The same text, which keeps no other in memory. To V8 a part of a string is a slice that holds the whole of it, and a
 * string that was put together holds its parts: what is kept for long, of a document that is not, is better copied.
 */
export function ownText(text: string): string {
  return text.length < SHORTEST_SLICE ? text : Buffer.from(text, "utf8").toString("utf8");
}
