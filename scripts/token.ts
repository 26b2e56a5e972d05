import { parseArgs } from 'node:util';
import { AccessTokens, ISSUER, LOCAL_TOKEN_LIFETIME_S } from '../src/access/access-tokens.ts';
import { LOCAL_CLIENT } from '../src/access/clients.ts';
import { parseScopes } from '../src/access/scope.ts';
import { signingKeyIn } from '../src/access/signing-key.ts';
import { readSettings } from '../src/config/settings.ts';
import { systemClock } from '../src/kernel/clock.ts';

// Prints a token for the local server. It is signed with the key in the data folder: whoever can read that folder is the server.
try {
  const { values } = parseArgs({ options: { scope: { type: 'string', default: 'system/*.cruds' } } });
  const key = await signingKeyIn(readSettings().PRELIM_DATA);
  const tokens = new AccessTokens(key, ISSUER, systemClock);
  const token = await tokens.issue(LOCAL_CLIENT, parseScopes(values.scope), LOCAL_TOKEN_LIFETIME_S);
  process.stdout.write(`${token}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
