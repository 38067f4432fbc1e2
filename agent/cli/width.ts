import widthOf from "string-width";

/** How many columns of a terminal a text takes: two for what East Asia writes wide, none for colours and accents. */
export { widthOf };

/** As much of its beginning as fits into so many columns. */
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
