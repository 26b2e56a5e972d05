import { evalFhirPathTyped, parseFhirPath, toTypedValue } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';

/** Published expressions for one type stay below 200. */
export const EXPRESSION_CHARACTERS_MAX = 500;
/** Parentheses and brackets inside each other; published ones have three. */
export const EXPRESSION_DEPTH_MAX = 20;

/**
 * What an expression may call: all of these look at each item once, so the work grows with the resource and no faster. Left out on purpose: text
 * patterns (`matches`), everything that multiplies (`combine`, `select`, `repeat`, `descendants`), and everything that reaches out of the
 * resource. The engine answers an unknown function with nothing, without an error: so unknown ones are refused here.
 */
const FUNCTIONS: ReadonlySet<string> = new Set([
  ...['where', 'exists', 'empty', 'not', 'first', 'last', 'as', 'is', 'ofType', 'extension'],
]);

const TOKEN =
  /\s+|'(?:[^'\\]|\\.)*'|resolve\(\)\s+is\s+[A-Z][A-Za-z]+|[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?|!=|[.()[\]|=,]/y;

/**
 * Throws `fhir.invalid` for a FHIRPath that a search parameter of the site's own may not have: too long, too deep, calls of what is not on the
 * list, or not about all of the types it is for.
 */
export function checkExpression(expression: string, types: readonly string[]): void {
  if (expression.length > EXPRESSION_CHARACTERS_MAX)
    throw refused(`may have ${EXPRESSION_CHARACTERS_MAX} characters at most`);
  checkTokens(expression);
  for (const type of types) {
    const parts = expression.split('|').map((part) => part.trim().replace(/^\(+/, ''));
    if (!parts.some((part) => part.startsWith(`${type}.`))) throw refused(`says nothing about ${type}`);
  }
  try {
    const parsed = parseFhirPath(expression);
    for (const type of types)
      evalFhirPathTyped(parsed, [toTypedValue({ resourceType: type } as unknown as Resource)]);
  } catch {
    throw refused('is no FHIRPath that this server can evaluate');
  }
}

const refused = (what: string): Failure =>
  new Failure('fhir.invalid', `The expression ${what}.`, {
    issues: [{ at: 'SearchParameter.expression', text: `The expression ${what}.` }],
  });

function checkTokens(expression: string): void {
  let depth = 0;
  let before = '';
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < expression.length) {
    const token = TOKEN.exec(expression)?.[0];
    if (token === undefined) throw refused('has a sign that search parameters do not need');
    if (token === '(' || token === '[') depth += 1;
    if (token === ')' || token === ']') depth -= 1;
    if (depth > EXPRESSION_DEPTH_MAX || depth < 0) throw refused('has too many parentheses');
    if (token === '(' && /^[A-Za-z_]/.test(before) && !FUNCTIONS.has(before) && !OPERATORS.has(before))
      throw refused('calls a function that is not allowed');
    if (token.trim() !== '') before = token;
  }
  if (depth !== 0) throw refused('has a parenthesis that is not closed');
}

const OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'is', 'as']);
