/**
 * R4 search.html#escaping: in a value `\,` `\$` `\|` and `\\` stand for the character itself. Splitting comes first, by comma, then `$`
 * (composite), then `|`; only a part that is not split further is unescaped.
 */
export function splitValue(text: string, mark: ',' | '$' | '|'): string[] {
  const parts = [''];
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    const taken = character === '\\' ? text.slice(at, at + 2) : character;
    if (taken === mark) parts.push('');
    else parts[parts.length - 1] += taken;
    at += taken.length - 1;
  }
  return parts;
}

/** The part as it was meant. A backslash before any other character stands for itself. */
export const unescaped = (part: string): string => part.replace(/\\([\\,$|])/g, '$1');

/** The other way, for a value that goes into a query as it is. */
export const escaped = (value: string): string => value.replace(/[\\,$|]/g, '\\$&');
