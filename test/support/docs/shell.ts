/** A token is a quoted part, a run of blanks, an operator or plain text. */
const TOKEN =
  /'[^']*'|"(?:\\.|[^"\\])*"|\\\n|\\.|\n|[ \t]+|#[^\n]*|\d?>>?|<<<|<|\|\||&&|[|;&]|[^\s'"\\|;&<>]+/g;

/**
 * The simple commands of a script in order, each as its words. Enough for the documentation: no
 * here-documents, no substitutions that hold operators. Redirections and comments are left out.
 */
export function commandsOf(script: string): string[][] {
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | undefined;
  let isTarget = false;
  const endWord = (): void => {
    if (word !== undefined && !isTarget) words.push(word);
    if (word !== undefined) isTarget = false;
    word = undefined;
  };
  const endCommand = (): void => {
    endWord();
    if (words.length > 0) commands.push(words);
    words = [];
  };
  for (const [token] of script.matchAll(TOKEN)) {
    if (/^[ \t]+$/.test(token) || token === "\\\n") endWord();
    else if (token.startsWith("#") && word === undefined) continue;
    else if (/^(\n|\|\|?|&&?|;)$/.test(token)) endCommand();
    else if (/^(\d?>>?|<<<|<)$/.test(token)) {
      endWord();
      isTarget = true;
    } else word = (word ?? "") + token.replace(/^(['"])(.*)\1$/s, "$2");
  }
  endCommand();
  return commands;
}
