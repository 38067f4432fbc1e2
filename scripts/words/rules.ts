/** Turns of phrase that make a reader guess, and the terms of the field in their place. */
const banned: readonly [phrase: RegExp, instead: string][] = [
  [
    /\b(is|are|was|were|be|been|being) told\b|\btold (of|by|to|in|that|what|which|how)\b/i,
    "reported, listed, sent or logged",
  ],
  [/\bwho asks\b|\bwho asked\b/i, "the caller"],
  [/\bwhat (of it|of them|befell)\b|\bbef(a|e)lls?\b/i, "the thing itself"],
  [/\b(nobody|somebody|anybody|everybody)('s)?\b/i, "the caller, client or owner that is meant"],
  [/\bwhoever\b/i, "a caller that, clients that"],
  [/\blets? (it |them )?go\b/i, "releases, closes"],
  [/\bhears?\b/i, "receives"],
  [/\bat the door\b/i, "before any work"],
  [/\btells (whether|which|what|who|apart|of|that|how)\b|\btold apart\b/i, "reports, distinguishes"],
  [/\bin good order\b/i, "cleanly"],
  [/\b(is|are|was|were|can|cannot|could) (not )?(to )?be had\b|\bto be had\b/i, "is available"],
  [/\bcomes? to pass\b|\bcame to nothing\b/i, "happens, fails"],
  [/\bwhat (is|was) there\b/i, "the objects themselves"],
  [/\bwhat (became|becomes|had become|has become) of\b/i, "the outcome"],
  [/\b(has|have|had) (its|their) turns?\b/i, "runs, ran"],
  [/\b(it|who|that) is let in\b|\blets? in\b/i, "admits, accepts"],
  [/\ball the same\b/i, "still, anyway"],
];

export interface Banned {
  readonly line: number;
  readonly phrase: string;
  readonly instead: string;
}

/** Each banned phrase of a text, with its line. Text between backquotes and the system's user "nobody" do not count. */
export function bannedIn(text: string): Banned[] {
  return text.split("\n").flatMap((line, index) => {
    const prose = line.replaceAll(/`[^`]*`|"nobody"/g, "");
    return banned.flatMap(([phrase, instead]) => {
      const found = phrase.exec(prose);
      return found === null ? [] : [{ line: index + 1, phrase: found[0], instead }];
    });
  });
}

export const isProse = (file: string): boolean => file.endsWith(".md");

const MOST_WORDS = 30;

/** Sentences of a page's paragraphs and lists that are longer than a reader holds in mind. Tables and code do not count. */
export function longSentencesIn(page: string): { readonly line: number; readonly words: number }[] {
  let isCode = false;
  let paragraph = "";
  let begun = 1;
  const found: { line: number; words: number }[] = [];
  const end = (): void => {
    for (const sentence of paragraph.split(/(?<=[.!?:;])\s+/)) {
      const words = sentence.split(/\s+/).filter((word) => /\w/.test(word)).length;
      if (words > MOST_WORDS) found.push({ line: begun, words });
    }
    paragraph = "";
  };
  page.split("\n").forEach((line, index) => {
    if (/^\s*(```|~~~)/.test(line)) isCode = !isCode;
    const isBreak = isCode || /^\s*($|\||#|```|~~~|<)/.test(line);
    if (isBreak || /^\s*([-*]|\d+\.)\s/.test(line)) end();
    if (isBreak) return;
    if (paragraph === "") begun = index + 1;
    paragraph += ` ${line.trim()}`;
  });
  end();
  return found;
}

const MOST_CHARACTERS = 72;

/** What is wrong with a commit's subject; undefined: nothing. */
export function subjectProblem(subject: string): string | undefined {
  if (subject.length > MOST_CHARACTERS) return `${subject.length} characters, ${MOST_CHARACTERS} at most`;
  if (/^[a-z0-9.]+(, [a-z0-9.]+)*: \S/.test(subject)) return undefined;
  return 'needs an area, as in "vm: raise the define queue limit"';
}
