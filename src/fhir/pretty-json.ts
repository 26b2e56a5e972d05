/** Indents JSON text without parsing it, so that numbers stay as they are written. `text` must be valid JSON without white space. */
export function prettyJson(text: string): string {
  let out = '';
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text.charAt(at);
    if (c === '"') {
      const end = endOfString(text, at);
      out += text.slice(at, end + 1);
      at = end;
    } else if (c === '{' || c === '[') out += `${c}\n${'  '.repeat(++depth)}`;
    else if (c === '}' || c === ']') out += `\n${'  '.repeat(--depth)}${c}`;
    else if (c === ',') out += `,\n${'  '.repeat(depth)}`;
    else out += c === ':' ? ': ' : c;
  }
  return out;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
  return at;
}
