/** One media type or media range with its parameters; names in lower case, values as sent, quotes removed. */
export interface MediaType {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** A header longer than this holds no media type anyone means. */
export const MEDIA_TYPE_CHARS_MAX = 4_096;

/**
 * Reads `Accept` or `Content-Type` (RFC 9110 8.3.1, 12.5.1): parts separated by commas outside quotes.
 * Gives an empty list for a header that is none; the caller decides what that means.
 */
export function parseMediaTypes(header: string): MediaType[] {
  if (header.length > MEDIA_TYPE_CHARS_MAX) return [];
  return splitOutsideQuotes(header, ',').flatMap((part) => {
    const [type = '', ...parameters] = splitOutsideQuotes(part, ';').map((piece) => piece.trim());
    if (!/^[\w!#$&^.+*-]+\/[\w!#$&^.+*-]+$/.test(type)) return [];
    return [{ type: type.toLowerCase(), parameters: Object.fromEntries(parameters.flatMap(parameter)) }];
  });
}

function parameter(text: string): [string, string][] {
  const at = text.indexOf('=');
  if (at <= 0) return [];
  const value = text.slice(at + 1).trim();
  const plain = /^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
  return [[text.slice(0, at).trim().toLowerCase(), plain]];
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const pieces: string[] = [];
  let quoted = false;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted && char === '\\') i++;
    else if (char === '"') quoted = !quoted;
    else if (char === separator && !quoted) {
      pieces.push(text.slice(start, i));
      start = i + 1;
    }
  }
  pieces.push(text.slice(start));
  return pieces;
}
