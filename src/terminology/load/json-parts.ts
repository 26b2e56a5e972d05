import { Failure } from '../../kernel/errors.ts';

/** R4 nests concepts in concepts; nobody nests deeper than this on purpose. */
export const JSON_DEPTH_MAX = 500;
/** One string, number or word of a file. */
export const JSON_TOKEN_CHARACTERS_MAX = 4_194_304;

/** An element of the array that is given out in parts, and the one it was nested in (null: it stands in the root). */
export interface JsonPart {
  readonly value: Record<string, unknown>;
  readonly parent: Record<string, unknown> | null;
}

/**
 * Reads one JSON object of any size chunk by chunk. The objects in arrays of one name (in the root, and in such objects at any depth) are
 * given out one by one, when they end, so inner ones before the one they are nested in; all else is kept in `root`.
 *
 * @throws Failure `terminology.import` where the text is no JSON
 */
export class JsonParts {
  readonly root: Record<string, unknown> = {};
  private readonly stack: Frame[] = [];
  private done: JsonPart[] = [];
  private rest = '';
  private ended = false;

  constructor(private readonly array: string) {}

  /** Takes the next chunk in and gives the parts that ended in it. */
  push(chunk: string): JsonPart[] {
    const text = this.rest + chunk;
    let at = 0;
    for (;;) {
      const next = this.token(text, at);
      if (next === null) break;
      at = next;
    }
    this.rest = text.slice(at);
    if (this.rest.length > JSON_TOKEN_CHARACTERS_MAX) throw malformed();
    const done = this.done;
    this.done = [];
    return done;
  }

  /** Throws when the object is not complete. */
  end(): void {
    if (!this.ended || this.rest.trim() !== '') throw malformed();
  }

  /** Takes one token; gives the place behind it, or null when the text ends within it. */
  private token(text: string, from: number): number | null {
    SPACE.lastIndex = from;
    SPACE.test(text);
    const at = SPACE.lastIndex;
    const sign = text[at];
    if (sign === undefined) return null;
    if (this.ended) throw malformed();
    if (sign === '"') {
      const end = endOfString(text, at + 1);
      if (end === null) return null;
      this.scalar(parsed(text.slice(at, end)), true);
      return end;
    }
    if (sign === '{' || sign === '[') this.open(sign === '[');
    else if (sign === '}' || sign === ']') this.close(sign === ']');
    else if (sign === ':' || sign === ',') this.separate(sign);
    else return this.word(text, at);
    return at + 1;
  }

  /** A number, true, false or null; it ends where something else begins, so the last one of a chunk waits for the next. */
  private word(text: string, at: number): number | null {
    WORD.lastIndex = at;
    if (!WORD.test(text)) throw malformed();
    const end = WORD.lastIndex;
    if (end === text.length) return null;
    this.scalar(parsed(text.slice(at, end)), false);
    return end;
  }

  private scalar(value: unknown, isString: boolean): void {
    const frame = this.stack.at(-1);
    if (!frame) throw malformed();
    if (isString && !frame.isArray && frame.key === null) frame.key = value as string;
    else put(frame, value);
  }

  private open(isArray: boolean): void {
    const outer = this.stack.at(-1);
    if (this.stack.length === JSON_DEPTH_MAX) throw malformed();
    if (!outer) {
      if (isArray) throw malformed();
      this.stack.push({ value: this.root, isArray, key: null, part: null, gives: false });
      return;
    }
    if (!outer.isArray && outer.key === null) throw malformed();
    const isPart = outer.gives && !isArray;
    const gives =
      isArray &&
      !outer.isArray &&
      outer.key === this.array &&
      (outer.part !== null || outer.value === this.root);
    const value = isArray ? [] : {};
    // What is given out is nobody's property: it must not pile up.
    if (!isPart && !gives) put(outer, value);
    else if (gives) outer.key = null;
    const part = isPart ? { value: value as Record<string, unknown>, parent: this.owner() } : null;
    this.stack.push({ value, isArray, key: null, part, gives });
  }

  /** The part that the array on top of the stack stands in. */
  private owner(): Record<string, unknown> | null {
    return this.stack.at(-2)?.part?.value ?? null;
  }

  private close(isArray: boolean): void {
    const frame = this.stack.pop();
    if (!frame || frame.isArray !== isArray || frame.key !== null) throw malformed();
    if (frame.part) this.done.push(frame.part);
    if (this.stack.length === 0) this.ended = true;
  }

  private separate(sign: string): void {
    const frame = this.stack.at(-1);
    if (!frame || (sign === ':') !== (frame.key !== null)) throw malformed();
  }
}

interface Frame {
  readonly value: object;
  readonly isArray: boolean;
  /** Of an object: the key whose value comes next. */
  key: string | null;
  readonly part: JsonPart | null;
  /** Is it an array whose objects are given out? */
  readonly gives: boolean;
}

function put(frame: Frame, value: unknown): void {
  if (frame.isArray) {
    (frame.value as unknown[]).push(value);
    return;
  }
  if (frame.key === null) throw malformed();
  // Set as an own property whatever its name: `__proto__` is a key like any other.
  Object.defineProperty(frame.value, frame.key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
  frame.key = null;
}

/** Behind the closing quote, or null. */
function endOfString(text: string, from: number): number | null {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\' && at - 1 - slashes >= from) slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
  return null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed();
  }
}

const SPACE = /[\s\ufeff]*/y;
const WORD = /[-+.\w]+/y;

const malformed = (): Failure =>
  new Failure(
    'terminology.import',
    'The file is not a JSON object that can be read. Check that it is complete.',
  );
