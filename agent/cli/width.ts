import stringWidth from "string-width";

/** Columns that a text takes on a terminal: two for wide East Asian characters, none for colours and combining marks. */
export function widthOf(text: string): number {
  return /^[ -~]*$/.test(text) ? text.length : stringWidth(text);
}

/** The longest beginning that fits into `width` columns. */
export function clip(text: string, width: number): string {
  let clipped = "";
  let left = width;
  for (const character of text) {
    left -= widthOf(character);
    if (left < 0) break;
    clipped += character;
  }
  return clipped;
}

export function pad(text: string, width: number, align: "left" | "right" = "left"): string {
  const blanks = " ".repeat(Math.max(0, width - widthOf(text)));
  return align === "right" ? blanks + text : text + blanks;
}
