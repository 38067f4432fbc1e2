import { plainBytes } from "../../kernel/text/message-bytes.ts";

/** Truncates the lists of one message to their byte bounds, and reports what it left out. */
export class ByteCut {
  /** Texts such as "12 of 40 networks are left out: ...". */
  readonly leftOut: string[] = [];

  /** The first items, converted, that fit `most` bytes. Yields to the event loop. */
  *list<Item, Message>(
    what: string,
    items: readonly Item[],
    most: number,
    convert: (item: Item) => Message,
  ): Generator<undefined, Message[], undefined> {
    const converted: Message[] = [];
    let bytes = 0;
    for (const item of items) {
      const message = convert(item);
      bytes += plainBytes(message);
      if (bytes > most) break;
      converted.push(message);
      yield;
    }
    this.#note(what, converted.length, items.length);
    return converted;
  }

  texts(what: string, texts: readonly string[], most: number): string[] {
    let bytes = 0;
    const over = texts.findIndex((text) => (bytes += plainBytes(text)) > most);
    const shown = over < 0 ? [...texts] : texts.slice(0, over);
    this.#note(what, shown.length, texts.length);
    return shown;
  }

  #note(what: string, shown: number, all: number): void {
    if (shown === all) return;
    this.leftOut.push(`${all - shown} of ${all} ${what} are left out: the answer has no room for more`);
  }
}

/** At most `most` characters. */
export const cutText = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most)}...` : text;
