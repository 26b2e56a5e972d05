import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../kernel/errors.ts';
import { makeFolder } from '../kernel/make-folder.ts';
import type { Client } from './client.ts';
import { LOCAL_CLIENT } from './grant.ts';
import { readKeyFile } from './read-key-file.ts';
import { readRegistration } from './registration/read-registration.ts';
import { parseScopes } from './scope.ts';

export type { Client } from './client.ts';
export { LOCAL_CLIENT };

const LOCAL_SCOPE = 'system/*.cruds';

/** The browser pages of this server, by client id, which is also the folder they stand in: public clients that everybody here trusts. */
const PAGES = {
  worklist: { name: 'Prelim worklist', scope: 'openid fhirUser launch user/*.rs' },
  operator: {
    name: 'Prelim operator page',
    scope: 'openid fhirUser user/Task.ru user/Patient.r',
  },
} as const;

/** Is it one of our pages? Those get sessions (`page-sessions.ts`), and no tokens. */
export const isPageClient = (id: string): boolean => Object.hasOwn(PAGES, id);

/** The clients that need no registration: the local one, the browser pages, and those of `AUTH_CLIENTS`. */
export async function clientsOf(
  dataFolder: string,
  authClients: string,
  baseUrl: string,
): Promise<Map<string, Client>> {
  const secret = await localSecret(dataFolder);
  const local: Client = {
    id: LOCAL_CLIENT,
    name: 'This server',
    secrets: [sha256(secret)],
    isPublic: false,
    scopes: parseScopes(LOCAL_SCOPE),
    words: ['introspect'],
    redirectUris: [],
    roles: [],
    isPreapproved: false,
  };
  const pages = Object.entries(PAGES).map(([id, page]) => ({
    ...readRegistration({ ...page, id, public: true, redirectUris: [`${baseUrl}/${id}/`] }),
    isPreapproved: true,
  }));
  return new Map([local, ...pages, ...configured(authClients)].map((client) => [client.id, client]));
}

/** Constant time in the secret; an unknown client costs the same. */
export function secretFits(client: Client | undefined, secret: string): boolean {
  const given = Buffer.from(sha256(secret), 'hex');
  const expected = client && client.secrets.length > 0 ? client.secrets : [sha256('')];
  let fits = false;
  for (const one of expected) fits = timingSafeEqual(given, Buffer.from(one, 'hex')) || fits;
  return fits && client !== undefined && client.secrets.length > 0;
}

async function localSecret(dataFolder: string): Promise<string> {
  const file = join(dataFolder, 'keys', 'local-client-secret');
  const kept = await readKeyFile(file);
  if (kept) return kept.trim();
  await makeFolder(join(dataFolder, 'keys'));
  const secret = randomBytes(32).toString('base64url');
  await writeFile(file, `${secret}\n`, { mode: 0o600 });
  return secret;
}

function configured(text: string): Client[] {
  if (text.trim() === '') return [];
  try {
    const list = JSON.parse(text) as { secretSha256?: unknown }[];
    return list.map((entry) => {
      const client = readRegistration(entry as Record<string, unknown>);
      if (RESERVED_CLIENTS.includes(client.id)) throw new Error();
      return { ...client, ...secretsOf(entry.secretSha256) };
    });
  } catch {
    throw new Failure(
      'config.invalid',
      'AUTH_CLIENTS must be a JSON array of {"id", "secretSha256" (64 hex digits), "scope"}; the ids "local", "worklist" and "operator" are taken. See docs/access.md for the other members.',
    );
  }
}

/** Ids that no registration may take. */
export const RESERVED_CLIENTS: readonly string[] = [LOCAL_CLIENT, ...Object.keys(PAGES)];

function secretsOf(value: unknown): { secrets: string[] } | object {
  if (value === undefined) return {};
  if (!/^[0-9a-f]{64}$/.test(String(value))) throw new Error();
  return { secrets: [String(value)] };
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
