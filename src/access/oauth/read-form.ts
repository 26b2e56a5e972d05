import type { Form } from './authenticate-client.ts';
import { OAuthError } from './oauth-error.ts';

/** An assertion has a kilobyte or two; whatever is larger is no token request. */
export const FORM_CHARS_MAX = 16_384;

/**
 * The parameters of a request: strings, each once (RFC 6749 3.1 and 3.2), none without a value, all of them together bounded.
 *
 * @throws OAuthError `invalid_request`
 */
export function readForm(body: unknown): Form {
  if (body === undefined || body === null) return {};
  if (typeof body !== 'object') throw new OAuthError('invalid_request', 'send the parameters as a form');
  let characters = 0;
  const form: Record<string, string> = {};
  for (const [name, value] of Object.entries(body)) {
    if (typeof value !== 'string') throw new OAuthError('invalid_request', 'a parameter may stand once');
    characters += name.length + value.length;
    if (characters > FORM_CHARS_MAX)
      throw new OAuthError('invalid_request', `the parameters may have ${FORM_CHARS_MAX} characters`, 413);
    // RFC 6749 3.1: a parameter without a value is treated as left out.
    if (value !== '') form[name] = value;
  }
  return form;
}
