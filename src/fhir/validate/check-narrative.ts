/**
 * R4 narrative.html (txt-1, txt-2): `div` is one well-formed XHTML `div` with some content, made of the elements and attributes of an
 * allow-list. Nothing in it runs, loads, or leaves the page: no script, no event attribute, no style that fetches, links only to http(s),
 * mailto, tel and places in the document, images also as `data:`. One pass over the text, linear. Gives the fault in words, or null.
 */
export function checkNarrative(div: string): string | null {
  const open: string[] = [];
  let at = 0;
  let roots = 0;
  let content = false;
  while (at < div.length) {
    const mark = div.indexOf('<', at);
    const text = div.slice(at, mark === -1 ? div.length : mark);
    if (text.trim() !== '') {
      if (open.length === 0) return ONE_DIV;
      if (!entitiesKnown(text)) return ENTITY;
      content = true;
    }
    if (mark === -1) break;
    const end = markupEnd(div, mark);
    if (end === -1) return NOT_WELL_FORMED;
    const markup = div.slice(mark, end);
    at = end;
    if (markup.startsWith('<!--')) continue;
    if (open.length === 0 && roots++ > 0) return ONE_DIV;
    const fault = tag(markup, open);
    if (fault) return fault;
    content ||= markup.startsWith('<img');
  }
  if (open.length > 0) return NOT_WELL_FORMED;
  return content ? null : 'The narrative is empty; leave text out when there is nothing to say.';
}

const ONE_DIV = 'The narrative must be one XHTML div.';
const NOT_WELL_FORMED = 'The narrative is not well-formed XHTML.';
const NOT_ALLOWED =
  'The narrative has an element, attribute or link that is not allowed; see R4 narrative.html.';
const ENTITY = 'The narrative has an entity that XML does not know; write the character itself.';
export const NARRATIVE_DEPTH_MAX = 64;

function markupEnd(div: string, mark: number): number {
  if (div.startsWith('<!--', mark)) {
    const end = div.indexOf('-->', mark + 4);
    return end === -1 ? -1 : end + 3;
  }
  let quote = '';
  for (let at = mark + 1; at < div.length; at++) {
    const c = div.charAt(at);
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === '>') return at + 1;
    else if (c === '<') return -1;
  }
  return -1;
}

const CLOSING = /^<\/([A-Za-z][A-Za-z0-9:]*)\s*>$/;
const OPENING = /^<([A-Za-z][A-Za-z0-9:]*)((?:\s+[A-Za-z_][\w:.-]*\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>$/;
const ATTRIBUTE = /([A-Za-z_][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;

/** Takes one tag, keeps the stack of open elements. */
function tag(markup: string, open: string[]): string | null {
  const closing = CLOSING.exec(markup);
  if (closing) return open.pop() === closing[1] ? null : NOT_WELL_FORMED;
  const opening = OPENING.exec(markup);
  if (!opening) return NOT_WELL_FORMED;
  const [, name = '', attributes = '', selfClosed] = opening;
  if (open.length === 0 && name !== 'div') return ONE_DIV;
  if (!ELEMENTS.has(name) || open.length >= NARRATIVE_DEPTH_MAX) return NOT_ALLOWED;
  for (const [, attribute = '', double, single] of attributes.matchAll(ATTRIBUTE)) {
    const value = double ?? single ?? '';
    if (value.includes('<')) return NOT_WELL_FORMED;
    if (!entitiesKnown(value)) return ENTITY;
    if (!attributeAllowed(name, attribute, value)) return NOT_ALLOWED;
  }
  if (selfClosed !== '/') open.push(name);
  return null;
}

/** XHTML 1.0 without its forms, scripts, frames and head, as narrative.html lists it. */
const ELEMENTS = new Set(
  (
    'div p span br hr h1 h2 h3 h4 h5 h6 a img table caption colgroup col thead tbody tfoot tr th td ul ol li dl dt dd ' +
    'abbr acronym address b bdo big blockquote cite code del dfn em i ins kbd pre q samp small strong sub sup tt u var map area'
  ).split(' '),
);

const ATTRIBUTES = new Set(
  (
    'xmlns class id title lang xml:lang dir style name href rel src alt width height longdesc border cellpadding cellspacing ' +
    'summary frame rules align valign char charoff span colspan rowspan abbr axis headers scope nowrap bgcolor start type value ' +
    'cite datetime compact shape coords usemap ismap hreflang charset rev accesskey tabindex clear size noshade'
  ).split(' '),
);

function attributeAllowed(element: string, name: string, value: string): boolean {
  if (!ATTRIBUTES.has(name)) return false;
  if (name === 'xmlns') return value === 'http://www.w3.org/1999/xhtml';
  const plain = decoded(value);
  if (name === 'style')
    return !/url\(|expression|import|behaviou?r|-moz-binding|javascript|\\|@/i.test(
      plain.replace(OWN_PICTURE, ''),
    );
  if (name === 'href' || name === 'cite' || name === 'longdesc') return LINK.test(plain);
  if (name === 'src') return element === 'img' && (LINK.test(plain) || IMAGE.test(plain));
  return true;
}

/** A scheme we know, or none: anything before the first `:` must not be a scheme that runs. */
// `urn:` names another entry of a Bundle and leads nowhere by itself.
const LINK = /^(?:(?:https?|mailto|tel):|urn:(?:uuid|oid):|[^:]*$|[^:]*[/?#])/i;
/** The pictures of published tables: in the document, or beside it. */
const OWN_PICTURE =
  /url\(['"]?(?:data:image\/(?:png|jpeg|gif);base64,[A-Za-z0-9+/=]*|[\w-]+(?:\.[\w-]+)*)['"]?\)/gi;
const IMAGE = /^data:image\/(?:png|jpeg|gif);base64,/i;

/** What a browser makes of it: character references, and white space and control characters it drops from a URL. */
function decoded(value: string): string {
  const text = value
    .replace(/&#x([\da-f]{1,6});?/gi, (_all, hex: string) => fromCode(Number.parseInt(hex, 16)))
    .replace(/&#(\d{1,7});?/g, (_all, digits: string) => fromCode(Number(digits)))
    .replace(
      /&(amp|lt|gt|quot|apos|colon|tab|newline);?/gi,
      (_all, name: string) => NAMED[name.toLowerCase()] ?? '',
    );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: browsers drop them, so does this
  return text.replace(/[\u0000-\u0020\u007F]/g, '');
}

const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  colon: ':',
  tab: '',
  newline: '',
};

const fromCode = (code: number): string => (code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '');

/** XML knows five named entities; HTML's others are not declared in a FHIR document. */
function entitiesKnown(text: string): boolean {
  if (!text.includes('&')) return true;
  return text.replace(/&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[\dA-Fa-f]{1,6});/g, '').includes('&') === false;
}
