/** V8 makes no slices shorter than this. */
const SHORTEST_SLICE = 13;

/**
 * A copy of the text that keeps no other string in memory. In V8 a substring keeps its whole parent, and a concatenated
 * string keeps its parts. Copy texts that outlive their document.
 */
export const ownText = (text: string): string =>
  text.length < SHORTEST_SLICE ? text : Buffer.from(text, "utf8").toString("utf8");
