import type { Sql } from '../../database/database.ts';
import { type AskedCode, registeredTerminology, type TerminologySource } from '../terminology-registry.ts';
import type { JsonObject } from './invariant.ts';

/**
 * What is known of codes that a profile binds to a value set which is not held in memory as a whole. A validation asks without waiting; what it
 * could not be told is gathered, asked of terminology once, and then it is run again.
 */
export interface BoundCodes {
  /** Are extensible bindings looked at? They only warn, so that a write does not ask for them. */
  readonly extensible: boolean;
  /** Is one of the codes in the value set? Null: it cannot be told here. Undefined: it was not asked yet. */
  anyIn(valueSet: string, codes: readonly AskedCode[]): boolean | null | undefined;
}

/** For a validation that asks nobody: bindings to value sets that are not in memory are passed over. */
export const UNASKED: BoundCodes = { extensible: false, anyIn: () => undefined };

/** How long a value set or code system that another process has changed may be judged by as it was. */
export const ANSWERS_KEPT_MS = 10_000;
/** Answers that are kept, some 200 bytes each: with more, all are forgotten and asked anew. */
export const ANSWERS_MAX = 50_000;

/** One per process: the answers of terminology, until a value set or a code system changes. */
export class KnownCodes {
  private readonly answers = new Map<string, boolean | null>();
  private readonly unknown = new Set<string>();
  private until = 0;
  /** Counts what was forgotten: an answer to a question from before it is not kept. */
  private forgotten = 0;

  constructor(private readonly now: () => number = Date.now) {}

  /** A value set or a code system has changed. */
  forget(): void {
    this.answers.clear();
    this.unknown.clear();
    this.forgotten += 1;
  }

  /** Null: it cannot be told. Undefined: not asked. */
  find(valueSet: string, code: AskedCode): boolean | null | undefined {
    if (this.unknown.has(valueSet)) return null;
    return this.answers.get(keyOf(valueSet, code));
  }

  /** Before a validation looks at the answers: old ones are dropped here, not in its midst. */
  refresh(): void {
    const now = this.now();
    if (now < this.until && this.answers.size < ANSWERS_MAX) return;
    this.forget();
    this.until = now + ANSWERS_KEPT_MS;
  }

  /** One question per value set. */
  async ask(questions: OpenQuestions, sql: Sql, beside: TerminologySource): Promise<KnownAnswers> {
    const before = this.forgotten;
    const terminology = registeredTerminology();
    const found: KnownAnswers = new Map();
    for (const [valueSet, codes] of questions) {
      const asked = [...codes.values()];
      const held = terminology ? await terminology.holds(valueSet, asked, sql, beside) : null;
      found.set(valueSet, held && new Map(asked.map((one, at) => [keyOf(valueSet, one), held[at] ?? null])));
    }
    if (before === this.forgotten) this.keep(found);
    return found;
  }

  private keep(found: KnownAnswers): void {
    for (const [valueSet, answers] of found) {
      if (answers === null) this.unknown.add(valueSet);
      else for (const [key, held] of answers) this.answers.set(key, held);
    }
  }
}

/** Value set → its codes that somebody asks for. */
export type OpenQuestions = Map<string, Map<string, AskedCode>>;

/** Value set → the answers; null: it is not known. */
type KnownAnswers = Map<string, ReadonlyMap<string, boolean | null> | null>;

/** The questions of one validation, or of several that are asked together. */
export class AskedCodes implements BoundCodes {
  readonly open: OpenQuestions = new Map();
  /** How often a question met no answer, also one that was open before. */
  unanswered = 0;
  private readonly told: KnownAnswers = new Map();

  constructor(
    private readonly known: KnownCodes,
    readonly extensible: boolean,
  ) {
    known.refresh();
  }

  anyIn(valueSet: string, codes: readonly AskedCode[]): boolean | null | undefined {
    let answer: boolean | null | undefined = false;
    for (const code of codes) {
      const one = this.find(valueSet, code);
      if (one === true) return true;
      if (one === null && answer === false) answer = null;
      if (one === undefined) {
        answer = undefined;
        this.unanswered += 1;
        const asked = this.open.get(valueSet) ?? new Map<string, AskedCode>();
        this.open.set(valueSet, asked.set(keyOf(valueSet, code), code));
      }
    }
    return answer;
  }

  /** Asks terminology what is open; then nothing is. */
  async answer(sql: Sql, beside: TerminologySource): Promise<void> {
    const found = await this.known.ask(this.open, sql, beside);
    this.open.clear();
    for (const [valueSet, answers] of found) {
      const before = this.told.get(valueSet);
      this.told.set(valueSet, answers && before ? new Map([...before, ...answers]) : answers);
    }
  }

  /** What was told in this validation counts, also when it is forgotten meanwhile: else it might never end. */
  private find(valueSet: string, code: AskedCode): boolean | null | undefined {
    const told = this.told.get(valueSet);
    if (told === null) return null;
    const answer = told?.get(keyOf(valueSet, code));
    return answer === undefined ? this.known.find(valueSet, code) : answer;
  }
}

const keyOf = (valueSet: string, { system, code }: AskedCode): string =>
  JSON.stringify([valueSet, system ?? null, code]);

/**
 * The codes of a value (code, Coding, CodeableConcept, Quantity) that a binding speaks of. Null: there is none.
 */
export function codesOf(value: unknown, type: string): readonly AskedCode[] | null {
  if (typeof value === 'string') return [{ code: value }];
  if (typeof value !== 'object' || value === null) return null;
  const object = value as JsonObject;
  if (type === 'Coding' || type === 'Quantity') return codings([object]);
  if (type !== 'CodeableConcept' || !Array.isArray(object['coding'])) return null;
  return codings(object['coding'] as JsonObject[]);
}

function codings(all: readonly JsonObject[]): readonly AskedCode[] | null {
  const codes: AskedCode[] = [];
  for (const { system, code } of all) {
    if (typeof code !== 'string') continue;
    codes.push(system === undefined ? { code } : { system: String(system), code });
  }
  return codes.length === 0 ? null : codes;
}

/** One per process, as the profiles are. */
export const knownCodes = new KnownCodes();
