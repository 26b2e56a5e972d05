import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../kernel/errors.ts';
import { parseScopes, type Scope } from './scope.ts';

export interface Client {
  readonly id: string;
  readonly secretSha256: string;
  readonly scopes: readonly Scope[];
}

/** The client of the local server itself; its secret lies in `<data>/keys/local-client-secret`. */
export const LOCAL_CLIENT = 'local';
const LOCAL_SCOPE = 'system/*.cruds';

/** The local client and those of `AUTH_CLIENTS`. */
export async function clientsOf(dataFolder: string, authClients: string): Promise<Map<string, Client>> {
  const secret = await localSecret(dataFolder);
  const local: Client = { id: LOCAL_CLIENT, secretSha256: sha256(secret), scopes: parseScopes(LOCAL_SCOPE) };
  return new Map([local, ...configured(authClients)].map((client) => [client.id, client]));
}

/** Constant time in the secret; an unknown client costs the same. */
export function secretFits(client: Client | undefined, secret: string): boolean {
  const expected = Buffer.from(client?.secretSha256 ?? sha256(''), 'hex');
  return timingSafeEqual(Buffer.from(sha256(secret), 'hex'), expected) && client !== undefined;
}

async function localSecret(dataFolder: string): Promise<string> {
  const file = join(dataFolder, 'keys', 'local-client-secret');
  const kept = await readFile(file, 'utf8').catch(() => null);
  if (kept) return kept.trim();
  await mkdir(join(dataFolder, 'keys'), { recursive: true, mode: 0o700 });
  const secret = randomBytes(32).toString('base64url');
  await writeFile(file, `${secret}\n`, { mode: 0o600 });
  return secret;
}

function configured(text: string): Client[] {
  if (text.trim() === '') return [];
  try {
    const list = JSON.parse(text) as { id?: unknown; secretSha256?: unknown; scope?: unknown }[];
    return list.map((entry) => {
      const wellFormed =
        typeof entry.id === 'string' &&
        entry.id !== LOCAL_CLIENT &&
        /^[0-9a-f]{64}$/.test(String(entry.secretSha256));
      if (!wellFormed || typeof entry.scope !== 'string') throw new Error();
      return {
        id: entry.id as string,
        secretSha256: String(entry.secretSha256),
        scopes: parseScopes(entry.scope),
      };
    });
  } catch {
    throw new Failure(
      'config.invalid',
      'AUTH_CLIENTS must be a JSON array of {"id", "secretSha256" (64 hex digits), "scope"}; the id "local" is taken.',
    );
  }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
