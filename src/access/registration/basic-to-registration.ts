import type { Basic, Extension } from '@medplum/fhirtypes';
import { PRELIM } from '../../kernel/code-systems.ts';
import type { Registration } from './client.store.ts';

/** `Basic.code` of a registered client. */
export const CLIENT_CODE = { system: `${PRELIM}/CodeSystem/resource-kind`, code: 'oauth-client' } as const;
/** `Basic.identifier.system` of a client id. */
export const CLIENT_ID_SYSTEM = `${PRELIM}/NamingSystem/oauth-client-id`;
/** The one extension that holds the rest. */
export const CLIENT_EXTENSION = `${PRELIM}/StructureDefinition/oauth-client`;

export const isClient = (
  resource: { resourceType: string; code?: Basic['code'] } | null | undefined,
): boolean =>
  resource?.resourceType === 'Basic' &&
  resource.code?.coding?.some(
    ({ system, code }) => system === CLIENT_CODE.system && code === CLIENT_CODE.code,
  ) === true;

/** Parts of the extension, and the members of a registration they are. A secret is none of them: it never stands in a resource. */
const TEXT_PARTS: Readonly<Record<string, string>> = {
  name: 'name',
  scope: 'scope',
  'jwks-uri': 'jwksUri',
  algorithm: 'alg',
};
const LIST_PARTS: Readonly<Record<string, string>> = { 'redirect-uri': 'redirectUris', role: 'roles' };
const YES_NO_PARTS: Readonly<Record<string, string>> = {
  active: 'active',
  public: 'public',
  preapproved: 'preapproved',
};

/**
 * Reads a client's registration out of its Basic resource (docs/access.md shows one).
 *
 * @throws Error whose message says what would be right
 */
export function basicToRegistration(basic: Basic): Registration {
  const ids = (basic.identifier ?? []).filter(({ system }) => system === CLIENT_ID_SYSTEM);
  const [id] = ids;
  if (ids.length !== 1 || !id?.value)
    throw new Error(`it needs one identifier of the system ${CLIENT_ID_SYSTEM}`);
  const parts = (basic.extension ?? [])
    .filter(({ url }) => url === CLIENT_EXTENSION)
    .flatMap((one) => one.extension ?? []);
  const found: Record<string, unknown> = { active: true };
  for (const part of parts) readPart(part, found);
  return { ...found, id: id.value } as Registration;
}

function readPart(part: Extension, found: Record<string, unknown>): void {
  const text = part.valueString ?? part.valueCode ?? part.valueUrl ?? part.valueUri;
  const { url } = part;
  const [asText, asList, asYesNo] = [TEXT_PARTS[url], LIST_PARTS[url], YES_NO_PARTS[url]];
  if (asYesNo && part.valueBoolean !== undefined) found[asYesNo] = part.valueBoolean;
  else if (asText && text !== undefined) found[asText] = text;
  else if (asList && text !== undefined)
    found[asList] = [...((found[asList] as string[] | undefined) ?? []), text];
  else if (url === 'jwks' && text !== undefined) found['jwks'] = parseJson(text);
  else
    throw new Error(`the extension part ${/^[a-z-]{1,40}$/.test(url) ? url : ''} is none that a client has`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('jwks must be JSON: {"keys": […]}');
  }
}
